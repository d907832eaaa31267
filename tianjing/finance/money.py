"""Decimal yuan (元): how an amount is read (the field types at the end), rounded and shown.

Amounts are whole cents (分). Interest, a fee or a level instalment is computed with 50 digits and rounded once, half up
(四舍五入), where it becomes a line that somebody pays; balances are sums of such lines and never rounded again.
"""

from __future__ import annotations

import decimal
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from tianjing.finance.errors import FinanceError

CENT = Decimal("0.01")
LARGEST_YUAN = Decimal("999999999999.99")
# What a contract of the largest amounts can add up to stays below it.
_LARGEST_TOTAL = Decimal("1e24")
LARGEST_PERCENT = Decimal(1000)
_PERCENT_STEP = Decimal("1e-10")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def exactly() -> Any:
    """Context manager: 50 digits, so that neither the caller's decimal context nor a long product costs a cent."""
    return decimal.localcontext(
        decimal.Context(prec=50, rounding=ROUND_HALF_UP, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
    )


def to_cent(amount: Decimal) -> Decimal:
    """Round half up to the cent."""
    with exactly():
        return amount.quantize(CENT)


def in_cents(amount: Decimal) -> int:
    """An amount as an integer number of cents.

    Raises:
        FinanceError: the amount is finer than a cent.
    """
    with exactly():
        cents = amount.scaleb(2)
        if cents != cents.to_integral_value():
            raise FinanceError(f"{amount} 元: an amount has at most two decimals", "round it to the cent first")
        return int(cents)


def show_yuan(amount: Decimal) -> str:
    """12,345.60 元."""
    return f"{amount:,.2f} 元"


def round_rate(rate: Decimal, decimals: int) -> Decimal:
    """Round half up; a rate beyond 10^30, as a day's loan at half its amount has, keeps its fifty digits instead."""
    with exactly():
        return rate if rate.adjusted() > 30 else rate.quantize(Decimal(1).scaleb(-decimals))


def show_percent(fraction: Decimal, decimals: int = 2) -> str:
    """0.18 as 18.00%, rounded half up."""
    with exactly():
        percent = round_rate(fraction * 100, decimals)
    return f"{percent:.3E}%" if percent.adjusted() > 30 else f"{percent}%"


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{value!r:.40} is not a number")
    text = str(value).strip()
    if isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError(f"'{text:.40}' is not a plain decimal number")
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is not a number")
    return number


def _whole_cents(value: object, largest: Decimal) -> Decimal:
    number = _number(value)
    if not -largest <= number <= largest:
        raise ValueError(f"{str(value).strip():.40} 元: beyond {largest:,f} 元, the largest amount")
    with exactly():
        cents = number.quantize(CENT)
    if cents != number:
        raise ValueError(f"{str(value).strip():.40} 元: an amount has at most two decimals")
    return cents


def _amount(value: object) -> Decimal:
    return _not_negative(_whole_cents(value, LARGEST_YUAN))


def _total(value: object) -> Decimal:
    return _not_negative(_whole_cents(value, _LARGEST_TOTAL))


def _movement(value: object) -> Decimal:
    return _whole_cents(value, _LARGEST_TOTAL)


def _percent(value: object) -> Decimal:
    number = _not_negative(_number(value))
    if number > LARGEST_PERCENT:
        raise ValueError(f"{number}%: beyond {LARGEST_PERCENT}%; is it written in percent?")
    with exactly():
        if number.quantize(_PERCENT_STEP) != number:
            raise ValueError(f"{number}%: a percentage has at most ten decimals")
    return number


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value


def _not_zero(value: Decimal) -> Decimal:
    if not value:
        raise ValueError("must be above zero")
    return value


_YUAN_SCHEMA = WithJsonSchema(
    {"type": ["string", "number"], "description": "Yuan, at most two decimals, e.g. 1066.19."}
)

Yuan = Annotated[Decimal, BeforeValidator(_amount), _YUAN_SCHEMA]
"""A field that holds an amount of a contract, zero or more."""

TotalYuan = Annotated[Decimal, BeforeValidator(_total), _YUAN_SCHEMA]
"""A field that holds what follows from a contract, zero or more."""

SignedYuan = Annotated[Decimal, BeforeValidator(_movement), _YUAN_SCHEMA]
"""A field that holds a movement of money either way."""

PositiveYuan = Annotated[Yuan, AfterValidator(_not_zero)]

Percent = Annotated[
    Decimal,
    BeforeValidator(_percent),
    WithJsonSchema({"type": ["string", "number"], "description": "Percent, e.g. 18 for 18%."}),
]
"""A field that holds a number of percent, 0 to 1000."""
