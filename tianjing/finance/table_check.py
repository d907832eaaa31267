"""Checks a cost table (综合融资成本明示表): nothing missing, sums that add up, rates that follow from the payments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from tianjing.finance.errors import FinanceError
from tianjing.finance.money import exactly, show_percent, show_yuan
from tianjing.finance.rates import CashFlow, compounded, dated_irr, monthly_irr, principal_years, simple_annual_rate
from tianjing.finance.table import CostTable, TableRate

DISCLOSURE_RULE = "个人贷款业务明示综合融资成本规定, in force since 2026-08-01 (known at second hand)"
RATE_RULE = "中国人民银行公告〔2021〕第3号 (known at second hand)"
_CONTINGENT_WORDS = re.compile("罚息|违约金|滞纳金|逾期|催收|提前还款|提前结清")
# 不收取 and what it is said of, in either order: “不收取提前还款违约金” says nothing about the rest.
_NOTHING_ELSE = re.compile("(除上述|除以上|除此|此外|其他|任何).*不.{0,14}收|不.{0,14}收.{0,8}(其他|任何)")
# A rate is stated to two decimals of a percent.
_HALF_OF_THE_LAST_DIGIT = Decimal("0.00005")
_PARTS = {
    "name": "the item",
    "method": "how it is charged",
    "standard": "what it is measured by",
    "payee": "who gets it",
}
_CONTINGENT_PARTS = {"name": "the item", "condition": "when it is due", **{k: _PARTS[k] for k in ("standard", "payee")}}


@dataclass(frozen=True, slots=True)
class TableFinding:
    """What is wrong: the field as in the file, the problem, the rule that asks for it, and what to do."""

    field: str
    problem: str
    rule: str
    remedy: str


def check_table(table: CostTable) -> tuple[TableFinding, ...]:
    """Everything wrong with a table; empty when it is in order.

    A simple rate may count months as twelfths or days on 365, and may be the monthly IRR × 12; a compound one may be
    the monthly IRR compounded or the IRR by days. A stated rate that is none of these to two decimals is a finding.
    """
    with exactly():
        return tuple([*_missing(table), *_misplaced(table), *_sums(table), *_rates(table)])


def _missing(table: CostTable) -> Iterator[TableFinding]:
    for field, chinese in (("lender", "贷款人"), ("repayment_method", "还款方式")):
        if not getattr(table, field):
            yield TableFinding(field, f"{chinese} is missing", DISCLOSURE_RULE, f"state {field}")
    if not table.items:
        yield TableFinding(
            "items", "no item is listed", DISCLOSURE_RULE, "list interest and every fee, also zero interest"
        )
    for number, item in enumerate(table.items):
        yield from _missing_parts(f"items[{number}]", item, _PARTS)
        if item.amount is None:
            yield TableFinding(
                f"items[{number}].amount",
                f"the amount of {item.name or 'the item'} is missing",
                DISCLOSURE_RULE,
                "state what the item costs over the whole loan, in yuan",
            )
    for number, contingent in enumerate(table.contingent):
        yield from _missing_parts(f"contingent[{number}]", contingent, _CONTINGENT_PARTS)
    if not table.annual_rates:
        yield TableFinding("annual_rates", "the annualised total is missing", DISCLOSURE_RULE, "state an annual rate")
    if not table.nothing_else or not _NOTHING_ELSE.search(table.nothing_else):
        yield TableFinding(
            "nothing_else",
            "the statement that nothing else is charged is missing",
            DISCLOSURE_RULE,
            "state: 除上述列明的息费项目外，不向借款人收取其他任何息费。",
        )
    if not table.payments:
        yield TableFinding(
            "payments", "no payment is listed", RATE_RULE, "list every payment: the rate follows from them"
        )


def _missing_parts(place: str, item: object, parts: dict[str, str]) -> Iterator[TableFinding]:
    for part, meaning in parts.items():
        if not getattr(item, part):
            name = getattr(item, "name", None) or "the item"
            problem = f"{part} of {name} is missing" if part != "name" else "the item has no name"
            yield TableFinding(f"{place}.{part}", problem, DISCLOSURE_RULE, f"state {meaning}")


def _misplaced(table: CostTable) -> Iterator[TableFinding]:
    apart = {item.name for item in table.contingent if item.name}
    for number, item in enumerate(table.items):
        if item.name and (item.name in apart or _CONTINGENT_WORDS.search(item.name)):
            yield TableFinding(
                f"items[{number}].name",
                f"{item.name} is due only after a default or on early settlement, and stands in the normal total",
                DISCLOSURE_RULE,
                "move it to `contingent` and take its amount out of total_cost",
            )


def _sums(table: CostTable) -> Iterator[TableFinding]:
    items = sum((item.amount or Decimal(0) for item in table.items), Decimal(0))
    if all(item.amount is not None for item in table.items) and items != table.total_cost:
        yield _sum_finding("total_cost", table.total_cost, items, "the items add up to")
    if table.total_repayment - table.cash_received != table.total_cost:
        cost = table.total_repayment - table.cash_received
        yield _sum_finding("total_cost", table.total_cost, cost, "total_repayment less cash_received is")
    if table.payments:
        paid = sum((payment.amount for payment in table.payments), Decimal(0))
        if paid != table.total_repayment:
            yield _sum_finding("total_repayment", table.total_repayment, paid, "the payments add up to")
        repaid = sum((payment.principal for payment in table.payments), Decimal(0))
        if repaid < table.principal:
            yield _sum_finding(
                "payments", repaid, table.principal, "of principal are repaid, the contract's principal is"
            )
    if table.cash_received > table.principal:
        yield _sum_finding("cash_received", table.cash_received, table.principal, "the principal is only")


def _sum_finding(field: str, stated: Decimal, other: Decimal, words: str) -> TableFinding:
    return TableFinding(
        field, f"{show_yuan(stated)}, but {words} {show_yuan(other)}", DISCLOSURE_RULE, "correct whichever is wrong"
    )


def _rates(table: CostTable) -> Iterator[TableFinding]:
    if not table.payments:
        return
    try:
        true_rates = _true_rates(table)
    except FinanceError as error:
        yield TableFinding("payments", f"no rate follows from them: {error.message}", RATE_RULE, error.remedy)
        return
    for number, rate in enumerate(table.annual_rates):
        place = f"annual_rates[{number}]"
        if rate.basis is None:
            yield TableFinding(
                f"{place}.basis",
                f"{rate.percent}% is not said to be simple (单利) or compound (内部收益率)",
                RATE_RULE,
                "state basis: simple or irr; a simple rate has to be called simple",
            )
            continue
        fitting = true_rates[rate.basis]
        if not any(_states(rate, true) for true in fitting):
            yield TableFinding(
                f"{place}.percent",
                f"{rate.percent}% ({rate.basis}), but the payments give "
                + " or ".join(dict.fromkeys(show_percent(true) for true in fitting)),
                RATE_RULE,
                "state the rate that follows from the payments and the cash received",
            )


def _states(rate: TableRate, true: Decimal) -> bool:
    return abs(rate.percent / 100 - true) <= _HALF_OF_THE_LAST_DIGIT


def _true_rates(table: CostTable) -> dict[str, list[Decimal]]:
    received, start = table.cash_received, table.disbursed_on
    flows = [CashFlow(day=start, amount=received, label="放款")]
    flows += [CashFlow(day=payment.due_on, amount=-payment.amount, label="还款") for payment in table.payments]
    cost = sum((payment.amount for payment in table.payments), Decimal(0)) - received
    repaid = [(payment.due_on, payment.principal) for payment in table.payments]
    by_days = principal_years(start, received, repaid, by_days=True)
    rates = {"irr": [dated_irr(flows)], "simple": [simple_annual_rate(cost, by_days)]}
    if _is_monthly(table):
        monthly = monthly_irr([flow.amount for flow in flows])
        by_months = principal_years(start, received, repaid, by_days=False)
        rates["irr"].insert(0, compounded(monthly))
        rates["simple"] = [simple_annual_rate(cost, by_months), monthly * 12, *rates["simple"]]
    return rates


def _is_monthly(table: CostTable) -> bool:
    months = [
        day.year * 12 + day.month for day in (table.disbursed_on, *(payment.due_on for payment in table.payments))
    ]
    return all(later == earlier + 1 for earlier, later in pairwise(months))
