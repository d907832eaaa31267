"""Offers of a repayment plan (还款方案) on all that is owed: what is permitted, and every payment to the cent.

A plan divides what is owed into level parts and charges nothing more; a plan that bears interest is `restructure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from pydantic import Field, model_validator

from tianjing.config import StrictModel
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import PositiveYuan, exactly, to_cent
from tianjing.finance.schedule import add_months, make_schedule
from tianjing.finance.terms import LoanTerms, Rate
from tianjing.records import Account


class PlanPolicy(StrictModel):
    """What an agent may offer without asking anybody; the defaults are the sample company's rules on repayment."""

    min_instalments: int = Field(3, ge=2)
    """Fewest monthly instalments (期数); to pay at once is always permitted."""
    max_instalments: int = Field(24, ge=2, le=120)
    """Most monthly instalments."""
    deferral_days: tuple[int, ...] = (0, 7, 15, 30)
    """Days by which the first payment may be put off (延期), in rising order."""
    minimum_payment: PositiveYuan = Decimal("200.00")
    """Smallest instalment, in yuan."""

    @model_validator(mode="after")
    def _in_order(self) -> PlanPolicy:
        if self.min_instalments > self.max_instalments:
            raise ValueError(f"min_instalments {self.min_instalments} is above max_instalments {self.max_instalments}")
        if not self.deferral_days or any(days < 0 for days in self.deferral_days):
            raise ValueError("deferral_days: give at least one number of days, none below 0")
        if list(self.deferral_days) != sorted(set(self.deferral_days)):
            raise ValueError(f"deferral_days {list(self.deferral_days)} do not rise; sort them, each once")
        return self


@dataclass(frozen=True, slots=True)
class PlanQuote:
    """A plan, in yuan: all instalments are `payment` but the last, which settles what rounding to the cent left."""

    instalments: int
    deferral_days: int
    first_due_on: date
    payment: Decimal
    last_payment: Decimal
    total: Decimal


def quote_plan(
    outstanding: Decimal, as_of: date, instalments: int, deferral_days: int, policy: PlanPolicy
) -> PlanQuote:
    """The plan of `instalments` monthly payments on `outstanding` yuan, the first `deferral_days` after `as_of`.

    Raises:
        FinanceError: nothing is owed, or the policy does not permit the plan, naming its limit.
    """
    if outstanding <= 0:
        raise FinanceError(f"outstanding: {outstanding} 元 leaves nothing to plan", "give what is owed in yuan")
    if instalments != 1 and not policy.min_instalments <= instalments <= policy.max_instalments:
        raise FinanceError(
            f"instalments: {instalments} is not permitted",
            f"1, or {policy.min_instalments} to {policy.max_instalments}",
        )
    if deferral_days not in policy.deferral_days:
        raise FinanceError(
            f"deferral_days: {deferral_days} is not permitted", f"one of {', '.join(map(str, policy.deferral_days))}"
        )
    with exactly():
        payment = to_cent(outstanding / instalments)
        if instalments > 1 and payment < policy.minimum_payment:
            raise FinanceError(
                f"instalments: {instalments} make {payment} 元 each, below {policy.minimum_payment} 元",
                "ask for fewer instalments",
            )
        last = outstanding - payment * (instalments - 1)
    return PlanQuote(instalments, deferral_days, as_of + timedelta(days=deferral_days), payment, last, outstanding)


def permitted_instalments(outstanding: Decimal, policy: PlanPolicy) -> list[int]:
    """Every number of instalments that may be offered on `outstanding` yuan, 1 first."""
    several = range(policy.min_instalments, policy.max_instalments + 1)
    return [1, *(count for count in several if to_cent(outstanding / count) >= policy.minimum_payment)]


def fewest_instalments(outstanding: Decimal, monthly_yuan: Decimal, policy: PlanPolicy) -> int:
    """The fewest permitted instalments of at most `monthly_yuan`; where none is so small, the most there may be."""
    permitted = permitted_instalments(outstanding, policy)
    return next((count for count in permitted if to_cent(outstanding / count) <= monthly_yuan), permitted[-1])


def nearest_instalments(outstanding: Decimal, instalments: int, policy: PlanPolicy) -> int:
    """The permitted number of instalments nearest to the one asked for, of two the larger."""
    permitted = permitted_instalments(outstanding, policy)
    return min(permitted, key=lambda count: (abs(count - instalments), -count))


def covering_deferral(days: int, policy: PlanPolicy) -> int:
    """The shortest permitted deferral of at least `days`, or the longest there is."""
    return next((permitted for permitted in policy.deferral_days if permitted >= days), policy.deferral_days[-1])


def outstanding(account: Account) -> Decimal:
    """All that is owed on the day of the account's row: unpaid principal, due or not, and the interest and penalty due.

    Raises:
        FinanceError: the loan's schedule cannot be made from the row, or does not fit its arrears.
    """
    schedule, arrears = account.schedule, account.arrears
    if schedule.method in ("daily_interest", "irregular"):
        raise FinanceError(
            f"account {account.account}: method '{schedule.method}' has no monthly schedule",
            "offers are made on loans that are repaid in monthly instalments",
        )
    try:
        rows = make_schedule(
            LoanTerms(
                product=account.product,
                lender="-",
                principal=account.principal,
                disbursed_on=add_months(schedule.first_due_on, -1),
                rate=Rate(percent=account.rate, per="year"),
                method=schedule.method,
                instalments=schedule.instalments,
            )
        )
    except ValueError as error:
        raise FinanceError(f"account {account.account}: {error}", "mend the account's row") from None
    passed = sum(add_months(schedule.first_due_on, number) < account.as_of for number in range(len(rows)))
    paid = passed - arrears.instalments
    if paid < 0:
        raise FinanceError(
            f"account {account.account}: {arrears.instalments} instalments overdue, only {passed} were due",
            "mend 'arrears.instalments' or 'as_of'",
        )
    with exactly():
        unpaid = sum((row.principal for row in rows[paid:]), Decimal(0))
        return unpaid + arrears.interest + arrears.penalty
