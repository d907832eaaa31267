"""Which of many texts may state a rate or make an offer that a rule limits, told for all of them at once with RE2.

Each pattern here asks for less than the finder of stated numbers (`tianjing.finance.statements`) does, so no stated
number is overlooked; a text is read in full only when it passes. Most texts lack the characters without which no
pattern can match: a table of characters says so, and RE2 never sees them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tianjing.finance.statements.readers.numerals import HAN
from tianjing.finance.statements.view import View
from tianjing.text import DIGITS, HAN_DIGITS

Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]

_D = rf"[\p{{Nd}}{HAN_DIGITS}幺]"
_N = rf"[\p{{Nd}}{HAN}幺]"
_LARGE = "[百佰千仟万萬亿wk]"
# Digits of other scripts than these are read too; what they are worth is not told here.
_FOREIGN = r"[^\P{Nd}0-9]"
# Signs and units of rates and shares, as the readers of rates know them.
_RATE = (
    rf"(?is)[%‰‱趴]|巴仙|百分点|{_N}.{{0,5}}点|半个点|[百千万]分|{_N}分(?:[^之期钱钟析批享红开]|$)|{_N}厘|[万千]{_N}|"
    rf"(?:年化|[年月日](?:利率|息|费率|化)|成本|利率|费率|apr|irr).{{0,20}}{_N}"
)
_PART = rf"(?s){_N}.{{0,4}}成|一半|减半|对半|{_N}分之|{_N}折"
_PERIOD = r"(?i)[年月日天p]|irr|成本"
_CHARGED = r"(?i)[罚费利息化]|违约|滞纳|逾期|加收|综合|成本|irr|apr"
_WAIVED = "[减免折抹]|优惠|让利|少还|便宜"
_DEFERRED = "[延缓展]|宽限|推迟|宽容|给[你您]"
_SPLIT = "[分拆做]"
# Between a number and its unit: 六十多个, 12 到 24; in 2200元逾期 the number has another unit.
_TO_UNIT = "[^元块毛逾，。了的]{0,5}"
_UNUSUAL = r"[^ -~\p{Han}，。！？；：（）、“”‘’《》〈〉【】〔〕…—～·]|,"

_POINTS = 0x110000
# Characters of which one stands in every text that the pattern of that name takes, a bit for each.
_NUMBERED_BIT, _PART_BIT, _CHARGED_BIT, _PERIOD_BIT, _OFFER_BIT, _UNUSUAL_BIT = (1 << bit for bit in range(6))
_CHARACTERS = {
    _NUMBERED_BIT: rf"[半减对]|{_N}",
    _PART_BIT: "[成半减分折]",
    _CHARGED_BIT: "(?i)[罚费利息化违滞逾加综成ia]",
    _PERIOD_BIT: "(?i)[年月日天pi成]",
    _OFFER_BIT: "[减免折抹优让少便延缓展宽推给分拆做]",
    _UNUSUAL_BIT: _UNUSUAL,
}


def may_break(texts: Sequence[str], instalments: float, days: float) -> Bools:
    """Where false, a text states no rate of interest and makes no offer above the limits.

    Args:
        instalments: smallest limit of a rule on instalments.
        days: likewise on days of deferral.
    """
    found = np.zeros(len(texts), bool)
    some = _worth_a_look(texts)
    if not len(some):
        return found
    column = _folded([texts[i] for i in some.tolist()])
    numbered = _narrow(column, np.arange(len(some)), rf"[半减对]|{_N}")
    part = _narrow(column, numbered, _PART)
    charged = _narrow(column, _narrow(column, numbered, _CHARGED), _PERIOD)
    rates = _narrow(column, np.union1d(charged, _narrow(column, numbered, _WAIVED)), _RATE)
    deferred = _narrow(column, _narrow(column, numbered, _DEFERRED), _days_above(days))
    split = _narrow(column, _narrow(column, numbered, _SPLIT), _instalments_above(instalments))
    for places in (part, rates, deferred, split):
        found[some[places]] = True
    return found


def _worth_a_look(texts: Sequence[str]) -> Ints:
    """The texts that have a number, and a character without which it could be no rate and no offer."""
    if not texts:
        return np.empty(0, np.int64)
    # A line feed behind each text: none is empty, and it has no bit.
    points = np.frombuffer("\n".join((*texts, "")).encode("utf-32-le", "surrogatepass"), np.uint32)
    each = np.take(_bits_of(points), points)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    each[ends - 1] = 0
    held = np.bitwise_or.reduceat(each, np.concatenate([[0], ends[:-1]]))
    rate = (held & (_CHARGED_BIT | _PERIOD_BIT)) == _CHARGED_BIT | _PERIOD_BIT
    said = (held & _NUMBERED_BIT != 0) & (rate | (held & (_PART_BIT | _OFFER_BIT) != 0))
    return np.flatnonzero(said | (held & _UNUSUAL_BIT != 0))


def _bits_of(points: Ints) -> NDArray[np.uint8]:
    """The table of bits by code point, with all `points` entered."""
    table, known = _table()
    seen = np.zeros(_POINTS, bool)
    seen[points] = True
    new = np.flatnonzero(seen & ~known)
    if len(new):
        column = _column([chr(point) for point in new.tolist()])
        for bit, pattern in _CHARACTERS.items():
            table[new[pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)]] |= bit
        table[new[(new >= 0xD800) & (new < 0xE000)]] = _UNUSUAL_BIT
        known[new] = True
    return table


@functools.lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.uint8], Bools]:
    """Bits by code point, and whether they are known: worked out on first sight."""
    return np.zeros(_POINTS, np.uint8), np.zeros(_POINTS, bool)


def _days_above(limit: float) -> str:
    units = ((1, "[天日]"), (7, "周|星期|礼拜"), (30, "月"), (90, "季"), (360, "年"))
    counts = [rf"(?:{_above(limit / days)}){_TO_UNIT}(?:{unit})" for days, unit in units]
    halves = [rf"半.{{0,3}}{unit}" for days, unit in ((15, "月"), (180, "年")) if days > limit]
    return "(?is)" + "|".join([_FOREIGN, *counts, *halves])


def _instalments_above(limit: float) -> str:
    units = ((1, "(?:期|[月次].{0,2}还)"), (3, "季.{0,3}还"), (12, "年.{0,3}还"))
    return "(?is)" + "|".join([_FOREIGN, *(rf"(?:{_above(limit / of)}){_TO_UNIT}{unit}" for of, unit in units)])


def _above(limit: float) -> str:
    """What stands in every number above `limit`, as it is written or said."""
    if limit < 10:
        return f"{_digits_from(int(limit))}|[十拾]|{_LARGE}|{_D}{{2}}"
    if limit < 100:
        tens = _digits_from(int(limit // 10))
        ten = "|[十拾]" if limit < 20 else ""
        return f"{tens}(?:{_D}|[十拾]){ten}|{_D}{{3}}|{_LARGE}"
    return f"{_D}{{3}}|{_LARGE}"


def _digits_from(lowest: int) -> str:
    return "[" + "".join(char for char, value in {**DIGITS, "幺": 1}.items() if value >= lowest) + f"{lowest}-9]"


def _folded(texts: Sequence[str]) -> pa.Array:
    """The texts as the finder of stated numbers reads them."""
    column = _column(texts)
    unusual = _narrow(column, np.arange(len(texts)), _UNUSUAL)
    if not len(unusual):
        return column
    folded = list(texts)
    for i in unusual.tolist():
        folded[i] = View(texts[i]).text
    return _column(folded)


def _column(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a character beyond the first 65,536, which no number is written with
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())


def _narrow(column: pa.Array, places: Ints, pattern: str) -> Ints:
    """Those of `places` whose text matches."""
    if not len(places):
        return places
    found = pc.match_substring_regex(column.take(pa.array(places)), pattern)
    return places[found.to_numpy(zero_copy_only=False)]
