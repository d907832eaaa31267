"""A draft row: what a task builder proposes, before duplicates, leakage, balance and personal data are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tianjing.records import Clause, Dialogue, Split
from tianjing.text import compact


@dataclass(frozen=True)
class Draft:
    """`informative` is the text whose surface must not be shared between train and test; `stratum` balances.

    `at_most` is set on rows of a class that may only be this share of their task and split. `origin` is whose wording
    it is: people's, a template's over a provision, or a teacher model's.
    """

    id: str
    task: str
    group: str
    split: Split
    fields: Mapping[str, Any]
    reference: Mapping[str, Any]
    informative: str
    stratum: str
    sources: tuple[str, ...]
    clause_ids: tuple[str, ...] = ()
    practice_ids: tuple[str, ...] = ()
    licence: str = ""
    weight: float = 1.0
    origin: Literal["log", "derived", "teacher"] = "log"
    at_most: float | None = None


@dataclass
class Drafts:
    """Rows of one task, and what was dropped, by reason."""

    rows: list[Draft] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def turn_id(dialogue: Dialogue, index: int) -> str:
    """How a turn is cited as a source."""
    return f"{dialogue.id}#{index}"


def last_customer_turn(dialogue: Dialogue, before: int) -> int | None:
    """Index of the customer's last turn before turn `before`."""
    return next((i for i in range(before - 1, -1, -1) if dialogue.turns[i].speaker == "customer"), None)


def by_compact_name(clauses: Iterable[Clause]) -> dict[str, str]:
    """Document names as spoken (without spaces and brackets) -> document."""
    return {compact(clause.document).strip("《》"): clause.document for clause in clauses}
