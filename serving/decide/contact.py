"""May we contact this person now, by which rules not, and when next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from serving.decide.request import Session
from tianjing.records import Contact
from tianjing.rulebook import Rule, Rulebook
from tianjing.rulebook.contacts import breaches
from tianjing.rulebook.schema import ContactCheck

# A day's counters look at one local day; two days cover it in any pair of time zones.
_COUNTED = timedelta(hours=48)


@dataclass(frozen=True)
class Ruling:
    """What one rule on contacts says of a contact that would begin; `evidence` is empty where it permits it."""

    rule: Rule
    evidence: str = ""

    @property
    def forbids(self) -> bool:
        return bool(self.evidence)


class ContactRules:
    """The rules on contacts held against one contact that would begin.

    Args:
        customer: the debtor.
        contacts: the log so far, up to the time of the session, in any order.
    """

    def __init__(self, book: Rulebook, customer: str, contacts: Sequence[Contact], session: Session):
        self._book, self._session = book, session
        agreed = _agreed(customer, contacts)
        refused = (number for number, contact in agreed.items() if contact.consent == "revoked")
        # Without a number of its own, a contact is refused by a refusal on any number.
        number = session.number or next(refused, customer)
        kinds = ("effective", "attempt") if session.channel == "voice" else ("message",)
        # A call may be answered or not, and must be permitted either way.
        self._proposed = [
            Contact(
                customer=customer,
                number=number,
                at=session.at,
                kind=kind,
                consent=session.consent,
                time_zone=session.time_zone,
            )
            for kind in kinds
        ]
        self._agreed = agreed.get(number)
        self._recent = [contact for contact in contacts if session.at - contact.at <= _COUNTED]

    def rulings(self) -> tuple[Ruling, ...]:
        """What every rule in force says of the contact at the time of the session."""
        return tuple(self._rulings(self._session.at))

    def next_permitted(self, horizon_days: int) -> datetime | None:
        """The first time, from the session on, at which no rule forbids it; None when there is none in the horizon.

        Permission begins only where a local day begins (counters), where quiet hours end, or at once.
        """
        times = sorted(_beginnings(self._book, self._session, horizon_days))
        return next((at for at in times if not any(ruling.forbids for ruling in self._rulings(at))), None)

    def _rulings(self, at: datetime) -> Iterator[Ruling]:
        log = [contact for contact in self._recent if at - contact.at <= _COUNTED]
        if self._agreed is not None and self._agreed not in log:
            log.append(self._agreed)
        log.sort(key=lambda contact: contact.at)
        proposed = [contact.model_copy(update={"at": at}) for contact in self._proposed]
        for rule, check in self._book.having(ContactCheck):
            if rule.in_force(proposed[0].local.date()):
                found = (_breach(check, [*log, contact]) for contact in proposed)
                yield Ruling(rule, next(filter(None, found), ""))


def _breach(check: ContactCheck, log: Sequence[Contact]) -> str:
    """Why the last contact of the log breaks `check`."""
    last = len(log) - 1
    return next((breach.evidence for breach in breaches(check, log) if breach.index == last), "")


def _agreed(customer: str, contacts: Iterable[Contact]) -> dict[str, Contact]:
    """Number -> the contact at which this customer last agreed or refused there."""
    told = [contact for contact in contacts if contact.customer == customer and contact.consent != "none"]
    return {contact.number: contact for contact in sorted(told, key=lambda contact: contact.at)}


def _beginnings(book: Rulebook, session: Session, horizon_days: int) -> Iterator[datetime]:
    """Times, in the session's zone, from which on a contact may be permitted."""
    zone = ZoneInfo(session.time_zone)
    yield session.local
    ends = {time(0), *(time.fromisoformat(check.quiet_to) for _, check in book.having(ContactCheck))}
    for number in range(horizon_days + 1):
        day = session.local.date() + timedelta(days=number)
        for end in ends:
            at = datetime.combine(day, end, zone)
            # In a gap of summer time the wall clock never shows `end`; the same instant on the clock there is.
            at = at.astimezone(UTC).astimezone(zone)
            if at > session.at:
                yield at
