"""A draft row: what a task builder proposes, before duplicates, leakage, balance and personal data are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tianjing.records import Clause, Dialogue, Split
from tianjing.text import compact

Origin = Literal["log", "derived", "teacher"]


@dataclass(frozen=True)
class Draft:
    """`informative` is the text whose surface must not be shared between train and test; `stratum` balances.

    `at_most` is set on rows of a class that may only be this share of their task and split; of those, rows of a lower
    `turn_away` stay longer. `customer` and `session` (a dialogue id) are "" where a row comes from no conversation.
    `origin`: what people said and logged, what is derived from a clause or a finding, or what a teacher wrote.
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
    at_most: float | None = None
    turn_away: int = 0
    weight: float = 1.0
    customer: str = ""
    session: str = ""
    origin: Origin = "log"

    @property
    def links(self) -> tuple[str, ...]:
        """Keys that two rows of different splits must not share, as `kind:value`: customer, session, clause, group."""
        named = (("customer", self.customer), ("session", self.session), ("group", self.group))
        clauses = tuple(f"clause:{clause}" for clause in self.clause_ids)
        return (*(f"{kind}:{value}" for kind, value in named if value), *clauses)


@dataclass
class Drafts:
    """Rows of one task, and what was dropped, by reason."""

    rows: list[Draft] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def from_dialogue(
    task: str, dialogue: Dialogue, turn: int, splits: Mapping[str, Split], licence: str, **rest: Any
) -> Draft:
    """A row about one turn of a dialogue: its id, group, split and links; `rest` are the other fields of Draft."""
    return Draft(
        id=f"{task}:{turn_id(dialogue, turn)}",
        task=task,
        group=dialogue.customer,
        split=splits[dialogue.customer],
        customer=dialogue.customer,
        session=dialogue.id,
        licence=licence,
        **rest,
    )


def turn_id(dialogue: Dialogue, index: int) -> str:
    """How a turn is cited as a source."""
    return f"{dialogue.id}#{index}"


def last_customer_turn(dialogue: Dialogue, before: int) -> int | None:
    """Index of the customer's last turn before turn `before`."""
    return next((i for i in range(before - 1, -1, -1) if dialogue.turns[i].speaker == "customer"), None)


def by_compact_name(clauses: Iterable[Clause]) -> dict[str, str]:
    """Document names as spoken (without spaces and brackets) -> document."""
    return {compact(clause.document).strip("《》"): clause.document for clause in clauses}
