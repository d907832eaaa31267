"""What other checks say of the same models: the folders that `tianjing eval parity` and `eval judge` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evals.errors import EvalError
from evals.report.difference import side_by_side
from tianjing.privacy import mask

Json = Mapping[str, Any]

PARITY, PAIRS = "parity.json", "pairs.jsonl"
JUDGEMENT, VERDICTS = "summary.json", "verdicts.jsonl"
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


@dataclass(frozen=True)
class Annexes:
    """Sections of the page that the evaluation itself does not hold.

    Attributes:
        judgements: what judges found, each the summary of one folder. They advise, they decide nothing.
    """

    parity: Parity | None = None
    judgements: Sequence[Json] = ()


def read_annexes(parity: Path | None, judgements: Sequence[Path]) -> Annexes:
    """Read the folders given.

    Raises:
        EvalError: one is not what it is given as.
    """
    checked = None if parity is None else _parity(parity)
    return Annexes(checked, [_judgement(folder) for folder in judgements])


def _parity(folder: Path) -> Parity:
    summary = _read(folder, "tianjing eval parity", PARITY, PAIRS)
    deciding = {(pair["a"], pair["b"]) for pair in summary["pairs"] if pair["decides"]}
    rows = [row for row in _rows(folder / PAIRS) if (row["a"], row["b"]) in deciding and _differs(row)]
    # A fault is worse than a rounding, and a closed-form answer that differs is what the verdict counts.
    rows.sort(key=lambda row: (row["outcome"] == "rounding", not row["closed"], row["item"], row["a"], row["b"]))
    shown = [Difference(row, side_by_side(_masked(row["text_a"]), _masked(row["text_b"]))) for row in rows[:MOST_SHOWN]]
    return Parity(summary, shown, len(rows))


def _judgement(folder: Path) -> Json:
    return _read(folder, "tianjing eval judge", JUDGEMENT, VERDICTS)


def _read(folder: Path, command: str, summary: str, rows: str) -> Json:
    for name in (summary, rows):
        if not (folder / name).is_file():
            raise EvalError(f"{folder / name}: missing", f"give the folder that '{command}' wrote")
    found: Json = json.loads((folder / summary).read_text(encoding="utf-8"))
    return found


def _masked(text: str | None) -> str:
    return mask(text or "").text


def _rows(path: Path) -> Iterator[Json]:
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _differs(row: Json) -> bool:
    """As the verdict sees it: texts of free tasks may part by rounding alone."""
    return row["outcome"] in ("fault", "prompt", "error") or (row["closed"] and not row["equal"])
