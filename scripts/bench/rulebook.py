"""Rulebook: recall and precision on labelled turns, false alarms on dialogues that are not finance, and speed.

    python scripts/bench/rulebook.py --turns tests/data/rulebook_turns.jsonl --data ../shared/data

A labelled turn is one JSON object a line: "id", "text" (an agent turn), "topic" (of the rulebook's topics, or null or
"none" when the turn is fine; a list when several apply) and, for an obfuscated twin, "twin_of" or "obfuscated".
A breach counts as found when any rule fires; a topic's recall when a rule of that topic fires. Exit 1 below 0.97.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import time
import zipfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from tianjing.records import Turn
from tianjing.rulebook import Rule, Rulebook, check_turns
from tianjing.rulebook.schema import DisclosureCheck

WANTED = 0.97
# The first run of each labelled set, when no pattern had been written with sight of it: printed beside every later one.
FIRST_RUNS = {
    "62f4485c83c6c772": "recall 0.5779  precision 0.9077  (plain 216 of 366, twins 207 of 366, 43 false of 384 clean)",
    "089562572ffdce22": "recall 0.7133  precision 0.9106  (plain 113 of 150, twins 101 of 150, 21 false of 200 clean)",
}
CLEAN = frozenset(("", "none", "clean", "fine", "ok", "null"))


def topics_of(row: dict[str, Any]) -> set[str]:
    value = row.get("topics", row.get("topic"))
    names = value if isinstance(value, list) else [value]
    return {str(name) for name in names if name is not None and str(name).lower() not in CLEAN}


def is_twin(row: dict[str, Any]) -> bool:
    return bool(row.get("twin_of") or row.get("obfuscated"))


def found_in(book: Rulebook, text: str, day: date) -> list[tuple[str, str, str]]:
    """(topic, rule, evidence) of every finding in one agent turn."""
    topic = {rule.id: rule.topic for rule in book}
    findings = check_turns(book, [Turn(speaker="agent", text=text)], day)
    return [(topic[finding.rule], finding.rule, finding.evidence) for finding in findings]


def single_turn_rules(book: Rulebook) -> Rulebook:
    """Without duties of a whole dialogue, which one turn cannot fulfil."""

    def one_turn_is_enough(rule: Rule) -> bool:
        check = rule.check
        return not isinstance(check, DisclosureCheck) or bool(check.when and check.within == "same_turn")

    return book.only(one_turn_is_enough)


def measure(path: Path, book: Rulebook, day: date, show: int) -> bool:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}  {len(rows)} turns  sha256 {digest}")
    if digest[:16] in FIRST_RUNS:
        print(f"first  {FIRST_RUNS[digest[:16]]}")
    counts: Counter[tuple[str, str]] = Counter()
    per_topic: dict[str, Counter[str]] = {}
    confusion: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for row in rows:
        wanted, found = topics_of(row), found_in(book, row["text"], day)
        kind = "twin" if is_twin(row) else "plain"
        outcome = ("tp" if found else "fn") if wanted else ("fp" if found else "tn")
        counts[kind, outcome] += 1
        said = {topic for topic, _, _ in found}
        for topic in wanted:
            tally = per_topic.setdefault(topic, Counter())
            tally["breaches"] += 1
            tally["found"] += bool(found)
            tally["as this topic"] += topic in said
        for topic in said:
            per_topic.setdefault(topic, Counter())["alarms"] += 1
            per_topic[topic]["false alarms"] += not wanted
        for _, rule, _ in found:
            confusion[rule, "+".join(sorted(wanted)) or "fine"] += 1
        if outcome in ("fn", "fp"):
            wrong.append(f"{outcome}  {'+'.join(sorted(wanted)) or 'fine':24s} {row['text']}  {found or ''}")
    total = {outcome: counts["plain", outcome] + counts["twin", outcome] for outcome in ("tp", "fn", "fp", "tn")}
    recall = _share(total["tp"], total["fn"])
    precision = _share(total["tp"], total["fp"])
    print(f"all    recall {recall:.4f}  precision {precision:.4f}  {total}")
    for kind in ("plain", "twin"):
        hits, missed = counts[kind, "tp"], counts[kind, "fn"]
        print(f"{kind:6s} recall {_share(hits, missed):.4f}  ({hits} of {hits + missed} breaches)")
    print(f"\n{'topic':22s} breaches  found  recall  as this topic  alarms  false")
    for topic, tally in sorted(per_topic.items()):
        share = _share(tally["found"], tally["breaches"] - tally["found"])
        print(
            f"{topic:22s} {tally['breaches']:8d} {tally['found']:6d}  {share:6.3f}  {tally['as this topic']:13d}"
            f"  {tally['alarms']:6d}  {tally['false alarms']:5d}"
        )
    print(f"\n{'rule':32s} labelled as: turns")
    for rule in sorted({rule for rule, _ in confusion}):
        parts = [f"{label}: {count}" for (name, label), count in confusion.most_common() if name == rule]
        print(f"{rule:32s} {', '.join(parts)}")
    if show:
        print("\nwrong:", *wrong[:show], sep="\n  ")
    return recall >= WANTED and precision >= WANTED


def _share(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else float("nan")


def crosswoz(data: Path) -> list[str]:
    """Agent and system turns of CrossWOZ (travel, no finance): any hit is false."""
    texts = []
    for name in ("val", "test"):
        with zipfile.ZipFile(data / "crosswoz" / f"{name}.json.zip") as archive:
            dialogues = json.loads(archive.read(archive.namelist()[0]))
        texts += [m["content"] for d in dialogues.values() for m in d["messages"] if m["role"] != "usr"]
    return texts


def false_alarms(book: Rulebook, texts: list[str], day: date, show: int) -> None:
    hits = [(text, found) for text in texts if (found := found_in(book, text, day))]
    characters = sum(map(len, texts))
    print(
        f"\nCrossWOZ agent and system turns: {len(hits)} of {len(texts)} turns ({characters} characters) raise an alarm"
    )
    for text, found in hits[:show]:
        print(f"  {text}  {found}")


def speed(book: Rulebook, texts: list[str]) -> None:
    matcher = book.matcher()
    messages = [text for text in texts if text][:20_000]
    started = time.perf_counter()
    with_hits = sum(1 for text in messages if matcher.find(text))
    seconds = time.perf_counter() - started
    size = sum(map(len, messages))
    print(
        f"\nwhole: {len(messages) / seconds:,.0f} messages/s of {size / len(messages):.0f} characters"
        f" ({size / seconds / 1e6:.2f} M characters/s), {with_hits} with hits, one core"
    )
    window, pieces = "", 0
    started = time.perf_counter()
    for text in messages[:2_000]:
        window = ""
        for at in range(0, len(text), 4):
            window += text[at : at + 4]
            done = matcher.decided(window)
            window = window[max(0, done - matcher.left_context_chars) :]
            pieces += 1
    seconds = time.perf_counter() - started
    print(f"stream: {seconds / pieces * 1e6:.1f} µs per piece of 4 characters ({pieces} pieces)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=Path, help="labelled turns, JSON Lines")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with crosswoz/")
    parser.add_argument("--pack", type=Path, action="append", default=[])
    parser.add_argument("--on", type=date.fromisoformat, default=date(2026, 11, 1), help="judge as on this day")
    parser.add_argument("--show", type=int, default=0, help="print this many wrong turns")
    arguments = parser.parse_args()
    book = single_turn_rules(Rulebook.load(arguments.pack).on(arguments.on).within("consumer_finance"))
    print(f"{platform.machine()}, Python {platform.python_version()}, {len(book)} rules read a single turn")
    good = measure(arguments.turns, book, arguments.on, arguments.show) if arguments.turns else True
    if (arguments.data / "crosswoz").is_dir():
        texts = crosswoz(arguments.data)
        false_alarms(book, texts, arguments.on, arguments.show)
        speed(book, texts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
