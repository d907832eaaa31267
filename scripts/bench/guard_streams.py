"""Fuzzed streams through the guard with every rule and every kind of personal data switched on.

Planted in clean service talk: personal data in written, spaced, dashed, full-width and spoken form, and sentences that
break a rule. Each text is cut in two at every position in turn, into characters, and at random; the choices and
channels of a request arrive interleaved. What must not go out is taken from the detectors run over the whole text, so
that a released character counts as released whatever the guard reports. Then random Unicode and very long lines: no
crash, linear time.

Usage: python scripts/bench/guard_streams.py [--streams 20000 | --seconds 60] [--fuzz 20000] [--seed 1]
Exit status 1: a protected character was released, a clean stream altered, a cut changed a result, or the guard failed.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import itertools
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tianjing.guard import Guard, PrivacyDetector, Released, RulebookDetector
from tianjing.guard.detectors import Detector, Incremental, scan
from tianjing.privacy.checks import is_luhn, is_resident_id
from tianjing.rulebook import Rulebook
from tianjing.rulebook.schema import PhraseCheck

Detectors = Sequence[Detector | Incremental]

CHANNELS = ((0, "content"), (0, "reasoning"), (1, "content"), (2, "content"))
CHUNK_CHARS = 4
REPEATS = 15
CLEAN = (
    "您好，这边是客服，请问有什么可以帮您？",
    "您的借款本月还款日是15日，请保持账户余额充足。",
    "订单2024091513812345678已经受理，",
    "本期应还1234.56元，分12期，年化利率是24%，",
    "我们会尽快为您核实处理，请您留意短信通知。",
    "客服热线95588、400-820-8820随时可以打，",
    "2024年11月23日13:45有一笔扣款没有成功，",
    "如果遇到困难可以申请协商，需要提供材料，",
    "好的，",
    "感谢您的理解和支持！",
    "系统里暂时查不到这笔记录，麻烦您再等一等。",
    "The order is on its way. ",
)
SPOKEN = "零幺二三四五六七八九"
WIDE = "０１２３４５６７８９"


@dataclass(frozen=True)
class Sample:
    """A text; `protected` are disjoint (start, end, ends the stream) in order."""

    text: str
    protected: tuple[tuple[int, int, bool], ...]


def number(rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return f"1{rng.choice('3456789')}{rng.randrange(10**9):09}"
    if kind == 1:
        born = f"{rng.randrange(1950, 2005)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
        body = f"110105{born}{rng.randrange(1000):03}"
        return next(body + check for check in "0123456789X" if is_resident_id(body + check))
    if kind == 2:
        body = f"6222{rng.randrange(10**11):011}"
        return next(body + str(check) for check in range(10) if is_luhn(body + str(check)))
    return f"010{rng.randrange(2, 9)}{rng.randrange(10**7):07}"


def personal(rng: random.Random) -> str:
    if rng.random() < 0.15:
        return f"user{rng.randrange(10**4)}.a@mail{rng.randrange(10)}.example.com"
    if rng.random() < 0.15:
        return f"，我叫{rng.choice('王李张刘陈')}{rng.choice(('建国', '晓梅', '志强'))}"
    digits, form = number(rng), rng.randrange(5)
    if form == 1:
        return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
    if form == 2:
        return digits.translate({48 + digit: WIDE[digit] for digit in range(10)})
    if form == 3 and digits.isdigit():
        return digits.translate({48 + digit: SPOKEN[digit] for digit in range(10)})
    if form == 4:
        return "-".join(digits[at : at + 3] for at in range(0, len(digits), 3))
    return digits


def protected(text: str, detectors: Detectors) -> tuple[tuple[int, int, bool], ...]:
    """What the detectors protect in the whole text; overlapping spans as one, nothing after the end of the stream."""
    spans = [span for detector in detectors for span in scan(detector).push(text, True)[0] if span.action != "allow"]
    merged: list[tuple[int, int, bool]] = []
    for span in sorted(spans, key=lambda span: span.start):
        ends = span.action in ("block", "handoff")
        if merged and span.start < merged[-1][1]:
            start, end, ended = merged.pop()
            merged.append((start, max(end, span.end), ended or ends))
        else:
            merged.append((span.start, span.end, ends))
    last = next((at for at, (_, _, ends) in enumerate(merged) if ends), len(merged))
    return tuple(merged[: last + 1])


def samples(
    rng: random.Random, detectors: Detectors, breaches: Sequence[str], counts: Counter[str]
) -> Iterator[Sample]:
    """Half clean, half with something planted. Texts that the detectors misjudge as a whole are counted and left out:
    their precision and recall are measured elsewhere."""
    while True:
        text, planted = "", 0
        dirty = rng.random() < 0.5
        for _ in range(rng.randint(1, 4)):
            text += rng.choice(CLEAN)
            if dirty and rng.random() < 0.6:
                text += "号码是" + personal(rng) + "。"
                planted += 1
        if dirty and breaches and rng.random() < 0.4:
            text += rng.choice(breaches) + rng.choice(CLEAN)
            planted += 1
        found = protected(text, detectors)
        if (len(found) < planted and not (found and found[-1][2])) or (found and not planted):
            counts["texts left out: misjudged as a whole"] += 1
            continue
        yield Sample(text, found)


def leaked(sample: Sample, sent: str) -> tuple[int, int]:
    """(protected characters in `sent`, 1 if clean text around them is missing or changed)."""
    position = at = 0
    for start, end, ends in sample.protected:
        clean = sample.text[at:start]
        if not sent.startswith(clean, position):
            return 0, 1
        position += len(clean)
        if ends:
            return len(sent) - position, 0
        secret = sample.text[start:end]
        if sent[position : position + 1] != "〔":
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(secret, sent[position:], strict=False))
            return max(1, len(list(same))), 0
        position = sent.index("〕", position) + 1
        at = end
    return 0, int(sent[position:] != sample.text[at:])


def pieces(rng: random.Random, text: str, turn: int) -> list[str]:
    """In two at the position that is due, or into characters, or at random."""
    if turn % 4 < 2:
        cut = turn // 4 % (len(text) + 1)
        return [text[:cut], text[cut:]]
    if turn % 4 == 2:
        return list(text)
    cuts = sorted({0, len(text), *(rng.randrange(len(text)) for _ in range(rng.randint(1, 30)))})
    return [text[a:b] for a, b in itertools.pairwise(cuts)]


def one_request(rng: random.Random, detectors: Detectors, batch: Sequence[Sample], turn: int) -> list[Released]:
    """All streams of one request, interleaved."""
    guard = Guard(detectors)
    queues = [iter(pieces(rng, sample.text, turn + number)) for number, sample in enumerate(batch)]
    sent = ["" for _ in batch]
    verdicts: list[tuple] = [() for _ in batch]
    waiting = list(range(len(batch)))
    while waiting:
        number = rng.choice(waiting)
        piece = next(queues[number], None)
        if piece is None:
            waiting.remove(number)
            released = guard.finish(*CHANNELS[number])
        else:
            released = guard.push(piece, *CHANNELS[number])
        sent[number] += released.text
        verdicts[number] += released.verdicts
    return [Released(text, verdict) for text, verdict in zip(sent, verdicts, strict=True)]


def fuzz_streams(arguments: argparse.Namespace, detectors: Detectors, breaches: Sequence[str]) -> bool:
    rng, counts, begun = random.Random(arguments.seed), Counter[str](), time.monotonic()
    source = samples(rng, detectors, breaches, counts)
    pool: list[tuple[Sample, Released]] = []
    streams = turn = 0
    while streams < arguments.streams if not arguments.seconds else time.monotonic() - begun < arguments.seconds:
        # A text stays in the pool until it has been cut at each of its positions.
        while len(pool) < len(CHANNELS):
            sample = next(source)
            pool.append((sample, Guard(detectors).check(sample.text)))
        for (sample, whole), released in zip(
            pool, one_request(rng, detectors, [s for s, _ in pool], turn), strict=True
        ):
            chars, altered = leaked(sample, released.text)
            counts["protected spans"] += len(sample.protected)
            counts["characters of protected spans released"] += chars
            counts["clean streams"] += not sample.protected
            counts["clean streams altered"] += bool(altered and not sample.protected)
            counts["streams with clean text altered"] += bool(altered and sample.protected)
            counts["streams that a cut changed"] += released != whole
            streams += 1
        turn += 1
        if turn % 4 == 0 and turn // 4 > max(len(sample.text) for sample, _ in pool):
            pool.clear()
            turn = 0
    seconds = time.monotonic() - begun
    print(f"{streams:,} streams in {seconds:.1f} s, {len(CHANNELS)} interleaved per request")
    wrong = (
        "characters of protected spans released",
        "clean streams altered",
        "streams with clean text altered",
        "streams that a cut changed",
    )
    for name in ("clean streams", "protected spans", "texts left out: misjudged as a whole", *wrong):
        print(f"  {name:<44}{counts[name]:>12,}")
    return not any(counts[name] for name in wrong)


def time_chunks(name: str, detectors: Detectors, text: str) -> None:
    chunks = [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]
    stream = Guard(detectors).open()
    sent = sum(len(stream.push(chunk).text) for chunk in chunks)
    best = float("inf")
    for _ in range(REPEATS):
        push = Guard(detectors).open().push
        begun = time.process_time()
        for chunk in chunks:
            push(chunk)
        best = min(best, time.process_time() - begun)
    print(f"  {name:<30}{best / len(chunks) * 1e6:>8.2f} µs per chunk   {sent / len(text):.3f} sent before the end")


def random_text(rng: random.Random) -> str:
    ranges: tuple[Callable[[], int], ...] = (
        lambda: rng.randrange(0x110000),
        lambda: rng.randrange(0xD800, 0xE000),
        lambda: rng.choice((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0xFE0F)),
        lambda: rng.choice((0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069)),
        lambda: rng.randrange(0x80),
        lambda: rng.randrange(0x4E00, 0xA000),
        lambda: ord(rng.choice("0123456789一二三幺零两个嗯，-. @")),
    )
    return "".join(chr(rng.choice(ranges)()) for _ in range(rng.randrange(60)))


def fuzz_unicode(count: int, seed: int, detectors: Detectors) -> bool:
    rng, failed, begun = random.Random(seed), 0, time.monotonic()
    for turn in range(count):
        text = random_text(rng)
        stream, sent, verdicts = Guard(detectors).open(), "", ()
        for piece in pieces(rng, text or " ", turn | 2):
            released = stream.push(piece)
            sent, verdicts = sent + released.text, verdicts + released.verdicts
        released = stream.finish()
        whole = Guard(detectors).check(text or " ")
        faulty = any(verdict.kind.startswith("guard_error") for verdict in whole.verdicts)
        failed += faulty or whole != Released(sent + released.text, verdicts + released.verdicts)
    print(f"{count:,} random Unicode texts in {time.monotonic() - begun:.1f} s: {failed} failures")
    return not failed


LINES = {
    "digit 1": "1",
    "spoken 一": "一",
    "letter a": "a",
    "a@": "a@",
    "a.": "a.",
    "1 3": "1 3",
    "zero width": "\u200b",
    "lone surrogate": "\ud800",
    "1, zero width": "1\u200b",
    "surname 王": "王",
    "quote “": "“",
    "prose": "您的借款本月还款日是十五号，请您保持账户余额充足",
}


def long_lines(chars: int, detectors: Detectors) -> bool:
    """Each line at a quarter and at full length: linear time is a ratio of about 4."""
    print(f"lines of {chars:,} characters, whole and in chunks of {CHUNK_CHARS}; processor time, and over a quarter's")
    linear = True
    for name, unit in LINES.items():
        row = []
        for chunk in (chars, CHUNK_CHARS):
            spent = []
            for size in (chars // 4, chars):
                text = (unit * (size // len(unit) + 1))[:size]
                stream, begun = Guard(detectors).open(), time.process_time()
                for at in range(0, size, chunk):
                    stream.push(text[at : at + chunk])
                stream.finish()
                spent.append(time.process_time() - begun)
            row.append(f"{spent[1]:>8.2f} s {spent[1] / spent[0]:>5.1f}x")
            linear = linear and (spent[1] < 8 * spent[0] or spent[1] < 0.2)
        print(f"  {name:<16}{'  '.join(row)}")
    return linear


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=20_000, help="streams to run")
    parser.add_argument("--seconds", type=float, default=0.0, help="run this long instead of a number of streams")
    parser.add_argument("--fuzz", type=int, default=20_000, help="random Unicode texts")
    parser.add_argument("--line", type=int, default=1_000_000, help="length of the long lines; 0 leaves them out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--on", type=datetime.date.fromisoformat, default=datetime.date(2026, 11, 1), help="rules in force"
    )
    arguments = parser.parse_args()

    book = Rulebook.load().on(arguments.on)
    rules, privacy = RulebookDetector(book.matcher()), PrivacyDetector()
    detectors = [rules, privacy]
    phrase_rules = [rule for rule in book if isinstance(rule.check, PhraseCheck) and rule.check.speaker == "agent"]
    breaches = [text for rule in phrase_rules for text in rule.examples.breach if isinstance(text, str)]
    print(f"{platform.machine()}, Python {platform.python_version()}, one core; {len(phrase_rules)} phrase rules\n")
    good = fuzz_streams(arguments, detectors, breaches)
    prose = "".join(random.Random(arguments.seed).choices(CLEAN, k=1000))
    print(f"\nchunks of {CHUNK_CHARS} characters of service talk, processor time, best of {REPEATS}")
    # As the endpoint does: what lives as long as the process is no work for the garbage collector.
    gc.collect()
    gc.freeze()
    time_chunks("no detector", [], prose)
    time_chunks("personal data", [privacy], prose)
    time_chunks("phrase rules", [rules], prose)
    time_chunks("personal data and phrase rules", detectors, prose)
    print()
    good &= fuzz_unicode(arguments.fuzz, arguments.seed, detectors)
    if arguments.line:
        good &= long_lines(arguments.line, detectors)
    sys.exit(not good)


if __name__ == "__main__":
    main()
