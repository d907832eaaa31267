"""The comprehensive financing cost table (综合融资成本明示表): its model, made of a quote, rendered.

The duty to show it before the contract is signed comes from 个人贷款业务明示综合融资成本规定, in force since 2026-08-01
and known here at second hand: principal; each item with its method, standard and payee; the annualised total of normal
performance; what a default costs, apart; and the statement that nothing else is charged.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tianjing.config import StrictModel, load
from tianjing.finance import wording
from tianjing.finance.cost import Quote
from tianjing.finance.money import TotalYuan, exactly, round_rate, show_yuan

DUTY_FROM = date(2026, 8, 1)
NOTHING_ELSE = "除上述列明的息费项目外，不向借款人收取其他任何息费。"

_Words = Annotated[str, Field(max_length=300)]


class TableItem(StrictModel):
    """One item of the normal cost. A part that is left out is a finding of `check_table`, not a reading error."""

    name: _Words | None = None
    """收费项目."""
    method: _Words | None = None
    """收取方式."""
    standard: _Words | None = None
    """收取标准."""
    payee: _Words | None = None
    """收取主体."""
    amount: TotalYuan | None = None
    """Over the whole loan, in yuan."""


class ContingentItem(StrictModel):
    """What is due only if something happens (或有成本)."""

    name: _Words | None = None
    condition: _Words | None = None
    """When it is due, e.g. 逾期未还."""
    standard: _Words | None = None
    payee: _Words | None = None


class TableRate(StrictModel):
    """An annualised total of the normal cost."""

    percent: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    """To two decimals."""
    basis: Literal["simple", "irr"] | None = None
    """单利 or 内部收益率（复利）."""


class TablePayment(StrictModel):
    """One payment of the schedule, in yuan."""

    due_on: date
    amount: TotalYuan
    principal: TotalYuan


class CostTable(StrictModel):
    """One table, as it is shown to a borrower or read back for validation."""

    lender: _Words | None = None
    product: _Words | None = None
    disbursed_on: date
    principal: TotalYuan
    """Amount of the contract."""
    cash_received: TotalYuan
    """实际到账金额."""
    repayment_method: _Words | None = None
    items: tuple[TableItem, ...]
    total_cost: TotalYuan
    total_repayment: TotalYuan
    annual_rates: tuple[TableRate, ...] = ()
    contingent: tuple[ContingentItem, ...] = ()
    nothing_else: _Words | None = None
    notices: tuple[_Words, ...] = ()
    payments: tuple[TablePayment, ...] = ()


def make_table(quoted: Quote) -> CostTable:
    """The table of a quote, rates to two decimals."""
    terms = quoted.terms
    return CostTable(
        lender=terms.lender,
        product=terms.product,
        disbursed_on=terms.disbursed_on,
        principal=terms.principal,
        cash_received=quoted.cash_received,
        repayment_method=wording.METHODS[terms.method],
        items=tuple(
            TableItem(
                name=item.name,
                method=wording.FEE_METHODS.get(item.when, wording.METHODS[terms.method]),
                standard=item.standard,
                payee=item.payee,
                amount=item.amount,
            )
            for item in quoted.items
        ),
        total_cost=quoted.total_cost,
        total_repayment=quoted.total_repayment,
        annual_rates=(
            TableRate(percent=_two_decimals(quoted.rates.simple), basis="simple"),
            TableRate(percent=_two_decimals(quoted.rates.irr), basis="irr"),
        ),
        contingent=tuple(
            ContingentItem(name=item.name, condition=item.condition, standard=item.standard, payee=item.payee)
            for item in quoted.contingent
        ),
        nothing_else=NOTHING_ELSE,
        notices=tuple(f"{notice.text}（{notice.source}）" for notice in quoted.notices),
        payments=tuple(
            TablePayment(due_on=row.due_on, amount=row.payment, principal=row.principal) for row in quoted.schedule
        ),
    )


def load_table(path: Path) -> CostTable:
    """Read a table back (JSON or YAML).

    Raises:
        TianjingError: naming file, line and field.
    """
    return load(CostTable, path)


def render(table: CostTable, form: Literal["markdown", "html", "json"]) -> str:
    """The table as text, ending in a line break."""
    if form == "json":
        return table.model_dump_json(indent=2, exclude_none=True) + "\n"
    template = _templates().get_template("cost_table.html.j2" if form == "html" else "cost_table.md.j2")
    return template.render(table=table, basis={"simple": "单利", "irr": "内部收益率，复利"}).rstrip("\n") + "\n"


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tianjing.finance", "."),
        autoescape=lambda name: bool(name and name.endswith("html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yuan"] = show_yuan
    environment.filters["cell"] = lambda text: str(text or "未列明").replace("|", "\\|").replace("\n", " ")
    return environment


def _two_decimals(fraction: Decimal) -> Decimal:
    with exactly():
        return round_rate(fraction * 100, 2)
