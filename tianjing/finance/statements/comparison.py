"""Whether a stated value is a true one: exactness, hedges, bounds, and conversions between periods and units.

Money is exact to the cent, a rate to 0.01 percentage points. About (约) allows what rounds to the stated value at its
last significant place; 多 and 不到 also ask for the right side; at most and at least are judged as bounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from tianjing.finance.statements.facts import Fact, Period
from tianjing.finance.statements.qualifiers import Qualifiers
from tianjing.finance.statements.readers.numerals import Amount, last_place
from tianjing.finance.statements.value import Value

_CENT = Decimal("0.01")
_RATE_PLACE = Decimal("0.0001")
# Units of a period in a year; a year of days has 360 or 365 of them.
_A_YEAR: dict[Period, tuple[int, ...]] = {"year": (1,), "month": (12,), "day": (365, 360)}
_DAYS_A_MONTH = (Decimal(30), Decimal(31), Decimal(365) / 12)


def money_agrees(value: Value, truth: Decimal, how: Qualifiers) -> bool:
    """Whether an amount in yuan is the true one."""
    assert value.amount
    return _agrees(value.amount, truth, how, min(value.amount.step, _CENT))


def rate_agrees(said: Amount, truth: Decimal, how: Qualifiers) -> bool:
    """Whether a fraction is the true one, both for the same period."""
    return _agrees(said, truth, how, min(said.step, _RATE_PLACE))


def in_period(fact: Fact, period: Period) -> list[Decimal]:
    """A rate by simple proportion in another period: daily rates by 360 and by 365 days."""
    if fact.per == period:
        return [fact.number]
    if fact.per is None or fact.per == "once" or period == "once":
        return []
    return [fact.number * a / b for a in _A_YEAR[fact.per] for b in _A_YEAR[period] if {a, b} != {360, 365}]


def count_agrees(value: Value, fact: Fact, how: Qualifiers) -> bool:
    """Whether a count is the true one; a month may be 30 or 31 days, and an instalment."""
    assert value.amount
    said = value.amount
    if value.unit == fact.unit or {value.unit, fact.unit} == {"期", "个月"}:
        return _agrees(said, fact.number, how, Decimal(1))
    if value.unit == "个月" and fact.unit == "天":
        if how.hedge or how.bound:
            return _agrees(said, fact.number / _DAYS_A_MONTH[0], how, Decimal(1))
        return any(_rounded(said.low * days, Decimal(1)) == fact.number for days in _DAYS_A_MONTH)
    return value.unit == "天" and fact.unit == "个月" and _agrees(said, fact.number * 30, how, Decimal(1))


def days_agree(value: Value, days: Iterable[date], as_of: date) -> list[bool]:
    """For each day whether it is the stated one."""
    assert value.day
    return [value.day.fits(day, as_of) for day in days]


def _agrees(said: Amount, truth: Decimal, how: Qualifiers, place: Decimal) -> bool:
    low, high = said.low, said.high
    if how.bound in ("at_most", "below"):
        return truth <= high if how.bound == "at_most" else truth < high
    if how.bound in ("at_least", "above"):
        return truth >= low if how.bound == "at_least" else truth > low
    if low != high:
        return low <= truth <= high
    if how.hedge:
        side = {"over": truth > low, "under": truth < low, "about": True}[how.hedge]
        # 不到20% counts tens, 大概20% ones.
        place = said.step if how.hedge == "about" else max(said.step, last_place(low))
        return side and _rounded(truth, place) == low
    return _rounded(truth, place) == low


def _rounded(number: Decimal, place: Decimal) -> Decimal:
    return (number / place).quantize(Decimal(1), ROUND_HALF_UP) * place
