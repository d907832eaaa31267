"""What is owed on a day: principal, interest, fees and penalties (罚息), and what settling early costs (提前结清)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from tianjing.finance.errors import FinanceError
from tianjing.finance.money import exactly, to_cent
from tianjing.finance.schedule import Row, days_of, make_schedule
from tianjing.finance.terms import LoanTerms, Penalty

Component = Literal["penalty", "fees", "interest", "principal"]
_ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed on `as_of`, in yuan.

    Args:
        principal: all of it, due or not.
        interest: due and unpaid, and accrued by days since the last due date on principal that is not due yet; overdue
            principal bears the penalty instead.
        fees: due and unpaid.
        penalty: accrued to `as_of`.
        overdue_days: since the oldest unpaid due date; 0 when nothing is overdue.
        overdue_amount: due before `as_of` and unpaid, with fees, without penalty.
        settlement_fee: for repaying on that day the principal that is not due yet (提前还款违约金); not in `total`.
    """

    as_of: date
    principal: Decimal
    interest: Decimal
    fees: Decimal
    penalty: Decimal
    overdue_days: int
    overdue_amount: Decimal
    settlement_fee: Decimal

    @property
    def total(self) -> Decimal:
        """Principal, interest, fees and penalty."""
        with exactly():
            return self.principal + self.interest + self.fees + self.penalty


def debt_on(terms: LoanTerms, paid_instalments: int, as_of: date) -> Debt:
    """The debt when the first `paid_instalments` were paid on time and nothing since.

    Raises:
        FinanceError: the day lies before the last payment, or more instalments are paid than there are.
    """
    rows = make_schedule(terms)
    unpaid = unpaid_rows(terms, rows, paid_instalments, as_of)
    due = [row for row in unpaid if row.due_on <= as_of]
    overdue = [row for row in due if row.due_on < as_of]
    start = max([terms.disbursed_on, *(row.due_on for row in rows if row.due_on <= as_of)])
    with exactly():
        principal = sum((row.principal for row in unpaid), _ZERO)
        not_due = principal - sum((row.principal for row in due), _ZERO)
        accrued = days_of(terms, start, as_of).interest(not_due)
        is_free = 0 < terms.prepayment.free_after_instalment <= paid_instalments
        return Debt(
            as_of=as_of,
            principal=principal,
            interest=sum((row.interest for row in due), accrued),
            fees=sum((row.fees for row in due), _ZERO),
            penalty=sum((_penalty(terms, item, overdue, principal, as_of) for item in terms.penalties), _ZERO),
            overdue_days=(as_of - overdue[0].due_on).days if overdue else 0,
            overdue_amount=sum((row.payment for row in overdue), _ZERO),
            settlement_fee=_ZERO if is_free else to_cent(not_due * terms.prepayment.fee_percent / 100),
        )


def unpaid_rows(terms: LoanTerms, rows: tuple[Row, ...], paid_instalments: int, as_of: date) -> tuple[Row, ...]:
    """Rows after the paid ones.

    Raises:
        FinanceError: as `debt_on`.
    """
    if not 0 <= paid_instalments < len(rows):
        raise FinanceError(
            f"paid_instalments: {paid_instalments} of {len(rows)} leaves nothing to pay",
            f"give a number from 0 to {len(rows) - 1}",
        )
    last_paid = rows[paid_instalments - 1].due_on if paid_instalments else terms.disbursed_on
    if as_of < last_paid:
        raise FinanceError(
            f"as_of: {as_of} lies before {last_paid}, the day of the last payment or of the disbursement",
            "give a later day, or fewer paid instalments",
        )
    return rows[paid_instalments:]


def _penalty(terms: LoanTerms, penalty: Penalty, overdue: list[Row], principal: Decimal, as_of: date) -> Decimal:
    late = [row for row in overdue if (as_of - row.due_on).days > penalty.grace_days]
    if penalty.of == "remaining_principal":
        late = late[:1]  # one base, counted from the oldest unpaid due date
    total = _ZERO
    for row in late:
        bases = {
            "overdue_principal": row.principal,
            "overdue_instalment": row.payment,
            "remaining_principal": principal,
        }
        total += _penalty_on(terms, penalty, bases[penalty.of], (as_of - row.due_on).days)
    return total


def _penalty_on(terms: LoanTerms, penalty: Penalty, base: Decimal, days: int) -> Decimal:
    if penalty.amount is not None:
        due = penalty.amount
    else:
        rate = penalty.rate or terms.rate
        raised = 100 + (penalty.markup_percent or 0)
        due = to_cent(base * rate.annual * raised * days / (100 * rate.day_count))
    return due if penalty.cap_percent is None else min(due, to_cent(base * penalty.cap_percent / 100))
