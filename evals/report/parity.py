"""The section on parity, from the folder that `tianjing eval parity` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evals.errors import EvalError
from evals.report.difference import side_by_side

Json = Mapping[str, Any]

SUMMARY, PAIRS = "parity.json", "pairs.jsonl"
MOST_SHOWN = 40


@dataclass(frozen=True)
class Difference:
    """An item that two ways answered differently, of the pairs that decide."""

    row: Json
    texts: tuple[Markup, Markup]


@dataclass(frozen=True)
class Parity:
    """The check's summary, and the first of its `differing` items with both texts."""

    summary: Json
    differences: list[Difference]
    differing: int


def read_parity(folder: Path) -> Parity:
    """Read a parity check back.

    Raises:
        EvalError: the folder is no parity check.
    """
    for name in (SUMMARY, PAIRS):
        if not (folder / name).is_file():
            raise EvalError(f"{folder / name}: missing", "give the folder that 'tianjing eval parity' wrote")
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    deciding = {(pair["a"], pair["b"]) for pair in summary["pairs"] if pair["decides"]}
    rows = [row for row in _rows(folder / PAIRS) if (row["a"], row["b"]) in deciding and _differs(row)]
    # A fault is worse than a rounding, and a closed-form answer that differs is what the verdict counts.
    rows.sort(key=lambda row: (row["outcome"] == "rounding", not row["closed"], row["item"], row["a"], row["b"]))
    shown = [Difference(row, side_by_side(row["text_a"] or "", row["text_b"] or "")) for row in rows[:MOST_SHOWN]]
    return Parity(summary, shown, len(rows))


def _rows(path: Path) -> Iterator[Json]:
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _differs(row: Json) -> bool:
    """As the verdict sees it: texts of free tasks may part by rounding alone."""
    return row["outcome"] in ("fault", "prompt", "error") or (row["closed"] and not row["equal"])
