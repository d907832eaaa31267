"""What is true of a loan: the facts that stated values are compared with.

`Fact` fixes the names (a closed list), their kind, and how each value is written: money in yuan, rates as a fraction
per year, month, day or once, ISO dates, counts with a unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal, Self

from pydantic import model_validator

from tianjing.config import StrictModel

Kind = Literal["money", "rate", "date", "count"]
Period = Literal["year", "month", "day", "once"]
Unit = Literal["期", "天", "个月", "次", "笔"]

# name -> kind and, in Chinese, what a reason calls it
NAMES: dict[str, tuple[Kind, str]] = {
    "principal": ("money", "借款本金"),
    "cash_received": ("money", "到账金额"),
    "instalment": ("money", "每期应还"),
    "total_interest": ("money", "总利息"),
    "total_fees": ("money", "费用合计"),
    "total_repayment": ("money", "还款总额"),
    "overdue_amount": ("money", "逾期金额"),
    "penalty": ("money", "罚息违约金"),
    "remaining_principal": ("money", "剩余本金"),
    "minimum_payment": ("money", "最低还款"),
    "waiver_amount": ("money", "减免金额"),
    "credit_limit": ("money", "额度"),
    "annual_rate_irr": ("rate", "年化利率（内部收益率）"),
    "annual_rate_simple": ("rate", "年化利率（单利）"),
    "contract_rate": ("rate", "合同利率"),
    "monthly_rate": ("rate", "月利率"),
    "daily_rate": ("rate", "日利率"),
    "penalty_rate": ("rate", "罚息利率"),
    "fee_rate": ("rate", "手续费率"),
    "waiver_share": ("rate", "减免比例"),
    "due_date": ("date", "还款日"),
    "contract_date": ("date", "签约放款日"),
    "deadline": ("date", "截止日期"),
    "maturity_date": ("date", "最后一期还款日"),
    "instalments": ("count", "总期数"),
    "instalments_paid": ("count", "已还期数"),
    "instalments_left": ("count", "剩余期数"),
    "overdue_days": ("count", "逾期天数"),
    "deferral_days": ("count", "延期天数"),
    "term_months": ("count", "期限"),
    "loans": ("count", "借款笔数"),
}
_MAY_REPEAT = "due_date"


class Fact(StrictModel):
    """One true value. `per` belongs to rates, `unit` to counts."""

    name: str
    kind: Kind
    value: str
    per: Period | None = None
    unit: Unit | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name not in NAMES:
            raise ValueError(f"no fact is called '{self.name}'; one of: {', '.join(NAMES)}")
        if self.kind != NAMES[self.name][0]:
            raise ValueError(f"'{self.name}' is of kind {NAMES[self.name][0]}, not {self.kind}")
        if (self.per is not None) != (self.kind == "rate"):
            raise ValueError("'per' (year, month, day or once) stands with a rate, and only there")
        if (self.unit is not None) != (self.kind == "count"):
            raise ValueError("'unit' (期, 天, 个月, 次 or 笔) stands with a count, and only there")
        if self.kind == "date":
            _day(self.value)
        elif _decimal(self.value) < 0:
            raise ValueError(f"'{self.name}' is below zero: {self.value}")
        return self

    @property
    def number(self) -> Decimal:
        """Yuan, fraction or count; not for a date."""
        return _decimal(self.value)

    @property
    def day(self) -> date:
        """Only for a date."""
        return _day(self.value)

    @property
    def label(self) -> str:
        """What a reason calls it."""
        return NAMES[self.name][1]


class Facts(StrictModel):
    """The truth about one customer's loan on the day `as_of`, from which 明天 and 下个月5号 are counted."""

    as_of: date
    values: tuple[Fact, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        names = [fact.name for fact in self.values if fact.name != _MAY_REPEAT]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"stated more than once: {', '.join(twice)}; only {_MAY_REPEAT} may repeat")
        return self

    def named(self, names: Iterable[str]) -> tuple[Fact, ...]:
        """The facts of these names, in their order."""
        return tuple(fact for name in names for fact in self.values if fact.name == name)

    def of_kind(self, kind: Kind) -> tuple[Fact, ...]:
        """All facts of one kind."""
        return tuple(fact for fact in self.values if fact.kind == kind)


def _decimal(value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a number: {value!r}")
    return number


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"not a date like 2026-08-05: {value!r}") from None
