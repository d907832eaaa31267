"""What may be offered on a loan: every plan held against the policy by the cost engine, to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from serving.decide.settings import DecideSettings
from tianjing.finance.debt import Component
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import show_percent
from tianjing.finance.policy import Policy
from tianjing.finance.restructure import Deferral, OpenLoan, Reinstalment, Restructured, Waiver
from tianjing.finance.schedule import add_months
from tianjing.finance.terms import LoanTerms, Penalty, Rate
from tianjing.records import Account

_AMOUNTS = ("payment", "principal", "interest", "fees", "penalty")
_NOBODY = "-"  # whom the money goes to is not in an account's row, and no amount hangs on it


class AccountError(Exception):
    """Why nothing can be computed on an account; `fits` is false where the row contradicts itself."""

    def __init__(self, message: str, fits: bool = True):
        super().__init__(message)
        self.fits = fits


@dataclass(frozen=True)
class Measure:
    """One concession that is tried on the policy."""

    name: str
    asked: dict[str, Any]
    """What is asked for, as it is answered."""
    plan: dict[str, Any] = field(default_factory=dict)
    """The arguments of `OpenLoan.plan`."""


@dataclass(frozen=True)
class Tried:
    """A measure with its plan, or with why the policy does not permit it."""

    measure: Measure
    plan: Restructured | None = None
    refused: str = ""

    def row(self) -> dict[str, Any]:
        """As it is answered; amounts in yuan and rates as text, so that no digit is lost."""
        head = {"measure": self.measure.name, **self.measure.asked}
        if self.plan is None:
            return {**head, "reason": self.refused}
        plan = self.plan
        return {
            **head,
            "clauses": list(plan.clauses),
            "waived": {part: str(amount) for part, amount in plan.waived.items()},
            "total_payment": str(plan.total_payment),
            "given_up": str(plan.given_up),
            "annual_rate_irr": show_percent(plan.whole_loan_irr, 4),
            "schedule": [
                {
                    "number": row.number,
                    "due_on": row.due_on.isoformat(),
                    **{
                        name: str(getattr(row, name))
                        for name in ("payment", "principal", "interest", "fees", "penalty")
                    },
                }
                for row in plan.schedule
            ],
        }


def open_loan(account: Account, loan: LoanTerms | None) -> OpenLoan:
    """The loan as it stands on the day of the account's row.

    Args:
        loan: the contract; without it the row's penalty is taken as it is, and there are no fees.

    Raises:
        AccountError: the loan has no monthly schedule, is paid, or its row contradicts its schedule or the contract.
    """
    schedule, arrears = account.schedule, account.arrears
    if schedule.method in ("daily_interest", "irregular"):
        raise AccountError(f"method '{schedule.method}' has no monthly schedule to plan on")
    terms = _terms(account) if loan is None else loan
    if loan is not None:
        _same_loan(account, loan)
    due = (add_months(schedule.first_due_on, number) for number in range(schedule.instalments))
    passed = sum(day < account.as_of for day in due)
    try:
        opened = OpenLoan(terms, passed - arrears.instalments, account.as_of)
    except FinanceError as error:
        raise AccountError(error.message, fits=passed >= arrears.instalments) from None
    shown = (opened.debt.overdue_days, opened.debt.overdue_amount, opened.debt.penalty)
    told = (arrears.days, arrears.principal + arrears.interest, arrears.penalty)
    if loan is not None:
        # What is overdue of the contract's fees has no place of its own in an account's row.
        told = (arrears.days, shown[1], arrears.penalty)
    if shown != told:
        raise AccountError(
            f"arrears: {told[0]} days, {told[1]} and penalty {told[2]} in the row; the schedule makes "
            f"{shown[0]} days, {shown[1]} and {shown[2]}",
            fits=False,
        )
    return opened


def measures(settings: DecideSettings, policy: Policy, loan: OpenLoan, deferrals_granted: int) -> Iterator[Measure]:
    """What is tried: the settings' deferrals and instalments, and of each waiver the most that the policy permits."""
    for days in settings.deferral_days:
        plan = {"deferral": Deferral(days=days, granted_in_12_months=deferrals_granted)}
        yield Measure("deferral", {"days": days}, plan)
    for count in settings.instalments:
        yield Measure("reinstalment", {"instalments": count}, {"reinstalment": Reinstalment(instalments=count)})
    for part in policy.waivable:
        # A waiver of principal stands only beside new instalments; see `restructure.Request`.
        percent = _most_waived(policy, loan, part)
        if percent and part != "principal" and getattr(loan.debt, part):
            asked = {"of": part, "percent": str(percent)}
            yield Measure("waiver", asked, {"waivers": (Waiver(of=part, percent=percent),)})


def attempt(policy: Policy, loan: OpenLoan, measure: Measure) -> Tried:
    """Hold one measure against the policy."""
    try:
        return Tried(measure, loan.plan(policy, **measure.plan))
    except FinanceError as error:
        return Tried(measure, refused=error.message)


def debt_row(loan: OpenLoan) -> dict[str, Any]:
    """What is owed, in yuan as text."""
    debt = loan.debt
    amounts = ("principal", "interest", "fees", "penalty", "total", "overdue_amount", "settlement_fee")
    return {
        "as_of": debt.as_of.isoformat(),
        "overdue_days": debt.overdue_days,
        **{name: str(getattr(debt, name)) for name in amounts},
    }


def _terms(account: Account) -> LoanTerms:
    schedule, penalty = account.schedule, account.arrears.penalty
    # A fixed amount of the remaining principal's penalty falls due once: what the row shows, to the cent.
    due = Penalty(name="罚息", payee=_NOBODY, amount=penalty, of="remaining_principal") if penalty else None
    try:
        return LoanTerms(
            product=account.product,
            lender=_NOBODY,
            principal=account.principal,
            disbursed_on=add_months(schedule.first_due_on, -1),
            rate=Rate(percent=account.rate, per="year"),
            method=schedule.method,
            instalments=schedule.instalments,
            penalties=(due,) if due else (),
        )
    except ValueError as error:
        raise AccountError(f"no contract can be read from the row: {str(error).splitlines()[0]}", fits=False) from None


def _same_loan(account: Account, loan: LoanTerms) -> None:
    schedule = account.schedule
    pairs = {
        "product": (account.product, loan.product),
        "principal": (account.principal, loan.principal),
        "rate": (account.rate / 100, loan.rate.annual),
        "method": (schedule.method, loan.method),
        "instalments": (schedule.instalments, loan.instalments),
        "first_due_on": (schedule.first_due_on, loan.first_due_on or add_months(loan.disbursed_on, 1)),
    }
    for name, (shown, agreed) in pairs.items():
        if shown != agreed:
            raise AccountError(f"loan: {name} is {agreed} in the contract and {shown} in the account's row", fits=False)


def _most_waived(policy: Policy, loan: OpenLoan, part: Component) -> Decimal | None:
    """The most that every clause on this part, in this case, permits; None where none says how much."""
    debt = loan.debt
    clauses = policy.applying("waiver", loan.terms.product, debt.overdue_days, debt.as_of, part)
    limits = (limits.maximum for clause in clauses for _, limits in clause.limits())
    return min((maximum for maximum in limits if maximum is not None), default=None)
