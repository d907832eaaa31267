"""Restructures a loan within a policy: deferral (延期), new instalments (分期), waivers (减免), with what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from tianjing.finance.cost import cash_flows
from tianjing.finance.debt import Component, Debt, debt_on, unpaid_rows
from tianjing.finance.errors import FinanceError
from tianjing.finance.money import Percent, exactly, to_cent
from tianjing.finance.plan import PlanRow, deferred_rows, reinstalled_rows
from tianjing.finance.policy import Clause, Measure, Policy
from tianjing.finance.rates import DAYS_A_YEAR, MONTHS_A_YEAR, CashFlow, dated_irr, twelve_decimals
from tianjing.finance.schedule import Row, make_schedule
from tianjing.finance.terms import MAX_INSTALMENTS, Day, DescribedModel, LoanTerms

_ZERO = Decimal("0.00")


class Deferral(DescribedModel):
    """Move every due date that is not paid by `days`; interest runs on at the contract rate, penalties stop."""

    days: Annotated[int, Field(ge=1, le=366)]
    granted_in_12_months: Annotated[int, Field(ge=0, le=100)] = 0
    """Deferrals granted before, in the last twelve months."""


class Reinstalment(DescribedModel):
    """Pay the debt in new monthly instalments: the principal with interest at the contract rate, arrears without."""

    instalments: Annotated[int, Field(ge=1, le=MAX_INSTALMENTS)]
    first_due_on: Day | None = None
    """One month after `as_of` unless given."""


class Waiver(DescribedModel):
    """Forgive a percentage of one component of the debt."""

    of: Component
    percent: Percent


class Request(DescribedModel):
    """What is asked for. A waiver may stand alone, or with a deferral or with new instalments."""

    as_of: Day
    paid_instalments: Annotated[int, Field(ge=0, le=MAX_INSTALMENTS)]
    """Instalments paid on time; the later ones are unpaid."""
    deferral: Deferral | None = None
    reinstalment: Reinstalment | None = None
    waivers: tuple[Waiver, ...] = Field(default=(), max_length=4)

    @model_validator(mode="after")
    def _is_one_plan(self) -> Request:
        if not (self.deferral or self.reinstalment or self.waivers):
            raise ValueError("nothing is asked for: give 'deferral', 'reinstalment' or 'waivers'")
        if self.deferral and self.reinstalment:
            raise ValueError("give either 'deferral' or 'reinstalment'")
        first_due_on = self.reinstalment.first_due_on if self.reinstalment else None
        if first_due_on and not 0 < (first_due_on - self.as_of).days <= 366:
            raise ValueError(
                f"'reinstalment.first_due_on' {first_due_on} is not within a year after 'as_of' {self.as_of}"
            )
        named = [waiver.of for waiver in self.waivers]
        if len(set(named)) < len(named):
            raise ValueError("'waivers': one component is named twice")
        if any(waiver.percent > 100 for waiver in self.waivers):
            raise ValueError("'waivers': no more than 100 percent can be waived")
        if "principal" in named and not self.reinstalment:
            raise ValueError(
                "'waivers': a waiver of principal needs 'reinstalment', which makes a schedule of the rest"
            )
        return self


@dataclass(frozen=True, slots=True)
class Breach:
    """One limit of the policy that the plan does not keep."""

    clause: str
    field: str
    asked: str
    limit: str

    def __str__(self) -> str:
        return f"{self.clause}: {self.field} {self.asked}; {self.limit}"


@dataclass(frozen=True, slots=True)
class Restructured:
    """A plan that keeps to the policy. Amounts in yuan.

    Args:
        clauses: ids of the clauses that it was held against.
        waived: amount forgiven by component; `total_waived` is their sum.
        total_payment: of the new schedule.
        value_before: of the old schedule and the penalty on `debt.as_of`; later payments are discounted at the contract
            rate compounded monthly, what is overdue counts in full.
        value_after: of the new schedule, likewise.
        given_up: `value_before` − `value_after`; negative when the plan brings in more.
        whole_loan_irr: effective annual rate by days over the whole loan, past payments and the new schedule (XIRR).
    """

    policy: str
    clauses: tuple[str, ...]
    debt: Debt
    waived: dict[Component, Decimal]
    total_waived: Decimal
    schedule: tuple[PlanRow, ...]
    total_payment: Decimal
    value_before: Decimal
    value_after: Decimal
    given_up: Decimal
    whole_loan_irr: Decimal


class OpenLoan:
    """A loan on one day, on which plans can be made: what they have in common is computed once.

    Args:
        paid_instalments: instalments paid on time; the later ones are unpaid.

    Raises:
        FinanceError: the loan cannot be scheduled, or nothing of it is left to pay on that day.
    """

    def __init__(self, terms: LoanTerms, paid_instalments: int, as_of: date):
        rows = make_schedule(terms)
        self.terms = terms
        self.debt = debt_on(terms, paid_instalments, as_of)
        self._paid = paid_instalments
        self._unpaid = unpaid_rows(terms, rows, paid_instalments, as_of)
        self._past = cash_flows(terms, rows[:paid_instalments])
        with exactly():
            # A month is 365/12 days: the growth of a day, so that a row's discount is a whole power of it.
            months_a_day = Decimal(MONTHS_A_YEAR) / DAYS_A_YEAR
            self._growth_of_a_day = (1 + terms.rate.annual / MONTHS_A_YEAR) ** months_a_day
            self._value = to_cent(self.debt.penalty + self._present_value(self._unpaid))

    def plan(
        self,
        policy: Policy,
        deferral: Deferral | None = None,
        reinstalment: Reinstalment | None = None,
        waivers: tuple[Waiver, ...] = (),
    ) -> Restructured:
        """The new schedule and what it costs.

        Raises:
            ValueError: the measures are no plan; see `Request`.
            FinanceError: the policy does not permit it (each clause and limit is named), or it cannot be scheduled.
        """
        day = self.debt.as_of
        asked = Request(
            as_of=day, paid_instalments=self._paid, deferral=deferral, reinstalment=reinstalment, waivers=waivers
        )
        return self.restructured(asked, policy)

    def restructured(self, request: Request, policy: Policy) -> Restructured:
        """As `plan`, for a request on this loan and day."""
        terms, debt = self.terms, self.debt
        with exactly():
            waived: dict[Component, Decimal] = {
                waiver.of: to_cent(getattr(debt, waiver.of) * waiver.percent / 100) for waiver in request.waivers
            }
            if request.reinstalment:
                asked = request.reinstalment
                rows = reinstalled_rows(terms, debt, waived, asked.instalments, asked.first_due_on)
            else:
                days = request.deferral.days if request.deferral else 0
                rows = deferred_rows(terms, debt, waived, self._unpaid, days)
            applied, breaches = hold_against(policy, terms, request, debt, rows)
            if breaches:
                raise FinanceError(
                    "\n".join(f"{policy.name}: {breach}" for breach in breaches),
                    "ask for a plan within the limits, or bring it to whoever may decide beyond this policy",
                )
            after = to_cent(self._present_value(rows))
            flows = [CashFlow(day=row.due_on, amount=-row.payment, label="新还款计划") for row in rows]
            return Restructured(
                policy=policy.name,
                clauses=tuple(dict.fromkeys(clause.id for clause in applied)),
                debt=debt,
                waived=waived,
                total_waived=sum(waived.values(), _ZERO),
                schedule=rows,
                total_payment=sum((row.payment for row in rows), _ZERO),
                value_before=self._value,
                value_after=after,
                given_up=self._value - after,
                whole_loan_irr=twelve_decimals(dated_irr([*self._past, *flows])),
            )

    def _present_value(self, rows: Sequence[Row | PlanRow]) -> Decimal:
        total = _ZERO
        for row in rows:
            total += row.payment / self._growth_of_a_day ** max((row.due_on - self.debt.as_of).days, 0)
        return total


def restructure(terms: LoanTerms, request: Request, policy: Policy) -> Restructured:
    """The new schedule and what it costs; raises as `OpenLoan` and its `plan`."""
    return OpenLoan(terms, request.paid_instalments, request.as_of).restructured(request, policy)


def hold_against(
    policy: Policy, terms: LoanTerms, request: Request, debt: Debt, rows: tuple[PlanRow, ...]
) -> tuple[list[Clause], list[Breach]]:
    """The clauses that apply to the plan, and every limit of theirs that it does not keep."""
    applied: list[Clause] = []
    breaches: list[Breach] = []
    for measure, component, values in _asked(request, rows):
        clauses = policy.applying(measure, terms.product, debt.overdue_days, request.as_of, component)
        applied += clauses
        # A clause that only sets a smallest payment limits new instalments but does not permit them.
        permitting = next(iter(values))
        if not any(permitting in dict(clause.limits()) for clause in clauses):
            what = measure if component is None else f"{measure} of {component}"
            case = f"for {terms.product}, {debt.overdue_days} days overdue, on {request.as_of}"
            breaches.append(Breach("no clause", what, case, f"no clause permits any {permitting}"))
        for clause in clauses:
            breaches += _breaches(clause, values)
    return applied, breaches


def _asked(
    request: Request, rows: tuple[PlanRow, ...]
) -> Iterator[tuple[Measure, Component | None, dict[str, Decimal]]]:
    """Each measure asked for, with its values by the names of `limits`; the first is the one that needs permission."""
    if request.deferral:
        asked = request.deferral
        count = Decimal(asked.granted_in_12_months + 1)
        yield "deferral", None, {"days": Decimal(asked.days), "deferrals_in_12_months": count}
    if request.reinstalment:
        # The last instalment absorbs the rounding to the cent and may fall below the smallest payment by that.
        smallest = min(row.payment for row in rows[:-1] or rows)
        days = Decimal((rows[0].due_on - request.as_of).days)
        values = {"instalments": Decimal(len(rows)), "payment": smallest, "days_to_first_payment": days}
        yield "reinstalment", None, values
    for waiver in request.waivers:
        yield "waiver", waiver.of, {f"percent of {waiver.of}": waiver.percent}


def _breaches(clause: Clause, values: dict[str, Decimal]) -> Iterator[Breach]:
    for field, limits in clause.limits():
        if not limits.holds(values[field]):
            yield Breach(clause.id, field, f"{values[field]}", f"{limits}")
