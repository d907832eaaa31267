"""Recall, precision and speed of `tianjing.privacy`, with Presidio beside it in the same run.

An entity is found if a finding of its kind overlaps it, and covered if no letter, digit or Han character of it is left.
Recall counts covered ones for numbers and codes, found ones for names, addresses and employers. A finding is right if
it overlaps an entity of its kind. A labelled sentence is a dialogue (坐席：…, 客户：…, one turn a line) and is read
turn by turn; of an entity read out over several turns, the talk between its pieces (嗯，您继续) need not be covered,
the digits and letters of every piece and echo must.
Usage: python scripts/bench/privacy.py [--generated 4000] [--sentences tests/data/privacy_sentences.jsonl]
       [--crosswoz DIR] [--laws DIR] [--messages 20000] [--share 0.1] [--seed 7]
CrossWOZ and the statutes are read from where they lie; what is not given is left out. For the peer:
pip install presidio-analyzer
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import sys
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import privacy_sentences as generator

from tianjing.privacy import Finding, Session, find, find_many, find_turns, mask_many
from tianjing.privacy.checks import is_credit_code, is_luhn, is_resident_id
from tianjing.privacy.digits import DIGITS, plain_digits
from tianjing.privacy.findings import fold

# Kinds whose bounds people draw differently: overlap counts.
LOOSE = frozenset(("name", "address", "employer"))
_TURN = re.compile(r"(?:(坐席|客户)：)?(.*)")
# What of an entity over several turns is its own: two digits or more that stand together, letters, parts of a date.
_DIGITS = f"A-Za-z0-9{''.join(DIGITS)}十"
_PIECE = re.compile(rf"[{_DIGITS}][{_DIGITS}年月日号]*")
ALIASES = {
    "phone": "mobile",
    "resident_id": "id_card",
    "idcard": "id_card",
    "card": "bank_card",
    "uscc": "credit_code",
    "licence_plate": "plate",
    "dob": "birth_date",
    "birthday": "birth_date",
    "company": "employer",
    "person": "name",
}


@dataclass
class Score:
    """Counts of one kind."""

    entities: int = 0
    found: int = 0
    covered: int = 0
    findings: int = 0
    right: int = 0

    def row(self, kind: str) -> str:
        recalled = self.found if kind in LOOSE else self.covered
        return (
            f"{kind:<14}{self.entities:>7}{_rate(recalled, self.entities):>9}{_rate(self.found, self.entities):>9}"
            f"{_rate(self.covered, self.entities):>9}{self.findings:>10}{_rate(self.right, self.findings):>11}"
        )


def _rate(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


@dataclass
class Tally:
    """Scores by kind, and the mistakes."""

    by_kind: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    mistakes: list[str] = field(default_factory=list)
    over_turns: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, spans: Iterable[tuple[str, int, int]], findings: Sequence[Finding]) -> None:
        gold = [(ALIASES.get(kind, kind), start, end) for kind, start, end in spans]
        for kind, start, end in gold:
            score = self.by_kind[kind]
            near = [f for f in findings if f.kind == kind and f.start < end and start < f.end]
            own = _own(text, start, end)
            left = [i for i in own if not any(f.start <= i < f.end for f in near)]
            if "\n" in text[start:end]:
                self.over_turns.update(entities=1, covered=int(not left), characters=len(own), left=len(left))
            score.entities += 1
            score.found += bool(near)
            score.covered += not left
            if (not near) if kind in LOOSE else left:
                self.mistakes.append(f"missed {kind} {text[start:end]!r} in {text!r}")
        for finding in findings:
            score = self.by_kind[finding.kind]
            score.findings += 1
            if any(k == finding.kind and finding.start < end and start < finding.end for k, start, end in gold):
                score.right += 1
            else:
                self.mistakes.append(f"wrong {finding.kind} {finding.text!r} in {text!r}")

    def show(self, title: str, most_mistakes: int) -> None:
        print(f"\n{title}")
        print(f"{'kind':<14}{'in text':>7}{'recall':>9}{'found':>9}{'covered':>9}{'findings':>10}{'precision':>11}")
        structured, names = Score(), Score()
        for kind in sorted(self.by_kind):
            score = self.by_kind[kind]
            print(score.row(kind))
            total = names if kind in LOOSE else structured
            for count in ("entities", "found", "covered", "findings", "right"):
                setattr(total, count, getattr(total, count) + getattr(score, count))
        print(structured.row("structured"))
        if count := self.over_turns:
            print(
                f"over several turns: {count['covered']} of {count['entities']} entities covered, "
                f"{count['characters'] - count['left']} of {count['characters']} characters"
            )
        for line in self.mistakes[:most_mistakes]:
            print(f"  {line}")


def generated(count: int, seed: int, most_mistakes: int) -> None:
    forms: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    tally, with_record = Tally(), Tally()
    for sentence in generator.sentences(count, seed):
        findings = find(sentence.text, sentence.known)
        (with_record if sentence.known else tally).add(sentence.text, sentence.spans, findings)
        for kind, start, end in sentence.spans:
            hit = any(f.kind == kind and f.start <= start and end <= f.end for f in findings)
            forms[sentence.form][0] += 1
            forms[sentence.form][1] += hit
    tally.show(f"generated sentences without a customer record ({count} in all, seed {seed})", most_mistakes)
    with_record.show("generated sentences with a customer record", most_mistakes)
    print("\nform          in text   wholly inside one finding")
    for form, (total, hit) in sorted(forms.items()):
        print(f"{form:<14}{total:>7}{_rate(hit, total):>12}")


def _own(text: str, start: int, end: int) -> list[int]:
    """The characters of an entity that must be covered."""
    if "\n" not in text[start:end]:
        return [index for index in range(start, end) if text[index].isalnum()]
    pieces = [match.span() for match in _PIECE.finditer(text, start, end)]
    return [i for a, b in pieces if b - a > 1 or text[a].isascii() for i in range(a, b)]


def _found_in_turns(text: str, known: dict[str, str] | None) -> list[Finding]:
    """What is found turn by turn, with offsets into the whole text."""
    turns, starts, position = [], [], 0
    for line in text.split("\n"):
        match = _TURN.fullmatch(line)
        speaker, said = (match[1] or "", match[2]) if match else ("", line)
        turns.append((speaker, said))
        starts.append(position + len(line) - len(said))
        position += len(line) + 1
    return [
        Finding(found.kind, found.start + start, found.end + start, found.text)
        for start, findings in zip(starts, find_turns(Session(known), turns), strict=True)
        for found in findings
    ]


# The first run of each labelled set, when nothing had been written with sight of it: printed beside every later one.
FIRST_RUNS = {
    "a5f7652b0a2bb7fc": "structured recall 0.826 precision 0.992, names with a record 0.976 and 0.930",
    "7c3ff171d7c052be": "structured recall 0.913 precision 0.995, names with a record 0.783 and 0.837",
}


def labelled(path: Path, most_mistakes: int) -> None:
    tally, with_record, count = Tally(), Tally(), 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            spans = [(span["kind"], span["start"], span["end"]) for span in row["spans"]]
            known = row.get("known")
            (with_record if known else tally).add(row["text"], spans, _found_in_turns(row["text"], known))
            count += 1
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"\n{path.name}  sha256 {digest}\nfirst run: {FIRST_RUNS.get(digest[:16], 'this one')}")
    tally.show(f"{path.name}: sentences without a customer record ({count} in all)", most_mistakes)
    with_record.show(f"{path.name}: sentences with a customer record", most_mistakes)


def crosswoz(folder: Path) -> list[str]:
    """Recall on the 电话 and 地址 values that a turn gives by its annotation, where they stand in it word for word."""
    texts: list[str] = []
    values: list[tuple[int, str, str]] = []
    for archive in sorted(folder.glob("*.json.zip")):
        with zipfile.ZipFile(archive) as opened:
            dialogues = json.loads(opened.read(opened.namelist()[0]))
        for dialogue in dialogues.values():
            for message in dialogue["messages"]:
                for act, _, slot, value in message["dialog_act"]:
                    if act in ("Inform", "Recommend") and slot in ("电话", "地址") and value:
                        values += [
                            (len(texts), slot, part) for part in _parts(slot, value) if part in message["content"]
                        ]
                texts.append(message["content"])
    findings = find_many(texts)
    counts: Counter[tuple[str, str]] = Counter()
    for index, slot, value in values:
        text, hotline = texts[index], slot == "电话" and value.startswith(("400", "800", "95"))
        slot = "热线" if hotline else slot
        start = text.index(value)
        inside = [
            any(f.start <= i < f.end for f in findings[index])
            for i in range(start, start + len(value))
            if text[i].isalnum()
        ]
        counts[slot, "all"] += 1
        counts[slot, "found"] += any(inside)
        counts[slot, "covered"] += all(inside)
    print(f"\nCrossWOZ validation and test: {len(texts)} messages\n{'slot':<6}{'values':>8}{'found':>9}{'covered':>9}")
    for slot in ("电话", "热线", "地址"):
        total = counts[slot, "all"]
        print(f"{slot:<6}{total:>8}{_rate(counts[slot, 'found'], total):>9}{_rate(counts[slot, 'covered'], total):>9}")
    print("热线 (400, 800, 95…) is a company's number, left alone on purpose.")
    return texts


def _parts(slot: str, value: str) -> Iterator[str]:
    """An annotated value may list several telephone numbers."""
    parts = value.replace(",", " ").split() if slot == "电话" else [value.strip()]
    yield from (part for part in parts if len(part) > 3 and (slot == "地址" or any(char.isdigit() for char in part)))


def statutes(folder: Path) -> None:
    counts: Counter[str] = Counter()
    chars, seconds, files = 0, 0.0, sorted(folder.rglob("*.md"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        begun = time.perf_counter()
        counts.update(finding.kind for finding in find(text))
        seconds += time.perf_counter() - begun
        chars += len(text)
    rate = counts.total() / chars * 10_000
    print(f"\nstatutes: {len(files)} files, {chars} characters, {counts.total()} findings ({dict(counts)})")
    print(f"{rate:.3f} per 10,000 characters, all taken as false; {chars / seconds:,.0f} characters/s")


def speed(count: int, seed: int, wanted: float) -> None:
    messages = generator.messages(count, seed, share=wanted)
    mean = sum(map(len, messages)) / count
    findings = find_many(messages)
    mask_many(messages)  # warm: imports, caches of compiled patterns
    share = sum(map(bool, findings)) / count
    ours, masking = _best(lambda: find_many(messages)), _best(lambda: mask_many(messages))
    single = _best(lambda: [find(message) for message in messages])
    print(f"\nspeed on {count} messages of {mean:.1f} characters, {share:.1%} with personal data; one process")
    print(f"{'':<34}{'s':>8}{'messages/s':>12}{'findings':>10}")
    print(f"{'tianjing find_many':<34}{ours:>8.2f}{count / ours:>12,.0f}{sum(map(len, findings)):>10}")
    print(f"{'tianjing mask_many':<34}{masking:>8.2f}{count / masking:>12,.0f}")
    print(f"{'tianjing find, one by one':<34}{single:>8.2f}{count / single:>12,.0f}")
    peer = _presidio()
    if peer is None:
        print("presidio-analyzer is not installed: no comparison")
        return
    found = sum(map(peer, messages))
    taken = _best(lambda: sum(map(peer, messages)))
    print(f"{'Presidio, blank zh pipeline':<34}{taken:>8.2f}{count / taken:>12,.0f}{found:>10}")
    print(f"ratio: {taken / ours:.1f} (find_many), {taken / single:.1f} (one by one)")


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs: the others were slowed by something else."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def _presidio() -> Callable[[str], int] | None:
    """Presidio on a blank Chinese pipeline: a pattern recogniser for each kind, with context words and check digits."""
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    except ImportError:
        return None

    class Blank(SpacyNlpEngine):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(
                models=[{"lang_code": "zh", "model_name": "blank"}], ner_model_configuration=NerModelConfiguration()
            )
            self.nlp = {"zh": spacy.blank("zh")}

    class Checked(PatternRecognizer):  # type: ignore[misc]
        """A pattern whose check digit must be right, where the entity has one."""

        def validate_result(self, pattern_text: str) -> bool | None:
            check = checks.get(self.supported_entities[0])
            return check(plain_digits(fold(pattern_text)) or pattern_text) if check else None

    checks = {"CN_ID": is_resident_id, "CN_CARD": is_luhn, "CN_CREDIT_CODE": is_credit_code}
    registry = RecognizerRegistry(supported_languages=["zh"])
    for name, (pattern, context) in generator.PRESIDIO_PATTERNS.items():
        recogniser: Any = Checked(
            supported_entity=name,
            patterns=[Pattern(name, pattern, 0.8)],
            context=list(context) or None,
            supported_language="zh",
        )
        registry.add_recognizer(recogniser)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["zh"])
    analyzer.analyze("预热", language="zh")
    return lambda text: len(analyzer.analyze(text, language="zh"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generated", type=int, default=4000, help="sentences to generate; 0 for none")
    parser.add_argument("--sentences", type=Path, help="labelled sentences, JSON Lines: id, text, known, spans")
    parser.add_argument("--crosswoz", type=Path, help="folder with CrossWOZ's *.json.zip")
    parser.add_argument("--laws", type=Path, help="folder with statutes as Markdown")
    parser.add_argument("--messages", type=int, default=20_000, help="messages of the comparison of speed; 0 for none")
    parser.add_argument(
        "--share", type=float, default=0.1, help="share of messages with personal data (CrossWOZ: 0.09); as many decoys"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mistakes", type=int, default=10, help="mistakes to print of each set")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}")
    if arguments.generated:
        generated(arguments.generated, arguments.seed, arguments.mistakes)
    if arguments.sentences:
        labelled(arguments.sentences, arguments.mistakes)
    if arguments.crosswoz:
        crosswoz(arguments.crosswoz)
    if arguments.laws:
        statutes(arguments.laws)
    if arguments.messages:
        speed(arguments.messages, arguments.seed, arguments.share)


if __name__ == "__main__":
    main()
