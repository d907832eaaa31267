"""Which of many texts may state a rate or make an offer that a rule limits, told for all of them at once with RE2.

Each pattern here asks for less than the finder of stated numbers (`tianjing.finance.statements`) does, so no stated
number is overlooked; a text is read in full only when it passes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tianjing.finance.statements.readers.numerals import HAN
from tianjing.finance.statements.view import View

Bools = NDArray[np.bool_]

_N = rf"[\p{{Nd}}{HAN}]"
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
# One numeral alone is at most 10: days and instalments up to a larger limit need more of them.
_MANY = rf"(?:{_N}[.点,]?{_N}|[百佰千仟万萬亿wk])"
_SINGLE_MAX = 10
_UNUSUAL = r"[^ -~\p{Han}，。！？；：（）、“”‘’《》〈〉【】〔〕…—～·]|,"


def may_break(texts: Sequence[str], instalments: float, days: float) -> Bools:
    """Where false, a text states no rate of interest and makes no offer above the limits.

    Args:
        instalments: smallest limit of a rule on instalments.
        days: likewise on days of deferral.
    """
    if not texts:
        return np.zeros(0, bool)
    column = _column(texts)
    unusual = np.flatnonzero(_matches(column, _UNUSUAL))
    if len(unusual):
        folded = list(texts)
        for i in unusual.tolist():
            folded[i] = View(texts[i]).text
        column = _column(folded)
    numbered = np.flatnonzero(_matches(column, rf"[半减对]|{_N}"))
    column = column.take(pa.array(numbered))
    part = _matches(column, _PART)
    rate = part | _matches(column, _RATE)
    found = rate & _matches(column, _PERIOD) & _matches(column, _CHARGED)
    found |= part | (rate & _matches(column, _WAIVED))
    many_days = rf"{_MANY if days >= _SINGLE_MAX else _N}.{{0,5}}[天日]"
    found |= _matches(column, _DEFERRED) & _matches(
        column, rf"(?is){many_days}|[半{_N[1:-1]}].{{0,5}}(?:[月年周季]|星期|礼拜)"
    )
    many = _MANY if instalments >= _SINGLE_MAX else _N
    found |= _matches(column, _SPLIT) & _matches(column, rf"(?is){many}.{{0,5}}[期月次]|{_N}.{{0,5}}[年季]")
    result = np.zeros(len(texts), bool)
    result[numbered] = found
    return result


def _column(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a character beyond the first 65,536, which no number is written with
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())


def _matches(column: pa.Array, pattern: str) -> Bools:
    found: Bools = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
    return found
