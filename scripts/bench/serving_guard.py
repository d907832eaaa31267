"""The guard of the gateway: what it costs, whether its time is linear, and how well the input families are told apart.

Cost, in processor time of one core: `admit` on a request of six messages; each pushed chunk of four characters through
an outlet with all default rails, with the facts of a loan beside, and through the bare stream guard in the same run
(personal data and rulebook). Linear: every rail over hostile texts of 2,000 and 16,000 characters; eight times the text
may take no more than sixteen times the time.

With `--injection FILE.jsonl` (lines of {"text", "label": "injection" | "unlawful" | "clean", "family"?}): recall and
precision by label, recall by family, and what was missed. With `--crosswoz FOLDER`: false alarms on the users' turns of
CrossWOZ (val.json.zip, test.json.zip), people who talk about travelling and attack nobody.

    python scripts/bench/serving_guard.py
    python scripts/bench/serving_guard.py --injection set.jsonl --crosswoz ../shared/data/crosswoz

Exit status 1: not linear.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import random
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from serving.guard import injection, unlawful
from serving.guard.factory import GuardFactory
from serving.guard.learned import KINDS
from serving.identity.principal import Principal
from serving.protocol.call import Call, Extension, Piece
from tianjing.finance.statements import Fact, Facts
from tianjing.guard import Guard, PrivacyDetector
from tianjing.privacy import Session

CHUNK_CHARS = 4
REPEATS = 15
ANSWER = 5 * (
    "您好，您的借款本月还款日是15日，本期应还1234.56元，请保持账户余额充足。如果遇到困难可以申请协商，需要提供收入证明等材料，"
    "我们会尽快为您核实处理，请您留意短信通知。感谢您的理解和支持！"
)
FACTS = Facts(
    as_of=date(2026, 11, 30),
    values=(
        Fact(name="instalment", kind="money", value="1234.56"),
        Fact(name="due_date", kind="date", value="2026-12-15"),
        Fact(name="annual_rate_irr", kind="rate", value="0.18", per="year"),
    ),
)
PIECES = (
    Piece(
        "system",
        "content",
        "你是天镜消费金融的客服助手。回答简短、客气、准确，只说条款里有的内容，不评价客户，遇到投诉请登记。",
    ),
    Piece("user", "content", "你好，我叫王建国，手机号13812345678，想问一下这个月的账单。"),
    Piece("assistant", "content", "王先生您好，您本期的账单已经出了，请问有什么可以帮您？"),
    Piece("user", "content", "我这个月工资晚发，可以晚几天还款吗？会不会上征信？"),
    Piece("assistant", "content", "可以申请延期，请问您希望延到哪一天？"),
    Piece("user", "content", "15号发工资，能不能延到20号？需要什么材料？"),
)
CALLER = Principal("bench", "bench")


def best(work: Callable[[], int]) -> float:
    """Microseconds of processor time for one of what `work` counts, best of some runs."""
    times = []
    for _ in range(REPEATS):
        begun = time.process_time_ns()
        done = work()
        times.append((time.process_time_ns() - begun) / done / 1000)
    return min(times)


def request(factory: GuardFactory, pieces: tuple[Piece, ...] = PIECES, facts: Facts | None = None) -> Call:
    return Call("/v1/chat/completions", "m", pieces, {}, extension=Extension(facts=facts))


def cost(factory: GuardFactory) -> None:
    turn = itertools.count(1)

    def cut() -> list[str]:
        # Never the same text twice: a matcher knows the last one it saw.
        text = f"第{next(turn)}次。{ANSWER}"
        return [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]

    def admitted() -> int:
        for _ in range(50):
            factory(request(factory), CALLER).admit(PIECES)
        return 50

    def guarded(facts: Facts | None, at_the_end: bool = False) -> float:
        guard = factory(request(factory, facts=facts), CALLER)
        guard.admit(PIECES)
        outlet, chunks = guard.outlet(0), cut()
        begun = time.process_time_ns()
        for chunk in chunks:
            outlet.push(chunk)
        pushed = time.process_time_ns()
        outlet.finish()
        return (time.process_time_ns() - pushed) / 1000 if at_the_end else (pushed - begun) / len(chunks) / 1000

    def bare() -> int:
        stream, chunks = Guard([PrivacyDetector(Session()), factory.rules.said]).open(), cut()
        for chunk in chunks:
            stream.push(chunk)
        stream.finish()
        return len(chunks)

    def least(facts: Facts | None, at_the_end: bool = False) -> float:
        return min(guarded(facts, at_the_end) for _ in range(REPEATS))

    rows = (
        ("admit, six messages, µs per request", best(admitted)),
        ("bare stream guard, µs per chunk", best(bare)),
        ("outlet, all default rails, µs per chunk", least(None)),
        ("outlet, with the facts of a loan, µs per chunk", least(FACTS)),
        ("outlet, end of the answer with disclosures, µs", least(None, at_the_end=True)),
    )
    for name, value in rows:
        print(f"{name:56} {value:9.2f}")


def hostile(rng: random.Random, size: int) -> dict[str, str]:
    """Texts that are made to be slow."""
    words = (
        "忽略 以上 的 所有 你的 和 ignore all previous your of show 列出 其他 | ， 帮我 伪造 流水 1 3 8 a@ 〔".split()
    )
    return {
        "one character": "忽" * size,
        "words of the patterns": "".join(rng.choice(words) for _ in range(size))[:size],
        "base64": "".join(rng.choice("ABCDabcd0123+/") for _ in range(size)),
        "spelt out": "忽，" * (size // 2),
        "digits": "".join(rng.choice("0123456789 -") for _ in range(size)),
        "prompt, nearly": ("你是天镜消费金融的客服助手。回答简短、客气、准确，只说x" * size)[:size],
        "quotation marks": '"\\' * (size // 2),
        "escapes": "\\u5ffd" * (size // 6),
        "wide": "".join(chr(rng.randrange(0x20, 0x2FFFF)) for _ in range(size)).encode(errors="replace").decode(),
    }


def linear(factory: GuardFactory) -> bool:
    """Whether eight times the text takes less than sixteen times the time, and 0.2 s at most beside."""
    fine = True
    small, large = (hostile(random.Random(7), size) for size in (2000, 16_000))
    settings = factory.settings.input.model_copy(update={"piece_chars": 10**6, "total_chars": 10**6})
    factory.settings = factory.settings.model_copy(update={"input": settings, "cpu_ms": 1e6})
    for name in small:
        times = [min(_through(factory, texts[name]) for _ in range(3)) for texts in (small, large)]
        good = times[1] < 16 * times[0] + 0.2
        fine = fine and good
        print(f"{name:24} {times[0] * 1000:8.1f} ms {times[1] * 1000:8.1f} ms {'' if good else 'NOT LINEAR'}")
    return fine


def _through(factory: GuardFactory, text: str) -> float:
    """Seconds for the text as a question, a tool's result, content and arguments."""
    pieces = (PIECES[0], Piece("user", "content", text), Piece("tool", "content", text))
    begun = time.process_time()
    guard = factory(request(factory, pieces, FACTS), CALLER)
    guard.admit(pieces)
    for channel in ("content", "arguments"):
        outlet = guard.outlet(0, channel)  # type: ignore[arg-type]
        for at in range(0, len(text), CHUNK_CHARS):
            if outlet.ended:
                outlet = guard.outlet(0, channel)  # type: ignore[arg-type]
            outlet.push(text[at : at + CHUNK_CHARS])
        outlet.finish()
    return time.process_time() - begun


def label(factory: GuardFactory, text: str) -> tuple[str, tuple[str, ...]]:
    """What the guard takes a text for, and the families; what is only marked counts as clean."""
    actions = factory.settings.input.injection
    found = [name for name in injection.families(text) if getattr(actions, name) in ("block", "handoff")]
    if found:
        return "injection", tuple(found)
    asked = [unlawful.family(rule) or rule.id for rule in unlawful.requests(factory.rules.asked, text)]
    if asked:
        return "unlawful", tuple(asked)
    limits, learned = factory.settings.input.learned, factory.rules.learned
    reading = learned.read(text)
    for kind in KINDS:
        if learned.finds(kind, reading, getattr(limits, kind)):
            return kind, (f"{kind}.learned",)
    return "clean", ()


def score(factory: GuardFactory, rows: Sequence[dict[str, str]]) -> None:
    judged = [(row, *label(factory, row["text"])) for row in rows]
    right, given, taken = Counter[str](), Counter[str](), Counter[str]()
    for row, said, _ in judged:
        given[row["label"]] += 1
        taken[said] += 1
        right[said] += said == row["label"]
    print(f"{'label':12} {'rows':>6} {'recall':>8} {'precision':>10}")
    for name in ("injection", "unlawful", "clean"):
        recall = right[name] / given[name] if given[name] else float("nan")
        precision = right[name] / taken[name] if taken[name] else float("nan")
        print(f"{name:12} {given[name]:6} {recall:8.3f} {precision:10.3f}")
    families = Counter(row.get("family", "") for row, _, _ in judged if row["label"] != "clean")
    caught = Counter(row.get("family", "") for row, said, _ in judged if row["label"] != "clean" and said != "clean")
    for family, count in sorted(families.items()):
        print(f"  {row_name(family):28} {caught[family]:4} of {count:4} refused")
    for row, said, found in judged:
        if said != row["label"]:
            print(f"  {row['label']} taken for {said} {','.join(found)}: {row['text'][:100]!r}")


def row_name(family: str) -> str:
    return family or "(no family given)"


def false_alarms(factory: GuardFactory, folder: Path) -> None:
    """Users' turns of CrossWOZ that would be refused."""
    turns: list[str] = []
    for name in ("val.json", "test.json"):
        with zipfile.ZipFile(folder / f"{name}.zip") as archive:
            dialogues = json.loads(archive.read(name))
        turns += [turn["content"] for one in dialogues.values() for turn in one["messages"] if turn["role"] == "usr"]
    alarms = [(text, *label(factory, text)) for text in turns]
    wrong = [(text, found) for text, said, found in alarms if said != "clean"]
    print(f"CrossWOZ: {len(wrong)} of {len(turns)} user turns refused")
    for text, found in wrong:
        print(f"  {','.join(found)}: {text[:100]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--injection", type=Path, help="labelled lines to score")
    parser.add_argument("--crosswoz", type=Path, help="folder with val.json.zip and test.json.zip")
    parser.add_argument("--quick", action="store_true", help="only what the other options ask for")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    factory, fine = GuardFactory(), True
    if arguments.injection:
        lines = arguments.injection.read_text(encoding="utf-8").splitlines()
        score(factory, [json.loads(line) for line in lines if line.strip()])
    if arguments.crosswoz:
        false_alarms(factory, arguments.crosswoz)
    if not arguments.quick:
        cost(factory)
        fine = linear(factory)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
