"""A judgement on the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def console_table(summary: Mapping[str, Any]) -> Table:
    """The measure per arm, and what is behind it."""
    from rich.table import Table

    measure = summary["measures"][0]
    table = Table(title=f"{measure['name']} by {summary['judge']['model']}")
    for column in ("", "value", "interval", "raw", "specificity", "sensitivity", "α with people", "undecided"):
        table.add_column(column)
    for arm, estimate in measure["arms"].items():
        behind = summary.get("arms", {}).get(arm, {})
        raw = behind.get("raw", {}).get("value")
        names = ("specificity", "sensitivity", "alpha_people")
        undecided = behind["undecided"] if behind else summary["pairs"]["undecided"]
        shown = [_number(raw), *(_number(behind.get(name)) for name in names), str(undecided)]
        table.add_row(arm, _number(estimate["value"]), _interval(estimate), *shown)
    difference = measure["difference"]
    if difference is not None:
        table.add_row("difference", _number(difference["value"]), _interval(difference), *[""] * 5)
    return table


def _interval(estimate: Mapping[str, float | None]) -> str:
    return f"{_number(estimate['low'])} to {_number(estimate['high'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
