"""The log of contacts around post-loan calls, with a known share of breaches of the contact rules.

A breach is planted on a day that has one call only, so that which contact is one too many is known by construction.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

BREACH_SHARE = 0.03
MAX_EFFECTIVE_A_DAY, MAX_ATTEMPTS_A_DAY = 3, 6

Breach = Literal["quiet_hours", "effective_per_debtor", "unanswered_per_number", "revoked"]
BREACHES: tuple[Breach, ...] = ("quiet_hours", "effective_per_debtor", "unanswered_per_number", "revoked")

_DAY_STARTS_MINUTE, _DAY_ENDS_MINUTE = 8 * 60 + 10, 21 * 60 + 40
_NIGHT_MINUTES = (*range(22 * 60, 23 * 60 + 40), *range(6 * 60 + 30, 8 * 60))
_CONSENTS = ("none", "none", "none", "given")


@dataclass(frozen=True)
class Called:
    """One contact; `breach` is the rule that it breaks, "" for none."""

    at: datetime
    kind: Literal["attempt", "effective", "message"]
    consent: str
    breach: Breach | Literal[""] = ""


def contact_rows(
    calls: Mapping[str, Sequence[datetime]], numbers: Mapping[str, str], rng: random.Random
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Rows of contacts.jsonl with, for a breach, its row of the truth.

    Args:
        calls: start of every post-loan call that was answered, by customer.
        numbers: mobile number by customer.
    """
    for customer, starts in calls.items():
        days: dict[date, list[datetime]] = defaultdict(list)
        for start in starts:
            days[start.date()].append(start)
        consent = rng.choice(_CONSENTS)
        for day in sorted(days):
            contacts = _day(sorted(days[day]), consent, rng)
            if any(contact.breach == "revoked" for contact in contacts):
                consent = "given"  # whoever is called after that has agreed anew
            for contact in sorted(contacts, key=lambda contact: contact.at):
                row = {"customer": customer, "number": numbers[customer], "at": contact.at.isoformat()}
                told = {**row, "kind": contact.kind, "consent": contact.consent, "time_zone": "Asia/Shanghai"}
                yield told, {**row, "kind": contact.kind, "breach": contact.breach} if contact.breach else None


def _day(starts: list[datetime], consent: str, rng: random.Random) -> list[Called]:
    """Contacts of one customer on the day of these calls, and perhaps one on the next day."""
    contacts = [
        Called(start, "effective", consent, "effective_per_debtor" if number >= MAX_EFFECTIVE_A_DAY else "")
        for number, start in enumerate(starts)
    ]
    first = starts[0]
    breach = rng.choice(BREACHES) if len(starts) == 1 and rng.random() < BREACH_SHARE else ""
    if breach == "unanswered_per_number":
        attempts = _minutes(first, MAX_ATTEMPTS_A_DAY + 1, rng)
        last = Called(attempts[-1], "attempt", consent, breach)
        return [*contacts, *(Called(at, "attempt", consent) for at in attempts[:-1]), last]
    if breach == "effective_per_debtor":
        answered = sorted([first, *_minutes(first, MAX_EFFECTIVE_A_DAY, rng)])
        contacts = [Called(at, "effective", consent) for at in answered]
        contacts[-1] = replace(contacts[-1], breach=breach)
    elif breach == "quiet_hours":
        contacts.append(Called(_at(first, rng.choice(_NIGHT_MINUTES)), "attempt", consent, breach))
    elif breach == "revoked":
        at = _at(first + timedelta(days=1), rng.randrange(10 * 60, 18 * 60))
        contacts.append(Called(at, rng.choice(("attempt", "message")), "revoked", breach))
    for minutes in rng.sample(range(4, 90), rng.choice((0, 0, 1, 1, 2, 3))):
        before = first - timedelta(minutes=minutes)
        if before.time() >= time(8, 5):
            contacts.append(Called(before, "attempt", consent))
    if rng.random() < 0.4:
        contacts.append(Called(starts[-1] + timedelta(minutes=rng.randint(10, 40)), "message", consent))
    return contacts


def _minutes(day: datetime, count: int, rng: random.Random) -> list[datetime]:
    """Different moments of the permitted hours, in order."""
    return sorted(_at(day, minute) for minute in rng.sample(range(_DAY_STARTS_MINUTE, _DAY_ENDS_MINUTE), count))


def _at(day: datetime, minute: int) -> datetime:
    return day.replace(hour=minute // 60, minute=minute % 60, second=0)
