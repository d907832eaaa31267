"""Schedules: worked by hand, exact in sum, and refused when they never end."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.finance.loans import fee, loan, monthly_loans
from tianjing.finance import FinanceError, LoanTerms, Row, make_schedule
from tianjing.finance.money import to_cent
from tianjing.finance.schedule import smallest_instalment


def texts(rows: tuple[Row, ...], field: str) -> list[str]:
    return [str(getattr(row, field)) for row in rows]


def test_equal_instalment_worked_by_hand() -> None:
    # 12,000 at 1% a month: 120 ÷ (1 − 1.01^−12) = 120 ÷ 0.112550774… = 1066.1854… → 1066.19.
    # Row 1: interest 120.00, principal 946.19, 11,053.81 left. Row 2: 110.5381 → 110.54, 955.65, 10,098.16 left.
    rows = make_schedule(loan())
    assert texts(rows[:2], "payment") == ["1066.19", "1066.19"]
    assert texts(rows[:2], "interest") == ["120.00", "110.54"]
    assert texts(rows[:2], "balance") == ["11053.81", "10098.16"]
    # Eleven roundings of the payment by up to half a cent end in the last row.
    assert str(rows[-1].payment) == "1066.14"
    assert rows[-1].balance == 0


def test_equal_principal_worked_by_hand() -> None:
    # 1,000 a month; interest 120, 110, …, 10: together 780.
    rows = make_schedule(loan(method="equal_principal"))
    assert texts(rows[:3], "payment") == ["1120.00", "1110.00", "1100.00"]
    assert sum(row.interest for row in rows) == 780


def test_equal_principal_that_does_not_divide_ends_in_the_last_row() -> None:
    rows = make_schedule(
        loan(method="equal_principal", principal="100", instalments=3, rate={"percent": 0, "per": "year"})
    )
    assert texts(rows, "payment") == ["33.33", "33.33", "33.34"]


def test_interest_first_worked_by_hand() -> None:
    # 10,000 at 18% a year: 150 a month, and the principal with the third.
    rows = make_schedule(
        loan(method="interest_first", principal="10000", rate={"percent": 18, "per": "year"}, instalments=3)
    )
    assert texts(rows, "payment") == ["150.00", "150.00", "10150.00"]


def test_daily_interest_worked_by_hand() -> None:
    # 5,000 at 0.05% a day for 30 days: 75.00.
    terms = loan(
        principal="5000",
        method="daily_interest",
        instalments=None,
        term_days=30,
        rate={"percent": "0.05", "per": "day"},
    )
    (row,) = make_schedule(terms)
    assert (str(row.payment), row.due_on) == ("5075.00", date(2026, 9, 14))


def test_daily_interest_falls_when_part_is_repaid_early() -> None:
    # 10 days on 5,000 cost 25.00; 1,025.00 then repays 1,000; 20 days on 4,000 cost 40.00.
    terms = loan(
        principal="5000",
        method="daily_interest",
        instalments=None,
        term_days=30,
        rate={"percent": "0.05", "per": "day"},
        payments=[{"due_on": "2026-08-25", "amount": "1025"}],
    )
    assert texts(make_schedule(terms), "payment") == ["1025.00", "4040.00"]


def test_irregular_dates_accrue_by_days_and_the_last_payment_settles() -> None:
    # 7.3% a year is 0.02% a day. 17 days on 10,000: 34.00; 2,034 repays 2,000. 50 days on 8,000: 80.00.
    terms = loan(
        principal="10000",
        method="irregular",
        instalments=None,
        rate={"percent": "7.3", "per": "year"},
        payments=[{"due_on": "2026-09-01", "amount": "2034"}, {"due_on": "2026-10-21"}],
    )
    assert texts(make_schedule(terms), "payment") == ["2034.00", "8080.00"]


def test_a_daily_rate_on_360_days_costs_less_by_the_month_than_on_365() -> None:
    # 0.05% a day is 18% a year of 360 days, 1.5% a month: 180.00 on 12,000. Of 365 days: 18.25%, 182.50.
    for day_count, interest in ((360, "180.00"), (365, "182.50")):
        terms = loan(rate={"percent": "0.05", "per": "day", "day_count": day_count})
        assert str(make_schedule(terms)[0].interest) == interest


def test_exactly_half_a_cent_of_interest_goes_up() -> None:
    # 600 × 1.93% ÷ 12 is 0.965; with the monthly rate cut after fifty digits it would be 0.96499…
    assert str(make_schedule(loan(principal="600", rate={"percent": "1.93", "per": "year"}))[0].interest) == "0.97"


def test_due_dates_keep_the_day_and_fall_back_to_the_end_of_short_months() -> None:
    rows = make_schedule(loan(disbursed_on="2027-12-31", instalments=3))
    assert [row.due_on.isoformat() for row in rows] == ["2028-01-31", "2028-02-29", "2028-03-31"]


def test_an_odd_first_period_needs_interest_by_days() -> None:
    with pytest.raises(FinanceError, match="not one month after") as caught:
        make_schedule(loan(first_due_on="2026-10-01"))
    assert "accrual: actual_days" in caught.value.remedy
    # 47 days at 12% ÷ 365 on 12,000: 185.42.
    rows = make_schedule(loan(first_due_on="2026-10-01", accrual="actual_days"))
    assert str(rows[0].interest) == "185.42"
    assert len(set(texts(rows[:-1], "payment"))) == 1


def test_fees_stand_apart_from_principal_and_interest() -> None:
    # 0.25% of the balance before each instalment, 5.00 each time, 1% of the principal with the last.
    fees = [
        fee(percent="0.25", of="balance"),
        fee(amount="5"),
        fee(percent=1, when="last_instalment"),
    ]
    rows = make_schedule(loan(method="equal_principal", fees=fees))
    assert texts(rows[:2], "fees") == ["35.00", "32.50"]
    assert str(rows[-1].fees) == "127.50"
    assert str(rows[0].payment) == "1155.00"


def test_a_financed_fee_is_repaid_with_interest() -> None:
    rows = make_schedule(loan(fees=[fee(amount="600", when="financed")]))
    assert sum(row.principal for row in rows) == 12_600
    assert str(rows[0].interest) == "126.00"


def test_a_payment_that_never_ends_names_the_smallest_that_does() -> None:
    # The first month's interest is 120.00.
    with pytest.raises(FinanceError, match="never ends") as caught:
        make_schedule(loan(instalments=None, instalment_amount="120"))
    smallest = smallest_instalment(loan(instalments=None, instalment_amount="120"))
    assert str(smallest) in caught.value.remedy
    assert len(make_schedule(loan(instalments=None, instalment_amount=smallest))) <= 480


@settings(max_examples=25, deadline=None)
@given(principal=st.integers(100, 10_000_000), percent=st.integers(0, 3600))
def test_the_smallest_payment_ends_and_a_cent_less_does_not(principal: int, percent: int) -> None:
    def terms(amount: Decimal) -> LoanTerms:
        rate = {"percent": Decimal(percent) / 100, "per": "year"}
        return loan(principal=Decimal(principal) / 100, rate=rate, instalments=None, instalment_amount=amount)

    smallest = smallest_instalment(terms(Decimal(1)))
    assert make_schedule(terms(smallest))[-1].balance == 0
    if smallest > Decimal("0.01"):
        with pytest.raises(FinanceError, match="never ends"):
            make_schedule(terms(smallest - Decimal("0.01")))


@pytest.mark.parametrize(
    ("payments", "message", "remedy"),
    [
        (
            [{"due_on": "2026-09-15", "amount": "50"}, {"due_on": "2026-10-15"}],
            "does not cover the interest",
            "at least 122.30",
        ),
        ([{"due_on": "2026-09-15", "amount": "20000"}, {"due_on": "2026-10-15"}], "does not fit", "at most 12,122.30"),
        ([{"due_on": "2026-09-15", "amount": "12000"}], "12,122.30 元 is owed", "pay 12,122.30 元, or leave"),
    ],
)
def test_irregular_payments_that_do_not_fit_say_what_would(
    payments: list[dict[str, str]], message: str, remedy: str
) -> None:
    # 31 days at 12% ÷ 365 on 12,000: 122.30.
    with pytest.raises(FinanceError) as caught:
        make_schedule(loan(method="irregular", instalments=None, payments=payments))
    assert message in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("method", "principal", "percent"),
    [
        ("equal_instalment", "100", 24),  # 2.00 a month is the interest alone: the last row would repay everything
        ("equal_instalment", "3.33", 1000),  # 2.78 a month, half a cent above the interest
        ("equal_instalment", "3", 0),  # 0.01 a month is paid back after 300 of 480
        ("equal_principal", "1", 12),  # 0.00 a month
    ],
)
def test_a_loan_too_small_for_its_instalments_is_refused(method: str, principal: str, percent: int) -> None:
    rate = {"percent": percent, "per": "year"}
    with pytest.raises(FinanceError, match="whole cents") as caught:
        make_schedule(loan(method=method, principal=principal, rate=rate, instalments=480))
    assert caught.value.remedy == "use fewer instalments"


@settings(deadline=None)
@given(terms=monthly_loans())
def test_every_row_adds_up_and_the_principal_is_repaid_to_the_cent(terms: LoanTerms) -> None:
    rows = make_schedule(terms)
    balance, start = terms.principal, terms.disbursed_on
    for row in rows:
        years = Fraction((row.due_on - start).days, 365) if terms.by_days else Fraction(1, 12)
        exact_cents = Fraction(balance) * Fraction(terms.rate.percent) * years  # yuan × percent
        assert row.interest * 100 == math.floor(exact_cents + Fraction(1, 2))
        assert row.payment == row.principal + row.interest + row.fees
        assert row.principal >= 0
        balance, start = balance - row.principal, row.due_on
        assert row.balance == balance
    assert balance == 0
    assert sum(row.principal for row in rows) == terms.principal
    if terms.method == "equal_instalment":
        assert len({row.payment for row in rows[:-1]}) <= 1


@settings(deadline=None)
@given(
    principal=st.integers(100_000, 10_000_000),
    gaps=st.lists(st.integers(1, 200), min_size=1, max_size=20),
    share=st.integers(1, 100),
)
def test_irregular_schedules_repay_the_principal_to_the_cent(principal: int, gaps: list[int], share: int) -> None:
    amount = Decimal(principal) / 100
    on, payments = date(2026, 8, 15), []
    for gap in gaps:
        on += timedelta(days=gap)
        # 7.3% a year: 0.02% a day of at most the principal, and a share of it.
        payments.append({"due_on": on, "amount": to_cent(amount * gap / 5000 + amount * share / 10_000)})
    del payments[-1]["amount"]
    rate = {"percent": "7.3", "per": "year"}
    rows = make_schedule(loan(principal=amount, method="irregular", instalments=None, rate=rate, payments=payments))
    assert sum(row.principal for row in rows) == amount
    assert rows[-1].balance == 0
