"""The ways a number is written or said, as pieces of regular expressions, and its exact value and last place.

`tianjing.text.number` reads what `NUMBER` matches. A number is at most `LONGEST_NUMBER` characters long; longer runs
are codes, not quantities.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tianjing.text import DIGITS, HAN_DIGITS, number

HAN = f"{HAN_DIGITS}十拾百佰千仟万萬亿"
LONGEST_NUMBER = 24
_MAGNITUDES = "百佰千仟万萬亿wWkK"
_ARABIC = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)"
_MIXED = rf"{_ARABIC}\s?[{_MAGNITUDES}](?![a-zA-Z])(?:\s?零?(?:\d+(?![\d.])|[{HAN_DIGITS}])[百千]?)*"
_HAN_NUMBER = rf"[{HAN}]+(?:点[{HAN_DIGITS}]+[百千万亿]?)?"
NUMBER = rf"(?:{_MIXED}|{_ARABIC}|{_HAN_NUMBER})"
# 一千多块, 十来天: more than the number, by less than its last place.
VAGUE = "[多来余几]"
# 两三百, 三五天: from one digit to the other.
_BETWEEN = re.compile(rf"([{HAN_DIGITS}])([{HAN_DIGITS}])([十百千万]*)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as said: from `low` to `high` (one value unless two digits name a range), exact to `step`."""

    low: Decimal
    high: Decimal
    step: Decimal

    def times(self, factor: Decimal) -> Amount:
        """The same in another unit."""
        return Amount(self.low * factor, self.high * factor, self.step * factor)


def amount(written: str) -> Amount | None:
    """What `written` says, or None where it is no number.

    The step is the last significant place: 1000 for 三万二, 0.01 for 18.25, 100 for 1200.
    """
    written = re.sub(r"\s", "", written)
    if not written or len(written) > LONGEST_NUMBER:
        return None
    between = _BETWEEN.fullmatch(written)
    if between and _neighbours(DIGITS[between[1]], DIGITS[between[2]]):
        low, high = (number(digit + between[3]) for digit in between.group(1, 2))
        return Amount(low, high, high - low)
    try:
        value = number(written)
    except ValueError:
        return None
    return Amount(value, value, last_place(value, written))


def ranged(low: str | None, high: str) -> Amount | None:
    """3到5, 三到五万: from one number to the other; `high` alone where there is no `low`."""
    top = amount(high)
    if low is None or top is None:
        return top
    bottom = amount(low)
    if bottom is None:
        return None
    if high[-1] in "万千百" and low[-1] not in _MAGNITUDES:
        bottom = bottom.times(number("一" + high[-1]))
    return Amount(bottom.low, top.high, top.step) if bottom.low < top.high else top


def last_place(value: Decimal, written: str = "") -> Decimal:
    """The place of the last digit that counts; a written decimal counts even when it is 0."""
    exponent = value.normalize().as_tuple().exponent if value else 0
    plain = re.fullmatch(r"[\d,]+\.(\d+)", written)
    return Decimal(1).scaleb(-len(plain[1]) if plain else int(exponent))


def _neighbours(first: int, second: int) -> bool:
    return first > 0 and (second == first + 1 or (first, second) == (3, 5))
