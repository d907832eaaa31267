"""Records to timeline entries: what of each record a reader wants to see at once, and when it happened.

Details hold no free text, number or address: those stay where `source` and `row` point to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from data_recipes.timeline.document_reader import FieldReading, read_fields
from data_recipes.timeline.page import page_of
from data_recipes.timeline.records import EntryKind
from data_recipes.timeline.sources import TimelineSources
from tianjing.records import DEFAULT_TIME_ZONE, Dialogue

# At one instant: what was known, what was done, what came of it.
KIND_ORDER: Final[tuple[EntryKind, ...]] = (
    "account",
    "record",
    "document",
    "contact",
    "dialogue_opened",
    "event",
    "dialogue_closed",
    "outcome",
)
T = TypeVar("T")
_ZONE: Final = ZoneInfo(DEFAULT_TIME_ZONE)
# The day of a paper: the first of these fields that it states.
_DAY_FIELDS: Final = (
    "issued_on reported_on paid_on to_on discharged_on left_on registered_on settled_on signed_on month valid_from"
).split()


class Dated(NamedTuple):
    """An entry before its customer is known by more than a key or a case."""

    owner: str
    when: datetime | date | None
    kind: EntryKind
    id: str
    source: str
    row: int
    details: dict[str, Any]


def instant(when: datetime | date) -> datetime:
    """`when` in UTC. A time without an offset, and the start of a day, are those of Asia/Shanghai."""
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return (when if when.tzinfo else when.replace(tzinfo=_ZONE)).astimezone(UTC)


def local_month(when: datetime | date) -> str:
    """2026-01, by the calendar of Asia/Shanghai."""
    return instant(when).astimezone(_ZONE).strftime("%Y-%m")


def document_day(fields: Mapping[str, FieldReading]) -> date | None:
    """The day that a paper was issued, or the latest that it speaks of."""
    days = (fields[name].value for name in _DAY_FIELDS if name in fields)
    return next((day for day in days if isinstance(day, date)), None)


def of_customers(sources: TimelineSources, breaches: Mapping[str, int]) -> Iterator[Dated]:
    """Entries of the records that name their customer."""
    for number, dialogue in enumerate(sources.dialogues, start=1):
        row = sources.dialogue_lines.get(dialogue.id, number)
        details: dict[str, Any] = {"channel": dialogue.channel, "agent": dialogue.agent, "turns": len(dialogue.turns)}
        if dialogue.id in breaches:
            details["breaches"] = breaches[dialogue.id]
        opened = Dated(
            dialogue.customer, dialogue.started_at, "dialogue_opened", dialogue.id, "dialogues", row, details
        )
        yield opened
        closed = _last_turn(dialogue)
        if closed is not None:
            yield opened._replace(when=closed, kind="dialogue_closed", details={})
    for row, account in _rows(sources, "accounts", sources.accounts):
        details = {
            "product": account.product,
            "principal_yuan": float(account.principal),
            "days_overdue": account.arrears.days,
            "arrears_yuan": float(account.arrears.total),
        }
        yield Dated(account.customer, account.as_of, "account", account.account, "accounts", row, details)
    for row, contact in _rows(sources, "contacts", sources.contacts):
        yield Dated(contact.customer, contact.at, "contact", "", "contacts", row, {"contact": contact.kind})
    for row, record in _rows(sources, "records", sources.records):
        details = {"fields": sorted(record.fields)}
        yield Dated(record.customer, record.as_of, "record", record.source, "records", row, details)
    for row, document in _rows(sources, "documents", sources.documents):
        day = document_day(read_fields(page_of(document), document.kind))
        yield Dated(document.customer, day, "document", document.id, "documents", row, {"document": document.kind})


def of_cases(sources: TimelineSources) -> Iterator[Dated]:
    """Entries of the records that name a case; their owner is to be looked up."""
    for row, event in _rows(sources, "events", sources.events):
        details = {"activity": event.activity, "actor": event.actor}
        yield Dated(event.case, event.at, "event", event.case, "events", row, details)
    for row, outcome in _rows(sources, "outcomes", sources.outcomes):
        result = {"name": outcome.name, "value": outcome.value}
        yield Dated(outcome.case, outcome.at, "outcome", outcome.case, "outcomes", row, result)


def owners(sources: TimelineSources) -> Iterator[tuple[str, str]]:
    """(case, customer): a case is a dialogue, an account or the customer's own key."""
    for dialogue in sources.dialogues:
        yield dialogue.id, dialogue.customer
    for account in sources.accounts:
        yield account.account, account.customer
    for customer in sources.customers:
        yield customer.customer, customer.customer


def _rows(sources: TimelineSources, name: str, records: Iterable[T]) -> Iterator[tuple[int, T]]:
    lines = sources.lines.get(name)
    return enumerate(records, start=1) if lines is None else zip(lines, records, strict=True)


def _last_turn(dialogue: Dialogue) -> datetime | None:
    times = [turn.at for turn in dialogue.turns if turn.at is not None]
    return max(times, key=instant, default=None)
