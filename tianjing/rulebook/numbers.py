"""Rates and concessions that a turn states, with where it states them: the finder of stated numbers, read for rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tianjing.finance.statements.context import Said, read
from tianjing.finance.statements.qualifiers import named_period
from tianjing.finance.statements.readers.rates import PART
from tianjing.finance.statements.view import View, clause_before

DAYS_A_YEAR, MONTHS_A_YEAR, DAYS_A_MONTH = 365, 12, 30
_QUANTITIES = {"year": ("annual_rate", 1), "month": ("monthly_rate", MONTHS_A_YEAR), "day": ("daily_rate", DAYS_A_YEAR)}
_CHARGED = frozenset(("interest", "penalty_rate", "fee_rate"))
# 年化36%以上的不做 is a limit and no rate that is charged.
_BEYOND = re.compile(r"\s*以上的?[^。；;]{0,8}(?:不|没|禁|违)")
_SPLIT = re.compile("[分拆做]")


@dataclass(frozen=True, slots=True)
class Stated:
    """`value` of a quantity, said at characters `start` to `end` of the raw text."""

    quantity: str
    value: float
    start: int
    end: int


def rates(text: str) -> Iterator[tuple[Stated, float]]:
    """Rates in percent as said, each with the simple annual rate (年化单利) it amounts to in percent."""
    view, values = _read(text)
    for said in values:
        named = named_period(said.before, said.after)
        if said.value.kind != "rate" or said.about.name not in _CHARGED or named is None:
            continue
        period, chars = named
        if period == "once" or said.how.denied or _BEYOND.match(said.after):
            continue
        quantity, a_year = _QUANTITIES[period]
        amount = dict(said.value.readings).get(period, said.value.amount)
        assert amount
        percent = float(amount.high * 100)
        start, end = view.raw(said.value.start - chars), view.raw_end(said.value.end)
        yield Stated(quantity, percent, start, end), round(percent * a_year, 6)


def offers(text: str) -> Iterator[Stated]:
    """Concessions: waived share in percent, number of instalments, days of deferral."""
    view, values = _read(text)
    for said in values:
        value, offer = said.value, _offer(said)
        if offer and not said.how.denied:
            word = said.before.rfind(said.about.word) if said.about.word else -1
            start = value.start - (len(said.before) - word) if word >= 0 else value.start
            yield Stated(*offer, view.raw(start), view.raw_end(value.end))


# A turn is read for its rates and for its offers.
@functools.lru_cache(maxsize=64)
def _read(text: str) -> tuple[View, tuple[Said, ...]]:
    view = View(text)
    return view, tuple(read(view))


def _offer(said: Said) -> tuple[str, float] | None:
    value, amount = said.value, said.value.amount
    if amount is None:
        return None
    if value.kind == "rate" and (said.about.name == "waiver_share" or value.unit == PART):
        return "waiver_percent", float(amount.high * 100)
    if value.kind != "count":
        return None
    if said.about.name == "deferral_days":
        return "deferral_days", float(amount.high) * (DAYS_A_MONTH if value.unit == "个月" else 1)
    is_split = _SPLIT.search(clause_before(said.before)) is not None
    if is_split and (value.unit == "期" or (value.unit in ("个月", "次") and said.after.startswith("还"))):
        return "instalments", float(amount.high)
    return None
