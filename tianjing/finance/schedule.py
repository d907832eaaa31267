"""Repayment schedules (还款计划): one row per due date, in whole cents, whose principal adds up to the debt exactly."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tianjing.finance.errors import FinanceError
from tianjing.finance.money import CENT, exactly, show_yuan, to_cent
from tianjing.finance.terms import MAX_INSTALMENTS, Fee, LoanTerms

_ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Row:
    """One due date. Amounts in yuan; `payment` = `principal` + `interest` + `fees`; `balance` is owed afterwards."""

    number: int
    due_on: date
    payment: Decimal
    principal: Decimal
    interest: Decimal
    fees: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Period:
    """The time from one due date to the next, as `parts` of `whole` parts of a year: 1 of 12, or 31 of 365."""

    due_on: date
    annual_rate: Decimal
    parts: int
    whole: int

    @property
    def rate(self) -> Decimal:
        """Interest on one yuan, to 50 digits."""
        return self.annual_rate * self.parts / self.whole

    def interest(self, balance: Decimal) -> Decimal:
        """Interest in yuan. Divided last: 600 · 0.0193 ÷ 12 is 0.965 and rounds up; 600 · (0.0193 ÷ 12) would not."""
        return to_cent(balance * self.annual_rate * self.parts / self.whole)


def days_of(terms: LoanTerms, start: date, end: date) -> Period:
    """The period from `start` to `end` with interest by days."""
    return Period(end, terms.rate.annual, (end - start).days, terms.rate.day_count)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def make_schedule(terms: LoanTerms) -> tuple[Row, ...]:
    """Rows of the loan, last row settling it: rounding to the cent ends up there.

    Raises:
        FinanceError: the schedule never ends, or cannot be paid in whole cents.
    """
    with exactly():
        debt = debt_at_start(terms)
        if terms.method == "equal_instalment":
            parts = _equal_instalment(terms, debt)
        elif terms.method == "equal_principal":
            parts = _equal_principal(terms, debt)
        elif terms.method == "interest_first":
            periods = list(monthly_periods(terms, _count(terms)))
            parts = [(period, debt if period is periods[-1] else _ZERO) for period in periods]
        else:
            parts = _by_payments(terms, debt)
        return tuple(_rows(terms, debt, parts))


def debt_at_start(terms: LoanTerms) -> Decimal:
    """Principal that the instalments repay: the contract's, and the fees that were financed."""
    return terms.principal + sum((fee_once(fee, terms) for fee in terms.fees if fee.when == "financed"), _ZERO)


def fee_once(fee: Fee, terms: LoanTerms, balance: Decimal = _ZERO) -> Decimal:
    """Amount of a fee each time it is due; `balance` is the principal owed before the instalment."""
    if fee.amount is not None:
        return fee.amount
    assert fee.percent is not None
    with exactly():
        return to_cent((balance if fee.of == "balance" else terms.principal) * fee.percent / 100)


def monthly_periods(terms: LoanTerms, count: int) -> Iterator[Period]:
    """The first `count` monthly periods.

    Raises:
        FinanceError: a first period that is not one month, while interest accrues by whole months.
    """
    first = terms.first_due_on or add_months(terms.disbursed_on, 1)
    if not terms.by_days and first != add_months(terms.disbursed_on, 1):
        raise FinanceError(
            f"first_due_on: {first} is not one month after {terms.disbursed_on}, and interest accrues by whole months",
            "set accrual: actual_days, or leave first_due_on out",
        )
    start = terms.disbursed_on
    for number in range(count):
        due_on = add_months(first, number)
        yield days_of(terms, start, due_on) if terms.by_days else Period(due_on, terms.rate.annual, 1, 12)
        start = due_on


def level_payment(debt: Decimal, periods: list[Period]) -> Decimal:
    """Equal payment that settles `debt`: debt ÷ Σ of the discount factors, half up to the cent.

    With one rate i for all n periods this is the annuity formula, debt · i ÷ (1 − (1+i)^−n).
    """
    factor, total = Decimal(1), Decimal(0)
    for period in periods:
        factor /= 1 + period.rate
        total += factor
    return to_cent(debt / total)


def smallest_instalment(terms: LoanTerms) -> Decimal:
    """Smallest monthly payment that settles the loan within 480 instalments."""
    with exactly():
        debt = debt_at_start(terms)
        periods = list(monthly_periods(terms, MAX_INSTALMENTS))
        low, high = 0, int(debt * (1 + max(period.rate for period in periods)) / CENT) + 1
        while low < high:
            middle = (low + high) // 2
            if _instalments_paid(debt, middle * CENT, periods) is None:
                low = middle + 1
            else:
                high = middle
        return low * CENT


def _count(terms: LoanTerms) -> int:
    assert terms.instalments is not None
    return terms.instalments


def _whole_cents(terms: LoanTerms, debt: Decimal, last: Decimal, usual: Decimal) -> None:
    """Refuse a loan so small, or so long, that rounding to the cent empties the last instalment or swells it."""
    if not 0 < last <= usual * Decimal("1.5"):
        raise FinanceError(
            f"instalments: {show_yuan(debt)} in {terms.instalments} instalments of whole cents leaves "
            f"{show_yuan(last)} for the last one, against {show_yuan(usual)} before",
            "use fewer instalments",
        )


def _equal_instalment(terms: LoanTerms, debt: Decimal) -> list[tuple[Period, Decimal]]:
    if terms.instalment_amount is not None:
        return _fixed_instalment(terms, debt, terms.instalment_amount)
    periods = list(monthly_periods(terms, _count(terms)))
    payment = level_payment(debt, periods)
    parts = _level_parts(debt, payment, periods[:-1])
    left = debt - sum((principal for _, principal in parts), _ZERO)
    _whole_cents(terms, debt, left + periods[-1].interest(left), payment)
    return [*parts, (periods[-1], left)]


def _fixed_instalment(terms: LoanTerms, debt: Decimal, payment: Decimal) -> list[tuple[Period, Decimal]]:
    periods = list(monthly_periods(terms, MAX_INSTALMENTS))
    count = _instalments_paid(debt, payment, periods)
    if count is None:
        raise FinanceError(
            f"instalment_amount: {show_yuan(payment)} a month never ends this loan: the first interest is "
            f"{show_yuan(periods[0].interest(debt))}, and at most {MAX_INSTALMENTS} instalments are possible",
            f"the smallest payment that ends is {show_yuan(smallest_instalment(terms))}",
        )
    return _level_parts(debt, payment, periods[:count])


def _level_parts(debt: Decimal, payment: Decimal, periods: list[Period]) -> list[tuple[Period, Decimal]]:
    balance, parts = debt, []
    for period in periods:
        # Rounded to the cent, the payment may fall short of the interest: principal is never paid out again.
        principal = min(max(payment - period.interest(balance), _ZERO), balance)
        parts.append((period, principal))
        balance -= principal
    return parts


def _instalments_paid(debt: Decimal, payment: Decimal, periods: list[Period]) -> int | None:
    """How many payments settle the debt; None when one does not exceed its interest, or the periods do not suffice."""
    balance = debt
    for number, period in enumerate(periods, start=1):
        principal = payment - period.interest(balance)
        if principal <= 0:
            return None
        balance -= principal
        if balance <= 0:
            return number
    return None


def _equal_principal(terms: LoanTerms, debt: Decimal) -> list[tuple[Period, Decimal]]:
    count = _count(terms)
    share = to_cent(debt / count)
    last = debt - share * (count - 1)
    _whole_cents(terms, debt, last, share)
    periods = list(monthly_periods(terms, count))
    return [*((period, share) for period in periods[:-1]), (periods[-1], last)]


def _by_payments(terms: LoanTerms, debt: Decimal) -> list[tuple[Period, Decimal]]:
    dated: list[tuple[date, Decimal | None]] = [(payment.due_on, payment.amount) for payment in terms.payments]
    if terms.term_days is not None:
        matures_on = terms.disbursed_on + timedelta(days=terms.term_days)
        if dated and dated[-1][0] >= matures_on:
            raise FinanceError(
                f"payments: {dated[-1][0]} is not before {matures_on}, when term_days ends",
                "leave the last payment out: what is left is due on that day",
            )
        dated.append((matures_on, None))
    balance, start, parts = debt, terms.disbursed_on, []
    for number, (on, amount) in enumerate(dated, start=1):
        period = days_of(terms, start, on)
        interest = period.interest(balance)
        due = balance + interest
        is_last = number == len(dated)
        if amount is not None and (amount > due or (is_last and amount != due)):
            raise FinanceError(
                f"payments: {show_yuan(amount)} on {on} does not fit: {show_yuan(due)} is owed on that day",
                f"pay {show_yuan(due)}, or leave the last amount out" if is_last else f"pay at most {show_yuan(due)}",
            )
        if amount is not None and amount < interest:
            raise FinanceError(
                f"payments: {show_yuan(amount)} on {on} does not cover the interest; such a debt never ends",
                f"pay at least {show_yuan(interest)}",
            )
        principal = balance if amount is None else amount - interest
        parts.append((period, principal))
        balance, start = balance - principal, on
    return parts


def _rows(terms: LoanTerms, debt: Decimal, parts: list[tuple[Period, Decimal]]) -> Iterator[Row]:
    balance = debt
    for number, (period, principal) in enumerate(parts, start=1):
        interest = period.interest(balance)
        fees = _ZERO
        for fee in terms.fees:
            if fee.when == "each_instalment" or (fee.when == "last_instalment" and number == len(parts)):
                fees += fee_once(fee, terms, balance)
        balance -= principal
        yield Row(number, period.due_on, principal + interest + fees, principal, interest, fees, balance)
