"""Amounts are whole cents, and what cannot be one is refused with its reason."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.tianjing.finance.loans import loan
from tianjing.finance import quote
from tianjing.finance.money import Yuan, show_percent, to_cent

AMOUNT = TypeAdapter(Yuan)


@pytest.mark.parametrize("given", ["1066.19", 1066.19, Decimal("1066.190"), " 1066.19 "])
def test_an_amount_is_read_exactly(given: object) -> None:
    assert str(AMOUNT.validate_python(given)) == "1066.19"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("1066.191", "1066.191 元: an amount has at most two decimals"),
        (Decimal("1e-30"), "at most two decimals"),
        (Decimal("99999999999.000000000000000000000000000001"), "at most two decimals"),
        ("-0.01", "-0.01 is negative"),
        (1e12, "largest amount"),
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        ("1,066.19", "not a plain decimal number"),
        ("１０００", "not a plain decimal number"),
        ("一千", "not a plain decimal number"),
        (True, "True is not a number"),
        (None, "None is not a number"),
    ],
)
def test_what_is_not_an_amount_is_refused_with_its_reason(given: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AMOUNT.validate_python(given)
    assert reason in str(caught.value)


def test_half_a_cent_goes_up() -> None:
    # Bankers' rounding would make 0.12 of 0.125.
    assert [str(to_cent(Decimal(text))) for text in ("0.125", "0.115", "0.1149999")] == ["0.13", "0.12", "0.11"]
    assert show_percent(Decimal("0.160745")) == "16.07%"


def test_a_callers_decimal_context_changes_no_cent() -> None:
    terms = loan(principal="98765.43", instalments=36)
    usual = quote(terms)
    with decimal.localcontext(decimal.Context(prec=4, rounding=decimal.ROUND_DOWN)):
        assert quote(terms) == usual
