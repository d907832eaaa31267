"""Loans of a customer and what of them is overdue on a day, to the cent.

Every loan is repaid in equal monthly instalments, as the cost engine schedules them. The rules of arrears are those of
the sample company's fee policy: penalty interest (罚息) is the contract rate and a half on overdue principal, none
within three days of grace.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tianjing.finance import LoanTerms, make_schedule
from tianjing.finance.money import to_cent
from tianjing.finance.schedule import add_months
from tianjing.finance.terms import Rate
from tianjing.simulation.planted import BUCKET_DAYS

# Annual rates in percent that each product is lent at.
PRODUCTS: dict[str, tuple[str, ...]] = {
    "轻舟贷": ("9.6", "13.5", "17.9"),
    "远帆分期": ("10.8", "14.4", "18.0"),
    "晨光贷": ("12.6", "16.2", "21.6"),
    "随渡金": ("15.3", "19.8", "23.9"),
}
LENDER = "晨舟消费金融有限公司"
GRACE_DAYS = 3

_DAYS_A_YEAR = 365
_PENALTY_PERCENT = 150  # of the contract rate
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
    """A loan of `principal` yuan at `annual_percent` (nominal) in `terms` equal monthly instalments."""

    account: str
    customer: str
    product: str
    principal: Decimal
    annual_percent: Decimal
    terms: int
    first_due: date

    @property
    def instalments(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """(principal, interest) of each instalment."""
        return _instalments(self.principal, self.annual_percent, self.terms)

    @property
    def instalment(self) -> Decimal:
        """What is due each month."""
        principal, interest = self.instalments[0]
        return principal + interest

    def due(self, number: int) -> date:
        """Due date of instalment `number`, counted from 0."""
        return add_months(self.first_due, number)

    def oldest_overdue(self, as_of: date, bucket: str) -> int | None:
        """The instalment from which on nothing was paid if the loan is in `bucket` on that day, or None."""
        first, last = BUCKET_DAYS[bucket]
        passed = (as_of.year - self.first_due.year) * 12 + as_of.month - self.first_due.month
        numbers = range(max(0, passed - 3), min(self.terms, passed + 1))
        return next((n for n in numbers if first <= (as_of - self.due(n)).days <= last), None)

    def arrears(self, as_of: date, oldest: int) -> Arrears:
        """What is overdue on `as_of` if instalments from `oldest` on are unpaid."""
        principal = interest = penalty = Decimal(0)
        count = 0
        for number in range(oldest, self.terms):
            days = (as_of - self.due(number)).days
            if days <= 0:
                break
            repaid, charged = self.instalments[number]
            principal, interest, count = principal + repaid, interest + charged, count + 1
            if days > GRACE_DAYS:
                penalty += to_cent(repaid * self.annual_percent * _PENALTY_PERCENT * days / (10_000 * _DAYS_A_YEAR))
        return Arrears((as_of - self.due(oldest)).days, count, principal, interest, penalty)

    def row(self, as_of: date, arrears: Arrears) -> dict[str, Any]:
        """The account on one day, as accounts.jsonl holds it."""
        return {
            "account": self.account,
            "customer": self.customer,
            "product": self.product,
            "principal": float(self.principal),
            "rate": float(self.annual_percent),
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
    while True:  # until the loan can start and be due on that day of the month: few months have a 31st
        due = as_of - timedelta(days=rng.randint(*BUCKET_DAYS[bucket]))
        paid = rng.randint(1, terms - 2)
        if _has_day(due, paid) and _has_day(due, paid + 1):
            break
    product = rng.choice(tuple(PRODUCTS))
    return Loan(
        account=account,
        customer=customer,
        product=product,
        principal=Decimal(rng.randint(2, 30) * 1000),
        annual_percent=Decimal(rng.choice(PRODUCTS[product])),
        terms=terms,
        first_due=add_months(due, -paid),
    )


def yuan(amount: Decimal) -> int:
    """Rounded to a whole yuan, as people say it."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


@functools.cache  # a few thousand loans differ; their dates do not matter to monthly interest
def _instalments(principal: Decimal, annual_percent: Decimal, terms: int) -> tuple[tuple[Decimal, Decimal], ...]:
    rows = make_schedule(
        LoanTerms(
            product="贷款",
            lender=LENDER,
            principal=principal,
            disbursed_on=date(2025, 1, 1),
            rate=Rate(percent=annual_percent, per="year"),
            method="equal_instalment",
            instalments=terms,
        )
    )
    return tuple((row.principal, row.interest) for row in rows)


def _has_day(day: date, months: int) -> bool:
    """Whether the month that lies `months` before has that day, so that a loan may start or be due on it."""
    return add_months(day, -months).day == day.day
