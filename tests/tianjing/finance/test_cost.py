"""Quotes: every item counts whoever is paid, contingent costs stay apart, annual rates go by their own names."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.finance.loans import fee, loan, monthly_loans
from tianjing.finance import FinanceError, LoanTerms, quote
from tianjing.finance.cost import cash_flows
from tianjing.finance.money import show_percent
from tianjing.finance.table import make_table, render
from tianjing.finance.table_check import check_table

CLOSE = Decimal("1e-9")


def test_equal_principal_at_one_percent_a_month_is_twelve_percent_simple() -> None:
    # Every interest is a whole cent, so nothing is rounded: IRR 1% a month, 12% simple, 1.01^12 − 1 compound.
    rates = quote(loan(method="equal_principal")).rates
    assert rates.nominal == rates.simple == Decimal("0.12")
    assert rates.irr == Decimal("0.126825030132")


def test_interest_by_days_has_a_simple_rate_on_365_days() -> None:
    # 75.00 on 5,000 for 30 days: 1.5% × 365 ÷ 30 = 18.25%.
    terms = loan(
        principal="5000",
        method="daily_interest",
        instalments=None,
        term_days=30,
        rate={"percent": "0.05", "per": "day"},
    )
    rates = quote(terms).rates
    assert rates.simple == Decimal("0.1825")
    assert rates.irr == rates.irr_by_days
    assert rates.nominal is None


def test_a_third_partys_fee_counts_like_the_lenders_own() -> None:
    # 0.25% a month of the balance on top of 1%: 15% simple whoever takes it.
    def simple(**payee: str) -> Decimal:
        fees = [fee(percent="0.25", of="balance", **payee)]
        return quote(loan(method="equal_principal", fees=fees)).rates.simple

    own, third = simple(), simple(payee="远帆融资担保有限公司", payee_role="guarantor")
    assert own == third == Decimal("0.15")


@pytest.mark.parametrize("when", ["deducted", "upfront"])
def test_what_is_charged_beforehand_is_cost_on_the_cash_received(when: str) -> None:
    # 砍头息: 1,000 of 10,000 for a year without interest: 1,000 ÷ 9,000 = 11.11…% simple and compound alike.
    terms = loan(
        principal="10000",
        method="interest_first",
        rate={"percent": 0, "per": "year"},
        fees=[fee(amount="1000", when=when)],
    )
    quoted = quote(terms)
    assert (str(quoted.cash_received), str(quoted.total_cost)) == ("9000.00", "1000.00")
    assert abs(quoted.rates.simple - Decimal(1) / 9) < CLOSE
    assert abs(quoted.rates.irr - Decimal(1) / 9) < CLOSE
    assert [notice.source for notice in quoted.notices] == (["民法典第六百七十条"] if when == "deducted" else [])


def test_a_financed_fee_is_cost_although_it_is_repaid_as_principal() -> None:
    quoted = quote(loan(rate={"percent": 0, "per": "year"}, fees=[fee(amount="600", when="financed")]))
    assert (str(quoted.cash_received), str(quoted.total_cost)) == ("12000.00", "600.00")
    assert quoted.total_fees == 600
    assert [(item.when, str(item.amount)) for item in quoted.items] == [("interest", "0.00"), ("financed", "600.00")]


def test_contingent_costs_are_listed_and_never_added() -> None:
    penalty = {"name": "逾期罚息", "payee": "晨舟消费金融有限公司", "markup_percent": 50, "grace_days": 3}
    plain = quote(loan())
    with_penalty = quote(loan(penalties=[penalty], prepayment={"fee_percent": 1, "free_after_instalment": 6}))
    assert with_penalty.total_cost == plain.total_cost
    assert with_penalty.rates == plain.rates
    assert [(cost.name, cost.standard) for cost in with_penalty.contingent] == [
        ("逾期罚息", "逾期本金按日计收，年利率18%（合同利率上浮50%）"),
        ("提前还款违约金", "提前偿还本金的1%"),
    ]


def test_a_platform_that_charges_and_a_cost_above_24_percent_are_noticed() -> None:
    fees = [fee(percent=1, payee="远帆科技有限公司", payee_role="platform")]
    sources = [notice.source for notice in quote(loan(rate={"percent": 14, "per": "year"}, fees=fees)).notices]
    assert sources == ["金规〔2025〕9号（未见原文，据公开报道）", "法发〔2017〕22号（未见原文，据公开报道）"]


@pytest.mark.parametrize(("term_days", "shown"), [(7, "24217.91%"), (1, "7.515E+111%")])
def test_a_short_loan_at_a_wild_price_is_quoted_and_tabled_all_the_same(term_days: int, shown: str) -> None:
    # A tenth of the amount for a week: (10 ÷ 9)^(365 ÷ 7) − 1; half of it for a day: 2^365 − 1.
    share = {7: "10", 1: "50"}[term_days]
    terms = loan(
        method="daily_interest",
        instalments=None,
        term_days=term_days,
        rate={"percent": 0, "per": "day"},
        fees=[fee(percent=share, when="deducted")],
    )
    quoted = quote(terms)
    assert show_percent(quoted.rates.irr) == shown
    assert check_table(make_table(quoted)) == ()
    assert shown[:5] in render(make_table(quoted), "markdown")


def test_fees_that_leave_nothing_to_receive_are_refused() -> None:
    with pytest.raises(FinanceError, match=r"leave nothing of 12,000\.00 元"):
        quote(loan(fees=[fee(percent=100, when="upfront")]))


@settings(deadline=None, max_examples=40)
@given(
    terms=monthly_loans(),
    fees=st.lists(
        st.one_of(
            st.builds(
                fee,
                amount=st.integers(1, 5000).map(lambda cents: str(Decimal(cents) / 100)),
                when=st.sampled_from(("deducted", "upfront", "financed", "each_instalment", "last_instalment")),
            ),
            st.builds(fee, percent=st.integers(0, 3).map(str), of=st.just("balance")),
        ),
        max_size=3,
    ),
)
def test_items_cost_and_cash_flows_agree_to_the_cent(terms: LoanTerms, fees: list[dict[str, str]]) -> None:
    terms = LoanTerms.model_validate({**terms.model_dump(), "fees": fees})
    quoted = quote(terms)
    assert sum(item.amount for item in quoted.items) == quoted.total_cost == quoted.total_interest + quoted.total_fees
    assert -sum(flow.amount for flow in cash_flows(terms, quoted.schedule)) == quoted.total_cost
    assert quoted.total_repayment - quoted.cash_received == quoted.total_cost
    if not quoted.total_cost:
        assert quoted.rates.irr == quoted.rates.simple == 0
    else:
        assert min(quoted.rates.irr, quoted.rates.irr_by_days, quoted.rates.simple) > 0
