"""The records that a timeline is made of, as streams: each is opened anew for every pass, none is held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tianjing.records import Account, Contact, Customer, Dialogue, Document, Event, Outcome, Record

DEFAULT_IDENTITY_FIELDS = ("name", "mobile", "landline", "id_card", "bank_card", "email", "address", "employer")


@dataclass(frozen=True)
class TimelineSources:
    """Iterables that can be iterated more than once: lists, or objects that read a file each time.

    `customers` are read as they are; their `identity_fields` are compared in the clear and never written.
    """

    dialogues: Iterable[Dialogue] = ()
    events: Iterable[Event] = ()
    outcomes: Iterable[Outcome] = ()
    customers: Iterable[Customer] = ()
    accounts: Iterable[Account] = ()
    contacts: Iterable[Contact] = ()
    records: Iterable[Record] = ()
    documents: Iterable[Document] = ()
    identity_fields: Sequence[str] = DEFAULT_IDENTITY_FIELDS
    dialogue_lines: Mapping[str, int] = field(default_factory=dict)
    """By id of a dialogue the line of its file that it opens on."""
    lines: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By name of another source the line of each record. Records of which none is told are counted from 1."""
