"""Counts with a unit: 12期, 逾期三天, 三年 (36个月), 两笔. 每一期 and 一个月利息 name a period and count nothing."""

from __future__ import annotations

import re
from decimal import Decimal

from tianjing.finance.statements.readers.numerals import NUMBER, VAGUE, Amount, ranged
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import View, clause_before

# as written -> unit and how many of it
_UNITS = {
    "期": ("期", 1),
    "天": ("天", 1),
    "日": ("天", 1),
    "自然日": ("天", 1),
    "工作日": ("天", 1),
    "周": ("天", 7),
    "星期": ("天", 7),
    "礼拜": ("天", 7),
    "月": ("个月", 1),
    "半月": ("个月", 1),
    "年": ("个月", 12),
    "年半": ("个月", 12),
    "季度": ("个月", 3),
    "次": ("次", 1),
    "笔": ("笔", 1),
    "小时": ("小时", 1),
}
_COUNT = re.compile(
    rf"(?:(?P<low>{NUMBER})\s?(?:个?月|天|期|年)?(?:到|至|-|~|—|–|～)\s?)?(?P<number>{NUMBER})(?P<vague>{VAGUE})?\s?"
    r"(?P<unit>年半|个半月|个多?月|期(?!货|间|望)|个期|个?(?:自然|工作)日|天(?!猫)|日(?=之?[内后]|以[内后]|宽限|免息|的?免息)|"
    r"年(?!化|利率|息|费|率|底|末|轻|龄|度|限|月|代|前)|周(?![岁期末年转边一二三四五六日天1-6])|个?多?(?:星期|礼拜)(?![一二三四五六日天1-6])|"
    r"次(?![日月贷性数要序])|笔(?!记|者|试|迹)|个?季度|个?小时)"
)
_HALF = re.compile(r"半(?P<unit>年|个多?月|月)(?P<vague>多?)(?![化利息费率])")
_EVERY = re.compile(
    r"(?:每|按|这|那|上|(?<![剩余名])下|本|某|哪|同|另外?|任何|头|(?<!超)过|首|当)(?:隔|满|逾期|延期)?$"
)
# 半个多月 is told to some days.
_A_CENTURY = Decimal(100)
_HALF_STEP = {"个月": Decimal(1), "天": Decimal(5)}
# 一期, 一天, 一个月 count only behind such words.
_COUNTED = re.compile(
    r"(?:逾期|逾|拖|晚|延期?|宽限|展期?|推迟|缓|顺延|[还只就]?(?:剩下?|有|差|欠)|仅|满|超过?|不到|期限|为|借|少|多|提前|名下|限|免|前|近|达|给|够|"
    r"就|整|分|还了|付了|共)(?:了|最多|大概|约)?$"
)
# 一个月还五百, 一天五块: money or a rate per period.
_PER = re.compile(
    r"\s?(?:的|大概|大约|差不多|就是?|也就|要|得|只[要需]?|才|需要?|应|收|是){0,3}"
    r"(?:还(?![款清完有])|[罚利]?息|费|付|交|罚|[万千百]分|\d|[零一二两三四五六七八九十]+(?:[块元毛厘百千万]|分(?!期)))"
)
# 一年期; 昨天签的，一年，…
_WHOLE_CLAUSE = re.compile(r"期(?![间限])|(?<=，一年)(?=，)|(?<=，一个月)(?=，)")
_IDLE_TWO = re.compile(r"(?:这|那|前|过|头|近|最近|就)$")


def read_count(view: View, start: int) -> Value | None:
    """The count at `start`, in 期, 天, 个月, 次, 笔 or 小时."""
    text = view.text
    if match := _HALF.match(text, start):
        unit, amount = ("个月", 6) if match["unit"] == "年" else ("天", 15)
        return Value(
            start,
            match.end(),
            "count",
            Amount(Decimal(amount), Decimal(amount), _HALF_STEP[unit]),
            unit,
            "多" if "多" in match[0] else "",
        )
    match = _COUNT.match(text, start)
    if not match or _names_a_period(match, clause_before(view.before(start))):
        return None
    number, written = match["number"], match["unit"]
    found = ranged(match["low"], number)
    if found is None or (written == "年" and found.low >= _A_CENTURY):
        return None
    if found.low != found.low.to_integral_value() and written[-1] not in "年月":
        return None
    unit, factor = _UNITS[written.removeprefix("个").removeprefix("多")]
    found = found.times(Decimal(factor))
    if written.endswith("半"):
        found = Amount(found.low + 6, found.high + 6, Decimal(1))
    elif written == "个半月":
        found, unit = _whole(found.low * 30 + 15), "天"
    vague = match["vague"] or ("多" if "多" in written else "")
    return Value(start, match.end(), "count", found, unit, vague)


def _names_a_period(match: re.Match[str], before: str) -> bool:
    """Whether 一期, 一个月 or 两天 counts nothing: 每一期, 一个月还五百, 这两天."""
    number, unit, text, end = match["number"], match["unit"], match.string, match.end()
    if number not in ("一", "1", "两", "几") or match["low"]:
        return False
    if _EVERY.search(before):
        return True
    if number == "两":
        return unit in ("天", "年") and _IDLE_TWO.search(before) is not None
    is_counted = unit in ("年半", "个半月") or _COUNTED.search(before) or _WHOLE_CLAUSE.match(text, end)
    return _PER.match(text, end) is not None or (number == "一" and not is_counted)


def _whole(number: Decimal) -> Amount:
    return Amount(number, number, Decimal(1))
