"""How well answers are read out of outputs: accuracy by kind, and letters where the right action is to read none.

    python scripts/bench/evals_extraction.py SHAPES.jsonl

Each line: id, kind (single | multiple | judge), question, options (texts, A first), output, finish_reason, and gold:
letters, 对 or 错, or INVALID. Prints SHA-256 of the file, the table, and every failure. Beside it stand four rules that
other harnesses use, written anew from their descriptions: the first and the last capital A to J of the output, the
letters straight behind 答案： or 答案是 or else at the start, and the last letter straight behind 答案：.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evals.extract import read_choice, read_judgement
from tianjing.files import sha256_file

INVALID = "INVALID"
KINDS = ("single", "multiple", "judge")
_NEEDED = ("id", "kind", "output", "gold")


@dataclass(frozen=True)
class Shape:
    """One output with what should be read from it."""

    id: str
    kind: str
    question: str
    options: list[str]
    output: str
    finish_reason: str
    gold: str


def shapes(path: Path, limit: int | None) -> Iterator[Shape]:
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if limit is not None and number > limit:
                return
            if not line.strip():
                continue
            row = json.loads(line)
            missing = [name for name in _NEEDED if name not in row]
            if missing or row["kind"] not in KINDS:
                raise SystemExit(f"{path}:{number}: needs {', '.join(_NEEDED)}, and kind one of {', '.join(KINDS)}")
            gold = row["gold"] or INVALID
            if row["kind"] != "judge" and gold != INVALID:
                gold = "".join(sorted(re.findall("[A-J]", gold)))
            yield Shape(
                str(row["id"]),
                row["kind"],
                row.get("question") or "",
                list(row.get("options") or ()),
                row["output"],
                row.get("finish_reason") or "stop",
                gold,
            )


def ours(shape: Shape) -> tuple[str, str]:
    if shape.kind == "judge":
        answer, rule = read_judgement(shape.output, shape.finish_reason, shape.options, shape.question)
    else:
        multiple = shape.kind == "multiple"
        answer, rule = read_choice(shape.output, shape.options, multiple, shape.finish_reason, shape.question)
    return answer or INVALID, rule


def first_capital(shape: Shape) -> str:
    found = re.search("[A-J]", shape.output)
    return found[0] if found else INVALID


def last_capital(shape: Shape) -> str:
    found = re.findall("[A-J]", shape.output)
    return found[-1] if found else INVALID


def behind_the_word(shape: Shape) -> str:
    text = re.sub("[、,， ]", "", shape.output.strip())
    found = re.search("答案[是：:]+([A-F]+)", text) or re.match("([A-F]+)", text)
    return "".join(sorted(found[1])) if found else INVALID


def last_line_form(shape: Shape) -> str:
    found = re.findall("答案：([A-J])", shape.output)
    return found[-1] if found else INVALID


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", type=Path, help="JSON Lines file of outputs with what should be read")
    parser.add_argument("--limit", type=int, help="only the first so many lines")
    parser.add_argument("--quiet", action="store_true", help="no list of failures")
    options = parser.parse_args()
    rows = list(shapes(options.shapes, options.limit))
    began = time.perf_counter()
    read = [ours(row) for row in rows]
    seconds = time.perf_counter() - began
    print(f"{options.shapes.name}: {len(rows)} outputs, SHA-256 {sha256_file(options.shapes)}")
    print(f"{len(rows) / seconds:,.0f} outputs/s on one core, {platform.processor() or platform.machine()}\n")
    _table("ours", rows, [answer for answer, _ in read])
    rules: dict[str, Callable[[Shape], str]] = {
        "first capital": first_capital,
        "last capital": last_capital,
        "behind 答案": behind_the_word,
        "last 答案：X": last_line_form,
    }
    choices = [row for row in rows if row.kind != "judge"]
    for name, reads in rules.items():
        _table(name, choices, [reads(row) for row in choices])
    if not options.quiet:
        for row, (answer, rule) in zip(rows, read, strict=True):
            if answer != row.gold:
                print(
                    f"{row.id} [{row.kind}, {row.finish_reason}] want {row.gold}, got {answer} by {rule}:",
                    repr(row.output),
                )


def _table(name: str, rows: list[Shape], answers: list[str]) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    guessed = 0
    for row, answer in zip(rows, answers, strict=True):
        right[row.kind].append(answer == row.gold)
        guessed += row.gold == INVALID and answer != INVALID
    parts = [f"{kind} {sum(right[kind])}/{len(right[kind])}" for kind in KINDS if right[kind]]
    hits = sum(sum(each) for each in right.values())
    share = hits / len(rows) if rows else 0.0
    print(f"{name:<15} {share:7.2%}  {', '.join(parts)}; answers read where there is none: {guessed}")


if __name__ == "__main__":
    main()
