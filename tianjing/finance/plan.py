"""New schedules of a restructured debt: old rows moved to later days, or new monthly instalments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tianjing.finance.debt import Component, Debt
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import in_cents, to_cent
from tianjing.finance.schedule import Row, make_schedule
from tianjing.finance.terms import LoanTerms

_ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One due date of a plan, in yuan: `payment` = `principal` + `interest` + `fees` + `penalty`."""

    number: int
    due_on: date
    payment: Decimal
    principal: Decimal
    interest: Decimal
    fees: Decimal
    penalty: Decimal
    balance: Decimal


def deferred_rows(
    terms: LoanTerms, debt: Debt, waived: Mapping[Component, Decimal], unpaid: tuple[Row, ...], days: int
) -> tuple[PlanRow, ...]:
    """The unpaid rows `days` later; with 0 days, what is overdue is due at once and the rest stays.

    Interest for the delay is due with the first row: on principal that was not due yet for all the days, on overdue
    principal from the day of the plan, since penalties cover the time before.

    Raises:
        FinanceError: a row would still be overdue.
    """
    rows, balance = [], debt.principal
    left = dict(waived)
    penalty = debt.penalty - left.pop("penalty", _ZERO)
    delay_interest = _interest_of_delay(terms, debt, unpaid, days)
    for number, row in enumerate(unpaid, start=1):
        due_on = row.due_on + timedelta(days=days)
        if due_on < debt.as_of and days:
            needed = (debt.as_of - row.due_on).days
            raise FinanceError(
                f"deferral: {days} days leave the instalment of {row.due_on} overdue on {debt.as_of}",
                f"defer by {needed} days or more, or ask for new instalments",
            )
        interest = row.interest - _take(left, "interest", row.interest) + delay_interest
        fees = row.fees - _take(left, "fees", row.fees)
        balance -= row.principal
        payment = row.principal + interest + fees + penalty
        rows.append(PlanRow(number, max(due_on, debt.as_of), payment, row.principal, interest, fees, penalty, balance))
        penalty = delay_interest = _ZERO
    return tuple(rows)


def reinstalled_rows(
    terms: LoanTerms, debt: Debt, waived: Mapping[Component, Decimal], instalments: int, first_due_on: date | None
) -> tuple[PlanRow, ...]:
    """Equal instalments on the principal at the contract rate; interest, fees and penalty in equal parts, without more.

    Interest on arrears of interest or penalty would be compound interest, so they bear none. Fees of the old schedule
    are not charged again.

    Raises:
        FinanceError: the plan cannot be paid in whole cents.
    """
    principal = debt.principal - waived.get("principal", _ZERO)
    arrears = {part: getattr(debt, part) - waived.get(part, _ZERO) for part in ("interest", "fees", "penalty")}
    if not principal:
        raise FinanceError(
            "reinstalment: no principal is left after the waiver", "waive less than all of the principal"
        )
    new = terms.model_copy(
        update={
            "principal": principal,
            "disbursed_on": debt.as_of,
            "method": "equal_instalment",
            "instalments": instalments,
            "instalment_amount": None,
            "first_due_on": first_due_on,
            "accrual": "actual_days" if first_due_on or terms.by_days else "monthly",
            "term_days": None,
            "payments": (),
            "fees": (),
        }
    )
    rows = []
    for row in make_schedule(new):
        parts = {part: _share(amount, row.number, instalments) for part, amount in arrears.items()}
        payment = row.payment + sum(parts.values(), _ZERO)
        rows.append(
            PlanRow(
                number=row.number,
                due_on=row.due_on,
                payment=payment,
                principal=row.principal,
                interest=row.interest + parts["interest"],
                fees=parts["fees"],
                penalty=parts["penalty"],
                balance=row.balance,
            )
        )
    return tuple(rows)


def _interest_of_delay(terms: LoanTerms, debt: Debt, unpaid: tuple[Row, ...], days: int) -> Decimal:
    if not days:
        return _ZERO
    yuan_days = Decimal(0)
    for row in unpaid:
        yuan_days += row.principal * (days - max((debt.as_of - row.due_on).days, 0))
    return to_cent(yuan_days * terms.rate.annual / terms.rate.day_count)


def _take(left: dict[Component, Decimal], part: Component, most: Decimal) -> Decimal:
    """As much of the waiver of `part` as one row can bear."""
    taken = min(left.get(part, _ZERO), most)
    left[part] = left.get(part, _ZERO) - taken
    return taken


def _share(amount: Decimal, number: int, count: int) -> Decimal:
    """Part `number` of `count` equal parts in whole cents; the first ones carry the odd cents."""
    share, odd = divmod(in_cents(amount), count)
    return Decimal(share + (number <= odd)).scaleb(-2)
