"""What a loan contract says: principal, rate, method, fees, penalties, prepayment: every field of a loan file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from tianjing.config import StrictModel, load
from tianjing.finance.money import LARGEST_PERCENT, Percent, PositiveYuan, exactly

MAX_INSTALMENTS = 480
Method = Literal["equal_instalment", "equal_principal", "interest_first", "daily_interest", "irregular"]
Accrual = Literal["monthly", "actual_days"]
Role = Literal["lender", "guarantor", "insurer", "platform", "other"]
Text = Annotated[str, Field(min_length=1, max_length=100)]
Day = Annotated[date, Field(ge=date(1980, 1, 1), le=date(2199, 12, 31))]


class DescribedModel(StrictModel):
    """A strict model whose JSON schema, which a tool shows to a model, carries the field descriptions written here."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Rate(DescribedModel):
    """A nominal rate of interest. Month and year convert by 12, day and year by `day_count`: simple proportion."""

    percent: Percent
    """Percent per `per`, e.g. 18."""
    per: Literal["year", "month", "day"]
    day_count: Literal[360, 365] = 365
    """Days in a year when a daily rate is made of an annual one, or the other way round."""

    @model_validator(mode="after")
    def _in_reach(self) -> Rate:
        if self.annual * 100 > LARGEST_PERCENT:
            raise ValueError(f"{self.percent}% a {self.per} is more than {LARGEST_PERCENT}% a year")
        return self

    @property
    def annual(self) -> Decimal:
        """Nominal annual rate, as a fraction; exact."""
        with exactly():
            return self.percent / 100 * {"year": 1, "month": 12, "day": self.day_count}[self.per]


class Fee(DescribedModel):
    """A charge that the borrower pays when everything goes to plan, whoever receives it.

    What a guarantor, an insurer or a platform takes counts into the cost like the lender's own charges
    (金规〔2025〕9号, known at second hand).
    """

    name: Text
    payee: Text
    """Who receives it (收取主体)."""
    payee_role: Role = "lender"
    amount: PositiveYuan | None = None
    """A fixed amount each time; or give `percent`."""
    percent: Percent | None = None
    """Percent of `of` each time."""
    of: Literal["principal", "balance"] = "principal"
    """`balance` is the principal owed before each instalment; only with `when: each_instalment`."""
    when: Literal["deducted", "upfront", "financed", "each_instalment", "last_instalment"]
    """`deducted` from the disbursement (砍头息), paid `upfront` on the same day, `financed` (added to the debt), or due
    with instalments."""

    @model_validator(mode="after")
    def _one_measure(self) -> Fee:
        if (self.amount is None) == (self.percent is None):
            raise ValueError(f"fee '{self.name}': give either 'amount' or 'percent'")
        if self.of == "balance" and (self.percent is None or self.when != "each_instalment"):
            raise ValueError(f"fee '{self.name}': 'of: balance' needs 'percent' and 'when: each_instalment'")
        return self


class Penalty(DescribedModel):
    """What is due only after a default (罚息, 违约金): never part of the normal cost."""

    name: Text
    payee: Text
    rate: Rate | None = None
    """Rate on `of` for each day overdue; or give `markup_percent` or `amount`."""
    markup_percent: Percent | None = None
    """The contract rate raised by this many percent: 50 makes 18% a year into 27%."""
    amount: PositiveYuan | None = None
    """A fixed amount for each overdue instalment."""
    of: Literal["overdue_principal", "overdue_instalment", "remaining_principal"] = "overdue_principal"
    grace_days: int = Field(default=0, ge=0, le=90)
    """Paid within so many days (宽限期), nothing is due; paid later, every day counts."""
    cap_percent: Percent | None = None
    """Never more than this percent of `of`."""

    @model_validator(mode="after")
    def _one_measure(self) -> Penalty:
        if sum(value is not None for value in (self.rate, self.markup_percent, self.amount)) != 1:
            raise ValueError(f"penalty '{self.name}': give one of 'rate', 'markup_percent' and 'amount'")
        return self


class Prepayment(DescribedModel):
    """Settling early (提前还款). Interest is due for the days used."""

    fee_percent: Percent = Decimal(0)
    """Percent of the principal that is repaid early."""
    free_after_instalment: int = Field(default=0, ge=0, le=MAX_INSTALMENTS)
    """No fee once so many instalments are paid; 0 with a fee means that it is always due."""


class Payment(DescribedModel):
    """One payment of an irregular schedule: it pays the interest accrued, the rest repays principal."""

    due_on: Day
    amount: PositiveYuan | None = None
    """Without fees; left out in the last payment, which settles the loan."""


class LoanTerms(DescribedModel):
    """The terms of one loan.

    equal_instalment 等额本息, equal_principal 等额本金 and interest_first 先息后本 are due monthly; daily_interest
    随借随还、按日计息 is due after `term_days`; irregular follows `payments`.
    """

    product: Text
    lender: Text
    principal: PositiveYuan
    """Amount of the contract, before anything is deducted."""
    disbursed_on: Day
    rate: Rate
    method: Method
    instalments: int | None = Field(default=None, ge=1, le=MAX_INSTALMENTS)
    """Number of monthly instalments."""
    instalment_amount: PositiveYuan | None = None
    """equal_instalment: pay this much a month, without fees, for as long as it takes, instead of `instalments`."""
    first_due_on: Day | None = None
    """First due date, one month after the disbursement unless given; the others fall on the same day of the month."""
    accrual: Accrual | None = None
    """`monthly`: a twelfth of the annual rate each month, the default of monthly methods; `actual_days`: by days."""
    term_days: int | None = Field(default=None, ge=1, le=3660)
    """daily_interest: days until everything is due."""
    payments: tuple[Payment, ...] = Field(default=(), max_length=MAX_INSTALMENTS)
    """irregular: every payment; daily_interest: payments before the last day."""
    fees: tuple[Fee, ...] = Field(default=(), max_length=50)
    penalties: tuple[Penalty, ...] = Field(default=(), max_length=20)
    prepayment: Prepayment = Prepayment()

    @property
    def by_days(self) -> bool:
        """Whether interest follows the days of the calendar."""
        return self.accrual == "actual_days" or self.method in ("daily_interest", "irregular")

    @model_validator(mode="after")
    def _method_has_its_fields(self) -> LoanTerms:
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        monthly = self.method not in ("daily_interest", "irregular")
        if monthly and (self.instalments is None) == (self.instalment_amount is None):
            yield f"method '{self.method}' needs 'instalments'" + (
                " or 'instalment_amount', not both" if self.method == "equal_instalment" else ""
            )
        if self.instalment_amount is not None and self.method != "equal_instalment":
            yield "'instalment_amount' belongs to method 'equal_instalment'"
        for name in ("instalments", "first_due_on"):
            if not monthly and getattr(self, name) is not None:
                yield f"'{name}' has no meaning with method '{self.method}'"
        if not monthly and self.accrual == "monthly":
            yield f"method '{self.method}' accrues by days: leave out 'accrual: monthly'"
        if (self.method == "daily_interest") != (self.term_days is not None):
            yield "'term_days' is needed by method 'daily_interest' and by no other"
        if self.method == "irregular" and not self.payments:
            yield "method 'irregular' needs 'payments'"
        if monthly and self.payments:
            yield f"'payments' has no meaning with method '{self.method}'"
        days = [self.disbursed_on, *(payment.due_on for payment in self.payments)]
        for earlier, later in pairwise(days):
            if later <= earlier:
                yield f"'payments': {later} does not come after {earlier}"
        unsettled = self.payments if self.method == "daily_interest" else self.payments[:-1]
        if any(payment.amount is None for payment in unsettled):
            yield "'payments': only the last payment may leave out its amount"
        if self.first_due_on is not None and not 0 < (self.first_due_on - self.disbursed_on).days <= 366:
            yield f"'first_due_on' {self.first_due_on} is not within a year after 'disbursed_on' {self.disbursed_on}"


def load_terms(path: Path) -> LoanTerms:
    """Read a loan file (YAML, or JSON).

    Raises:
        TianjingError: naming file, line and field.
    """
    return load(LoanTerms, path)
