"""Customer timelines and profile proposals, scored on raw folders whose truth is known.

    tianjing simulate --cases 3000 --seed 48211 --out raw
    python scripts/bench/timeline.py raw [raw …] [--parts documents]

`documents`: every field of every proof document against truth/documents.jsonl, which holds the fields as printed.
Precision is the share of the values read that are right, recall the share of the values printed that were read right.
"""

from __future__ import annotations

import argparse
import json
import platform
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from data_recipes.timeline.document_reader import FieldReading, read_fields
from data_recipes.timeline.page import page_of
from tianjing.records import Document

Truth = dict[str, Any]


def pairs(folder: Path) -> Iterator[tuple[Document, Truth]]:
    """Each document with its truth."""
    truth = {row["document"]: row for row in map(json.loads, open(folder / "truth" / "documents.jsonl", encoding="utf-8"))}
    for line in open(folder / "documents.jsonl", encoding="utf-8"):
        document = Document.model_validate(json.loads(line))
        if document.id in truth:
            yield document, truth[document.id]


def same(read: object, printed: object) -> bool:
    """Whether a value read is the value printed: money to the cent, words without spaces."""
    if isinstance(printed, int | float) and not isinstance(printed, bool):
        return isinstance(read, int | float) and abs(float(read) - float(printed)) < 0.005
    if isinstance(read, date):
        return read.isoformat() == printed
    return "".join(str(read).split()) == "".join(str(printed).split())


def score_documents(folders: list[Path], show: bool, kinds: list[str] | None) -> None:
    """Print precision and recall by field and by kind."""
    by_field: dict[str, Counter[str]] = defaultdict(Counter)
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    by_variant: dict[str, Counter[str]] = defaultdict(Counter)
    documents, started = 0, time.perf_counter()
    for folder in folders:
        for document, truth in pairs(folder):
            if kinds and document.kind not in kinds:
                continue
            documents += 1
            read = read_fields(page_of(document), document.kind)
            printed = {name: value for name, value in truth["fields"].items() if name != "rows"}
            form = truth["variant"] + (", boxes" if document.boxes is not None else ", text")
            for name in sorted(printed.keys() | read.keys()):
                verdict = _verdict(read.get(name), printed.get(name))
                for table, key in ((by_field, name), (by_kind, document.kind), (by_variant, form)):
                    table[key].update(verdict)
                if show and verdict["right"] == 0:
                    print(document.id, document.kind, form, name, printed.get(name), read.get(name), sep=" | ")
    seconds = time.perf_counter() - started
    for title, table in (("variant", by_variant), ("kind", by_kind), ("field", by_field)):
        print(f"\n| {title} | printed | read | precision | recall |\n|---|---|---|---|---|")
        for key in sorted(table):
            _row(key, table[key])
    _row("**all**", sum(by_kind.values(), Counter()))
    print(f"\n{documents} documents in {seconds:.1f} s, {documents / seconds:.0f} a second on one core; {machine()}")


def _verdict(read: FieldReading | None, printed: object) -> Counter[str]:
    right = read is not None and printed is not None and same(read.value, printed)
    return Counter(printed=printed is not None, read=read is not None, right=right)


def _row(key: str, count: Counter[str]) -> None:
    precision = count["right"] / count["read"] if count["read"] else float("nan")
    recall = count["right"] / count["printed"] if count["printed"] else float("nan")
    print(f"| {key} | {count['printed']} | {count['read']} | {precision:.3f} | {recall:.3f} |")


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="raw folders with truth/")
    parser.add_argument("--kinds", nargs="*", help="only these kinds of documents")
    parser.add_argument("--show", action="store_true", help="list every wrong or missing field")
    arguments = parser.parse_args()
    score_documents(arguments.folders, arguments.show, arguments.kinds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
