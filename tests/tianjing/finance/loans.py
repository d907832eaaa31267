"""Loans for the tests: a plain one that each test changes where it must, and random ones."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tianjing.finance.terms import LoanTerms

PLAIN: dict[str, Any] = {
    "product": "晨舟轻享贷",
    "lender": "晨舟消费金融有限公司",
    "principal": "12000",
    "disbursed_on": "2026-08-15",
    "rate": {"percent": 12, "per": "year"},
    "method": "equal_instalment",
    "instalments": 12,
}


def loan(**changes: Any) -> LoanTerms:
    """The plain loan with other fields; a field set to None is left out."""
    return LoanTerms.model_validate({key: value for key, value in {**PLAIN, **changes}.items() if value is not None})


def fee(**changes: Any) -> dict[str, Any]:
    return {"name": "服务费", "payee": "晨舟消费金融有限公司", "when": "each_instalment", **changes}


@st.composite
def monthly_loans(draw: st.DrawFn) -> LoanTerms:
    """Monthly loans of 600 to 300,000 yuan, up to 60 instalments, 0 to 36% a year."""
    return loan(
        principal=Decimal(draw(st.integers(60_000, 30_000_000))) / 100,
        disbursed_on=draw(st.dates(date(2020, 1, 1), date(2030, 12, 31))),
        rate={"percent": Decimal(draw(st.integers(0, 36_00))) / 100, "per": "year"},
        method=draw(st.sampled_from(("equal_instalment", "equal_principal", "interest_first"))),
        instalments=draw(st.integers(1, 60)),
        accrual=draw(st.sampled_from(("monthly", "actual_days"))),
    )
