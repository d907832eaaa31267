"""What the timeline writes into the knowledge artefact: timeline.jsonl and proposals.jsonl.

Both hold the customer's key as dialogues hold it, and nothing by which a person could be known: identity values are
masked, texts are redacted, places point back into the raw folder.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from tianjing.config import StrictModel

EntryKind = Literal[
    "account", "contact", "dialogue_opened", "document", "event", "outcome", "record", "dialogue_closed"
]
Confidence = Annotated[float, Field(ge=0, le=1)]


class TimelineEntry(StrictModel):
    """One thing that happened to, or became known of, a customer."""

    at: str
    """ISO 8601: with its offset as in the source, or a date where the source has no time (it sorts at day start)."""
    kind: EntryKind
    id: str
    """Id of the row, or of the case it belongs to; with `source` and `row` the way back."""
    source: str
    """Its file, without the ending: events and outcomes of this artefact, as they were cleaned; of the raw folder
    dialogues, accounts, contacts, records and documents."""
    row: int
    """Line of that file on which it opens, the first is 1; of Parquet the row."""
    details: dict[str, Any] = {}
    """What a reader wants to see at once: channel and agent, activity, name and value, product and arrears."""


class Month(StrictModel):
    """What one calendar month of a customer came to, all products together."""

    month: str
    """2026-01"""
    contacts: dict[str, int] = {}
    """Contacts by kind: attempt, effective, message."""
    cases: int = 0
    """Dialogues that began."""
    promises_kept: int = 0
    promises_broken: int = 0
    complaints: int = 0
    arrears_yuan: float | None = None
    """Overdue at the end of the month: the last snapshot of each account by then; None before the first."""
    products: tuple[str, ...] = ()
    """Products of the accounts known by then."""


class CustomerTimeline(StrictModel):
    """One customer (经营一个人, not one account): entries in order, months, and where things stand."""

    customer: str
    entries: tuple[TimelineEntry, ...]
    undated: tuple[TimelineEntry, ...] = ()
    """Rows without a time, in the order of kind and id."""
    months: tuple[Month, ...] = ()
    accounts: dict[str, dict[str, Any]] = {}
    """Account -> its last snapshot: product, days and yuan overdue, as_of."""
    first_at: str = ""
    last_at: str = ""


class ProposalSource(StrictModel):
    """Where a value was read: characters `start` to `end` of a document's text or of a turn."""

    kind: Literal["document", "dialogue"]
    id: str
    turn: int | None = None
    """Index of the turn, the first is 0."""
    start: int
    end: int
    boxes: tuple[int, ...] = ()
    """Indexes of the recognised boxes, of a document that has them; offsets then count in reading order."""


class ProfileProposal(StrictModel):
    """A value for a field of a customer's profile. It is proposed; the profile itself is never written."""

    customer: str
    field: str
    value: str | float | int
    """Masked where the field names a person (name, resident id, telephone, card, address, employer)."""
    current: str | float | int | None = None
    """What the profile holds, masked likewise."""
    status: Literal["new", "agrees", "conflicts"]
    """`conflicts`: with the profile, with another source of the same time, or with the paper's own other figures."""
    source: ProposalSource
    confidence: Confidence
    """Rough share of such readings that are right (`scripts/bench/timeline.py` measures it)."""
    as_of: date | None = None
    """The day that the value is true of, as far as the source says."""
    evidence: str = ""
    """The sentence, redacted."""
    reasons: tuple[str, ...] = ()
    """Of a conflict: `profile`, the id of the other source, or the check that the paper fails."""
