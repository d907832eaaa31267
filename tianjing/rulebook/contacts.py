"""The log of contacts: quiet hours, the two different daily counters, and contacts after a refusal.

An *effective* call is a conversation; it counts per debtor. An *attempt* was not answered; it counts per number.
Days and hours are those of the person called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING

from tianjing.records import Contact

if TYPE_CHECKING:
    from tianjing.rulebook.schema import ContactCheck


@dataclass(frozen=True, slots=True)
class ContactBreach:
    """`index` of the contact in the log as given, and why it is one too many or at a wrong time."""

    index: int
    contact: Contact
    evidence: str


def breaches(check: ContactCheck, contacts: Iterable[Contact]) -> list[ContactBreach]:
    """Contacts that break `check`, in the order of the log. The log need not be sorted."""
    log = sorted(enumerate(contacts), key=lambda item: item[1].at)
    found = {
        "quiet_hours": _quiet,
        "revoked": _revoked,
        "effective_per_debtor": _too_many,
        "unanswered_per_number": _too_many,
    }[check.measure](check, log)
    return sorted(found, key=lambda breach: breach.index)


_Log = list[tuple[int, Contact]]


def _quiet(check: ContactCheck, log: _Log) -> Iterator[ContactBreach]:
    start, end = time.fromisoformat(check.quiet_from), time.fromisoformat(check.quiet_to)
    for index, contact in log:
        now = contact.local.time()
        quiet = (now >= start or now < end) if start > end else start <= now < end
        if quiet and contact.consent != "night":
            when = f"{contact.local:%Y-%m-%d %H:%M} {contact.time_zone}"
            yield ContactBreach(index, contact, f"{when} is between {check.quiet_from} and {check.quiet_to}")


def _too_many(check: ContactCheck, log: _Log) -> Iterator[ContactBreach]:
    per_debtor = check.measure == "effective_per_debtor"
    counts: dict[tuple[str, str, object], int] = defaultdict(int)
    for index, contact in log:
        if contact.kind != ("effective" if per_debtor else "attempt"):
            continue
        # A number is counted by itself whoever it is dialled for; a debtor over all of his numbers.
        key = ("debtor", contact.customer) if per_debtor else ("number", contact.number)
        counts[(*key, contact.local.date())] += 1
        count = counts[(*key, contact.local.date())]
        if check.maximum is not None and count > check.maximum:
            what = "effective call" if per_debtor else "unanswered attempt"
            yield ContactBreach(
                index, contact, f"{what} {count} on {contact.local:%Y-%m-%d}, {check.maximum} are permitted"
            )


def _revoked(check: ContactCheck, log: _Log) -> Iterator[ContactBreach]:
    refused: dict[tuple[str, str], datetime] = {}
    for index, contact in log:
        key = (contact.customer, contact.number)
        if contact.consent in ("given", "night"):
            refused.pop(key, None)
        elif contact.consent == "revoked" or key in refused:
            since = refused.setdefault(key, contact.at)
            yield ContactBreach(index, contact, f"the person refused further contact (recorded {since.isoformat()})")
