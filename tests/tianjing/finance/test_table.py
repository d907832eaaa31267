"""Cost tables: what is generated passes its own check, and each thing that can be wrong is found and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.conftest import REPOSITORY
from tests.tianjing.finance.loans import fee, loan, monthly_loans
from tianjing.finance import LoanTerms, load_terms, quote
from tianjing.finance.table import CostTable, load_table, make_table, render
from tianjing.finance.table_check import check_table

LOAN = REPOSITORY / "examples" / "cost" / "loan.yaml"


def findings(change: Callable[[dict[str, Any]], Any]) -> list[tuple[str, str]]:
    value = make_table(quote(load_terms(LOAN))).model_dump(mode="json")
    change(value)
    return [(finding.field, finding.problem) for finding in check_table(CostTable.model_validate(value))]


@settings(deadline=None, max_examples=40)
@given(terms=monthly_loans())
def test_every_table_that_is_made_passes_the_check(terms: LoanTerms) -> None:
    assert check_table(make_table(quote(terms))) == ()


@pytest.mark.parametrize(
    "terms",
    [
        loan(fees=[fee(percent=5, when="deducted"), fee(amount="90", when="upfront")]),
        loan(fees=[fee(percent=5, when="financed")]),
        loan(method="daily_interest", instalments=None, term_days=45, rate={"percent": "0.04", "per": "day"}),
        loan(
            method="irregular",
            instalments=None,
            payments=[{"due_on": "2026-10-01", "amount": 5000}, {"due_on": "2027-01-09"}],
        ),
    ],
)
def test_tables_of_unusual_loans_pass_the_check_too(terms: LoanTerms) -> None:
    assert check_table(make_table(quote(terms))) == ()


@pytest.mark.parametrize(
    "words", ["除以上费用外不再收取任何费用。", "本公司不会向您收取其他费用", "除此之外，贷款人及合作机构不另行收费。"]
)
def test_the_statement_may_be_worded_otherwise(words: str) -> None:
    assert findings(lambda table: table.update(nothing_else=words)) == []


@pytest.mark.parametrize("part", ["name", "method", "standard", "payee", "amount"])
def test_an_item_that_lacks_a_part_is_found(part: str) -> None:
    found = findings(lambda table: table["items"][1].update({part: None}))
    assert [field for field, _ in found] == [f"items[1].{part}"]


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda t: t.update(lender=""), "lender", "贷款人 is missing"),
        (lambda t: t.update(nothing_else=None), "nothing_else", "nothing else is charged is missing"),
        (lambda t: t.update(nothing_else="详见合同。"), "nothing_else", "nothing else is charged is missing"),
        (
            lambda t: t.update(nothing_else="不收取提前还款违约金。"),
            "nothing_else",
            "nothing else is charged is missing",
        ),
        (lambda t: t.update(annual_rates=[]), "annual_rates", "the annualised total is missing"),
        (lambda t: t["contingent"][0].update(payee=None), "contingent[0].payee", "payee of 逾期罚息 is missing"),
        (lambda t: t["annual_rates"][0].update(basis=None), "annual_rates[0].basis", "is not said to be simple"),
        # The contract's 12% hides the guarantee fee: the payments give 15%.
        (lambda t: t["annual_rates"][0].update(percent="12.00"), "annual_rates[0].percent", "the payments give 15.00%"),
        (lambda t: t["annual_rates"][1].update(percent="15.00"), "annual_rates[1].percent", "the payments give 16.08%"),
        (lambda t: t["payments"][3].update(amount="1089.03"), "total_repayment", "the payments add up to 12,992.80 元"),
        (lambda t: t["items"][0].update(amount="794.22"), "total_cost", "the items add up to 992.78 元"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[dict[str, Any]], Any], field: str, problem: str) -> None:
    found = findings(change)
    assert any(name == field and problem in text for name, text in found), found


@pytest.mark.parametrize(
    ("name", "listed_apart"),
    [("滞纳金", False), ("账户服务费", True)],  # by its own name, or because it stands among the contingent costs too
)
def test_a_contingent_cost_inside_the_normal_total_is_found(name: str, listed_apart: bool) -> None:
    def add(table: dict[str, Any]) -> None:
        table["items"].append({"name": name, "method": "按日", "standard": "18%", "payee": "x", "amount": "30.00"})
        table["total_cost"] = "1022.79"
        if listed_apart:
            table["contingent"][0]["name"] = name

    found = dict(findings(add))
    assert "stands in the normal total" in found["items[2].name"]
    assert "total_repayment less cash_received is 992.79 元" in found["total_cost"]


def test_a_fee_that_is_hidden_from_the_cash_received_is_found() -> None:
    # 500 were deducted, and the table says that everything was paid out.
    table = make_table(quote(loan(fees=[fee(amount="500", when="deducted")]))).model_dump()
    table["cash_received"] = "12000"
    found = {finding.field for finding in check_table(CostTable.model_validate(table))}
    assert {"total_cost", "annual_rates[0].percent", "annual_rates[1].percent"} <= found


def test_every_finding_names_its_rule_and_says_what_to_do() -> None:
    for finding in check_table(CostTable.model_validate({**make_table(quote(loan())).model_dump(), "items": ()})):
        assert "second hand" in finding.rule
        assert finding.remedy


def test_json_reads_back_as_the_same_table(tmp_path: Path) -> None:
    table = make_table(quote(load_terms(LOAN)))
    (tmp_path / "table.json").write_text(render(table, "json"), encoding="utf-8")
    assert load_table(tmp_path / "table.json") == table


def test_markdown_and_html_show_the_same_facts_and_html_escapes() -> None:
    table = make_table(quote(loan(product="<b>贷|款</b>", fees=[fee(amount="5")])))
    markdown, html = render(table, "markdown"), render(table, "html")
    for fact in (
        "综合融资成本明示表",
        "晨舟消费金融有限公司",
        "每期5.00 元",
        "单利",
        "内部收益率，复利",
        "1,071.19 元",
        "不向借款人收取",
    ):
        assert fact in markdown
        assert fact in html
    assert "&lt;b&gt;" in html
    assert "贷\\|款" in markdown
