"""Loans of a customer and what of them is overdue on a day, to the cent.

Every loan is repaid in equal monthly instalments. The rules of arrears are those of the sample company's fee policy:
penalty interest (罚息) is the contract rate and a half on overdue principal, and none within three days of grace.
"""

from __future__ import annotations

import random
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any

from tianjing.simulation.planted import BUCKET_DAYS

PRODUCTS = ("轻舟贷", "远帆分期", "晨光贷", "随渡金")
DAYS_A_YEAR, MONTHS_A_YEAR = 365, 12
GRACE_DAYS = 3
PENALTY_FACTOR = Decimal("1.5")

_CENT = Decimal("0.01")
_TERMS = (6, 12, 12, 24, 36)


@dataclass(frozen=True)
class Arrears:
    """What is overdue on a day; the parts add up to `total`."""

    days: int
    instalments: int
    principal: Decimal
    interest: Decimal
    penalty: Decimal

    @property
    def total(self) -> Decimal:
        return self.principal + self.interest + self.penalty

    def row(self) -> dict[str, Any]:
        """As accounts.jsonl holds it."""
        return {
            "days": self.days,
            "instalments": self.instalments,
            "principal": float(self.principal),
            "interest": float(self.interest),
            "penalty": float(self.penalty),
            "total": float(self.total),
        }


@dataclass(frozen=True)
class Loan:
    """A loan of `principal` yuan at `annual_rate` (a fraction, nominal) in `terms` equal monthly instalments."""

    account: str
    customer: str
    product: str
    principal: Decimal
    annual_rate: Decimal
    terms: int
    first_due: date

    @cached_property
    def instalments(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """(principal, interest) of each instalment."""
        monthly = self.annual_rate / MONTHS_A_YEAR
        level = _cents(self.principal * monthly / (1 - (1 + monthly) ** -self.terms))
        left, rows = self.principal, []
        for number in range(1, self.terms + 1):
            interest = _cents(left * monthly)
            repaid = left if number == self.terms else level - interest
            rows.append((repaid, interest))
            left -= repaid
        return tuple(rows)

    @property
    def instalment(self) -> Decimal:
        """What is due each month."""
        principal, interest = self.instalments[0]
        return principal + interest

    def due(self, number: int) -> date:
        """Due date of instalment `number`, counted from 0: the day of the first one, or a shorter month's last."""
        year, month = _month(self.first_due, number)
        return date(year, month, min(self.first_due.day, monthrange(year, month)[1]))

    def oldest_overdue(self, as_of: date, bucket: str) -> int | None:
        """The instalment from which on nothing was paid if the loan is in `bucket` on that day, or None."""
        first, last = BUCKET_DAYS[bucket]
        return next((n for n in range(self.terms) if first <= (as_of - self.due(n)).days <= last), None)

    def arrears(self, as_of: date, oldest: int) -> Arrears:
        """What is overdue on `as_of` if instalments from `oldest` on are unpaid."""
        principal = interest = penalty = Decimal(0)
        overdue = [n for n in range(oldest, self.terms) if self.due(n) < as_of]
        for number in overdue:
            repaid, charged = self.instalments[number]
            days = (as_of - self.due(number)).days
            principal, interest = principal + repaid, interest + charged
            if days > GRACE_DAYS:
                penalty += _cents(repaid * self.annual_rate * PENALTY_FACTOR / DAYS_A_YEAR * days)
        return Arrears((as_of - self.due(oldest)).days, len(overdue), principal, interest, penalty)

    def row(self, as_of: date, arrears: Arrears) -> dict[str, Any]:
        """The account on one day, as accounts.jsonl holds it."""
        return {
            "account": self.account,
            "customer": self.customer,
            "product": self.product,
            "principal": float(self.principal),
            "rate": float(self.annual_rate * 100),
            "schedule": {
                "method": "equal_instalment",
                "instalments": self.terms,
                "first_due_on": self.first_due.isoformat(),
                "instalment": float(self.instalment),
            },
            "arrears": arrears.row(),
            "as_of": as_of.isoformat(),
        }


def lend(account: str, customer: str, bucket: str, as_of: date, rng: random.Random) -> Loan:
    """A random loan that can be in `bucket` on `as_of`."""
    terms = rng.choice(_TERMS)
    due = as_of - timedelta(days=rng.randint(*BUCKET_DAYS[bucket]))
    # The first month needs the due day, too: every fourth month at the latest has 31 days.
    paid = rng.choice([n for n in range(1, terms - 1) if monthrange(*_month(due, -n))[1] >= due.day])
    return Loan(
        account=account,
        customer=customer,
        product=rng.choice(PRODUCTS),
        principal=Decimal(rng.randint(20, 300) * 100),
        annual_rate=Decimal(rng.randint(96, 239)) / 1000,
        terms=terms,
        first_due=date(*_month(due, -paid), due.day),
    )


def yuan(amount: Decimal) -> int:
    """Rounded to a whole yuan, as people say it."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def _month(day: date, later: int) -> tuple[int, int]:
    """Year and month that lie `later` months after the one of `day`."""
    months = day.year * 12 + day.month - 1 + later
    return months // 12, months % 12 + 1


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
