"""Values of a document's fields, and the ways in which documents of China write them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

# Money as Decimal, days as date, a table as a list of rows, everything else as text or a whole number.
Fields = Mapping[str, Any]

Rows = list[dict[str, Any]]

_CAPITAL_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_CAPITAL_UNITS = ("", "拾", "佰", "仟")
_CAPITAL_GROUPS = ("", "万", "亿")

DATE_STYLES = ("{0:%Y}年{0.month}月{0.day}日", "{0:%Y-%m-%d}", "{0:%Y.%m.%d}", "{0:%Y/%m/%d}")
MONTH_STYLES = ("{0:%Y}年{0.month}月", "{0:%Y-%m}", "{0:%Y%m}")


def capitals(amount: Decimal) -> str:
    """An amount of yuan in capital characters (大写金额), e.g. 12300.50 as 壹万贰仟叁佰元伍角."""
    whole, cent = divmod(int(amount * 100), 100)
    words = _capital_number(whole) + "元"
    if not cent:
        return words + "整"
    tens, ones = divmod(cent, 10)
    words += f"{_CAPITAL_DIGITS[tens]}角" if tens else "零"
    return words + (f"{_CAPITAL_DIGITS[ones]}分" if ones else "")


def _capital_number(value: int) -> str:
    if value == 0:
        return _CAPITAL_DIGITS[0]
    said = ""
    for group in range(len(_CAPITAL_GROUPS) - 1, -1, -1):
        part = value // 10000**group % 10000
        if not part:
            continue
        if said and part < 1000:
            said += "零"
        said += _capital_group(part) + _CAPITAL_GROUPS[group]
    return said


def _capital_group(value: int) -> str:
    said, gap = "", False
    for power in (3, 2, 1, 0):
        digit = value // 10**power % 10
        if digit:
            said += ("零" if gap and said else "") + _CAPITAL_DIGITS[digit] + _CAPITAL_UNITS[power]
        gap = not digit
    return said


class Style:
    """How one document writes dates, months and money; drawn once per document."""

    def __init__(self, rng: random.Random):
        self.date = rng.choice(DATE_STYLES)
        self.month = rng.choice(MONTH_STYLES)
        self.thousands = rng.random() < 0.5

    def write(self, value: Any, form: str) -> str:
        """`value` as text; `form` is "" for its usual way, `month` for a date's month, `wan` for money in 万元."""
        if isinstance(value, Decimal):
            if form == "wan":
                return f"{(value / 10000).normalize():f}"
            return f"{value:,.2f}" if self.thousands else f"{value:.2f}"
        if isinstance(value, date):
            return (self.month if form == "month" else self.date).format(value)
        return str(value)


def plain(value: Any) -> Any:
    """A field's value as JSON holds it: money as a number, a day as YYYY-MM-DD."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [{name: plain(cell) for name, cell in row.items()} for row in value]
    return value
