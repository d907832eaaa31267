"""Rates from cash flows: worked by hand, every root found, and no rate invented where none is."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.finance.loans import monthly_loans
from tianjing.finance import CashFlow, FinanceError, LoanTerms, dated_irr, make_schedule, monthly_irr
from tianjing.finance.money import exactly
from tianjing.finance.rates import all_dated_irr, compounded, dated_simple_rate
from tianjing.finance.roots import positive_roots

NEAR = Decimal("1e-30")


def yearly(*amounts: str) -> list[CashFlow]:
    """Flows exactly 365 days apart."""
    start = date(2026, 1, 1)
    return [
        CashFlow(day=start + timedelta(days=365 * year), amount=Decimal(amount), label=f"第{year}年")
        for year, amount in enumerate(amounts)
    ]


def test_one_year_worked_by_hand() -> None:
    assert abs(dated_irr(yearly("100", "-110")) - Decimal("0.1")) < NEAR


def test_two_instalments_worked_by_hand() -> None:
    # 100 = 60v + 60v²: v = (−3 + √69) ÷ 6 = 0.884437…, the monthly rate 1/v − 1 = 13.0662…%.
    with exactly():
        expected = 6 / (Decimal(69).sqrt() - 3) - 1
    assert abs(monthly_irr([Decimal(100), Decimal(-60), Decimal(-60)]) - expected) < NEAR


def test_compounding_worked_by_hand() -> None:
    # 1.01^12 − 1
    assert compounded(Decimal("0.01")) == Decimal("0.126825030131969720661201")


def test_days_count_on_365() -> None:
    # 30 days at 1.5%: 1.015^(365/30) − 1.
    flows = [
        CashFlow(day=date(2026, 8, 15), amount=Decimal(5000), label="放款"),
        CashFlow(day=date(2026, 9, 14), amount=Decimal(-5075), label="还款"),
    ]
    with exactly():
        expected = Decimal("1.015") ** (Decimal(365) / 30) - 1
    assert abs(dated_irr(flows) - expected) < NEAR


def test_flows_that_do_not_change_sign_have_no_rate() -> None:
    with pytest.raises(FinanceError, match="do not change sign") as caught:
        dated_irr(yearly("-100", "-110"))
    assert "receives is positive" in caught.value.remedy


def test_flows_on_one_day_have_no_rate() -> None:
    day = date(2026, 1, 1)
    with pytest.raises(FinanceError, match="do not change sign"):
        dated_irr([CashFlow(day=day, amount=Decimal(amount), label="x") for amount in ("100", "-90")])


def test_several_rates_are_all_named() -> None:
    # 100 − 230v + 132v² = 0 at v = 1/1.1 and v = 1/1.2.
    with pytest.raises(FinanceError) as caught:
        dated_irr(yearly("-100", "230", "-132"))
    assert "change sign 2 times and 2 annual rates fit: 10.000000%, 20.000000%" in caught.value.message


def test_rates_a_billionth_apart_are_two_rates() -> None:
    # (x − 1.1)(x − 1.100000001) in units of a cent: no sampling grid would see the two.
    flows = yearly("1000000000.00", "-2200000001.00", "1210000001.10")
    rates = all_dated_irr(flows)
    assert [round(rate, 12) for rate, _ in rates] == [Decimal("0.1"), Decimal("0.100000001")]


def test_a_sign_that_changes_twice_without_a_rate_says_so() -> None:
    # x² − x + 1 has no real root.
    with pytest.raises(FinanceError, match="change sign 2 times and no annual rate"):
        dated_irr(yearly("100", "-100", "100"))


def test_flows_that_change_sign_without_end_are_refused_before_they_are_solved() -> None:
    with pytest.raises(FinanceError, match="change sign 60 times, at most 50"):
        dated_irr(yearly(*["100", "-101"] * 30, "1"))


def test_a_simple_rate_needs_to_know_what_repays_principal() -> None:
    flows = [flow.model_copy(update={"part": "disbursement"}) for flow in yearly("100")] + yearly("0", "-110")[1:]
    with pytest.raises(FinanceError, match="'第1年' has no part") as caught:
        dated_simple_rate(flows)
    assert "principal" in caught.value.remedy
    parts = {"第1年": "principal", "第0年": "disbursement"}
    later = [flow.model_copy(update={"part": parts.get(flow.label, "fee")}) for flow in yearly("100", "-110", "5")]
    with pytest.raises(FinanceError, match="'第2年' is received later"):
        dated_simple_rate(later)


def test_amounts_finer_than_a_cent_are_refused() -> None:
    with pytest.raises(FinanceError, match="at most two decimals"):
        monthly_irr([Decimal(100), Decimal("-33.333")])


def test_a_double_root_is_no_price_of_credit() -> None:
    # −100 (1 − 1.1v)²: zero at 10%, negative on both sides.
    with pytest.raises(FinanceError, match=r"10\.000000%, has multiplicity 2") as caught:
        dated_irr(yearly("-100", "220", "-121"))
    assert "simple annual rate" in caught.value.remedy


def test_a_triple_root_crosses_zero_and_is_a_rate() -> None:
    # −1000 (1 − 1.1v)³
    assert abs(dated_irr(yearly("-1000", "3300", "-3630", "1331")) - Decimal("0.1")) < Decimal("1e-12")


@settings(deadline=None)
@given(
    roots=st.lists(st.integers(1, 60), min_size=1, max_size=7),
    complex_pairs=st.lists(st.integers(1, 9), max_size=2),
    step=st.sampled_from((1, 30, 365)),
)
def test_every_root_of_a_known_polynomial_is_found_with_its_multiplicity(
    roots: list[int], complex_pairs: list[int], step: int
) -> None:
    polynomial = [1]
    for root in roots:  # × (20 x − root)
        polynomial = [20 * a - root * b for a, b in zip([0, *polynomial], [*polynomial, 0], strict=True)]
    for square in complex_pairs:  # × (x² − x + square), which has no real root
        padded = [0, 0, *polynomial, 0, 0]
        polynomial = [padded[k] - padded[k + 1] + square * padded[k + 2] for k in range(len(polynomial) + 2)]
    found = positive_roots(polynomial, [step * power for power in range(len(polynomial))])
    with exactly():
        seen = {Fraction(round(root.value**step * 20, 6)): root.multiplicity for root in found}
    assert seen == {Fraction(root): roots.count(root) for root in roots}


@settings(deadline=None, max_examples=50)
@given(terms=monthly_loans().filter(lambda terms: not terms.by_days))
def test_the_rate_of_a_schedule_is_the_rate_it_was_made_with(terms: LoanTerms) -> None:
    rate = monthly_irr([terms.principal, *(-row.payment for row in make_schedule(terms))])
    # A cent of rounding a row, against the principal outstanding for at least a month.
    slack = Decimal("0.01") * len(make_schedule(terms)) / terms.principal
    assert abs(rate - terms.rate.annual / 12) <= slack


@settings(deadline=None, max_examples=50)
@given(
    amounts=st.lists(st.integers(-10_000_000, 10_000_000).filter(bool), min_size=2, max_size=15),
    gaps=st.lists(st.integers(1, 400), min_size=15, max_size=15),
)
def test_at_every_root_the_flows_are_worth_zero_and_the_count_keeps_to_descartes(
    amounts: list[int], gaps: list[int]
) -> None:
    days = [sum(gaps[:index]) for index in range(len(amounts))]
    roots = positive_roots(amounts, days)
    changes = sum((one > 0) != (other > 0) for one, other in pairwise(amounts))
    count = sum(root.multiplicity for root in roots)
    assert count <= changes
    assert (changes - count) % 2 == 0
    with exactly():
        for root in roots:
            terms = [amount * root.value**day for amount, day in zip(amounts, days, strict=True)]
            assert abs(sum(terms)) <= sum(abs(term) for term in terms) * NEAR
