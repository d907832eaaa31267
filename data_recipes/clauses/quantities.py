"""Quantities a provision states: value, unit, bound and period, with their place in the text.

以上, 以下 and 以内 include the number itself; 超过, 不满 and 不足 do not (民法典 第一千二百五十九条).
"""

from __future__ import annotations

import functools
import re
from typing import Literal

from tianjing.records import Comparator, Quantity
from tianjing.text import number

Kind = Literal["money", "rate", "duration", "count", "time", "age"]

_HAN = "零〇一二两三四五六七八九十百千万亿"
_NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?(?:\s?[万亿]+)?|[{_HAN}]+(?:点[{_HAN}]+)?)"
_KINDS: dict[Kind, tuple[str, ...]] = {
    "money": ("元", "块"),
    "rate": ("%", "‰", "倍", "基点", "成", "折"),
    "duration": (
        "个工作日",
        "个自然日",
        "个会计年度",
        "个年度",
        "个季度",
        "个小时",
        "个星期",
        "工作日",
        "自然日",
        "个月",
        "小时",
        "分钟",
        "日",
        "天",
        "周年",
        "年",
        "周",
        "星期",
        "秒",
    ),
    "age": ("周岁", "岁"),
    "count": (
        "期",
        "次",
        "人",
        "名",
        "份",
        "笔",
        "家",
        "件",
        "种",
        "项",
        "个",
        "条",
        "户",
        "类",
        "张",
        "处",
        "台",
        "辆",
        "位",
    ),
    "time": ("时", "点"),
}
_UNIT_KIND = {unit: kind for kind, units in _KINDS.items() for unit in units}
# 年度, 一次性 and 人民 only begin like a unit; 个 stands before what is counted, or at the end of 两个以上.
_NOT_BEFORE = {
    "年": "度",
    "次": "性",
    "人": "民",
    "日": "常",
    "名": "义称誉",
    "时": "间候",
    "项": "目",
    "成": "本员果为立交",
    "件": "套",
    "期": "货间限",
    "家": "庭",
    "折": "旧扣",
    "条": "件",
    "点": "击对",
    "户": "籍外",
    "份": "额",
    "处": "罚以理",
    "类": "型",
    "位": "置",
}
_UNIT = "|".join(
    unit + (f"(?![{_NOT_BEFORE[unit]}])" if unit in _NOT_BEFORE else "")
    for unit in sorted(_UNIT_KIND, key=len, reverse=True)
)
_NARROW = str.maketrans("０１２３４５６７８９．％‐－～", "0123456789.%--~")
_LARGE_PARTS = {"千": 1e3, "万": 1e4}
_CLOCK_COLON = re.compile(r"(?<=\d)：(?=[0-5]\d)")
_CLOCK = r"\d{1,2}:[0-5]\d(?!\d)"
_TO = r"\s?(?:至|到|-|—+|~)\s?"
_QUANTITY = re.compile(
    rf"(?<![\d第.{_HAN}])(?:"
    rf"(?P<clock>{_CLOCK})"
    rf"|(?P<double>双倍)"
    rf"|(?P<parts>[{_HAN}]+)分之(?P<share>{_NUMBER})"
    rf"|(?P<from>{_NUMBER})(?={_TO}{_NUMBER}余?\s?(?P<common>{_UNIT}))"
    rf"|(?P<number>{_NUMBER})余?\s?(?P<unit>{_UNIT})(?P<half>半)?(?:(?<=[时点])(?P<minutes>\d{{1,2}}|[{_HAN}]+)分)?"
    rf")"
)
# What looks like a quantity and is none: dates, numbers of provisions and sessions, titles of documents.
_NONE = re.compile(
    r"《[^》]{1,80}》|“[^“”]{1,8}”"
    rf"|(?:\d{{4}}|[〇零一二三四五六七八九]{{4}})\s?年(?:\s?[\d{_HAN}]{{1,3}}\s?月(?:份|\s?[\d{_HAN}]{{1,3}}\s?日)?)?"
    rf"|[\d{_HAN}]{{1,3}}\s?月(?:底|初|末|份|\s?[\d{_HAN}]{{1,3}}\s?日)"
    rf"|(?<=月)[\d{_HAN}]{{1,3}}\s?[日号](?!内)"
    rf"|第[{_HAN}\d]+至[{_HAN}\d]+(?:项|款|条)"
    rf"|第[\d{_HAN}]+(?:条(?:之[{_HAN}]+)?|[^\d{_HAN}，。；：])"
    r"|(?:任何?|同|某|每|逐|唯|统|单|(?<!分)之|万|专|进|另|最后|其中|任意)一|一人(?:有限|公司)"
    r"|(?<!以)[上下前后次]一(?=[级日年季月次期届个层])"
    r"|[一二三四五六七八九十]+(?:般|旦|并|经|致|定|方|切|律|体|样|级|直|起|些|手|时(?!前|至)|审|线|成不变|概|贯|边|面)"
    rf"|[前后各首][{_HAN}]+(?:款|条|项|章|节)"
)
_NO = "(?:不(?:得|应|应当)?|未)"
_BOUNDS: tuple[tuple[Comparator, str], ...] = (
    ("<=", rf"{_NO}(?:超过|超出|高于|多于|大于|长于|逾)|至多|最多|最长|最高|最迟|上限"),
    (">=", rf"{_NO}(?:低于|少于|小于|短于)|至少|最少|最低|最短|下限"),
    ("<", "不满|未满|不足|未达到|未达|低于|少于|小于|短于"),
    (">", "超过|高于|多于|大于|长于|超出"),
    (">=", "年满|已满|达到"),
)
_BOUND = re.compile("|".join(f"(?P<b{index}>{pattern})" for index, (_, pattern) in enumerate(_BOUNDS)))
_ADJACENT: tuple[tuple[Comparator, str], ...] = ((">=", "满"), (">=", "达"), (">", "逾"))
_BETWEEN = re.compile(r"\s?(?:的|在|为|于|是|人民币|等值|合计|累计|连续|其|约定)*\s?")
_AFTER = re.compile(r"\s?(?:[(（]含[^()（）]{0,6}[)）])?(以上|以下|以内|之内|内(?!部|容|设|地|外|在)|以外)")
_SUFFIX: dict[str, Comparator] = {"以上": ">=", "以下": "<=", "以内": "<=", "之内": "<=", "内": "<=", "以外": ">"}
_SENTENCE_END = "。；;！？\n"
_SEGMENT_END = _SENTENCE_END + "，："
_PERIOD = re.compile(
    r"每(?:一|个)?(?:工作日|自然日|日|天|周|星期|个?月|季度?|年度?|次|期|小时|分钟|笔|人|户)|单[日月笔次]|当[日月年]|[年月日](?=利率|化|费率|息)"
)


def quantities(text: str) -> tuple[Quantity, ...]:
    """Numbers with units, in the order of the text; dates and the numbers of articles and sessions are none.

    `start` and `end` are character offsets into `text`. 一人 or 一个 without a bound claims no quantity.
    """
    plain = _CLOCK_COLON.sub(":", text.translate(_NARROW))
    plain = _NONE.sub(lambda match: "#" * len(match[0]), plain)
    found: list[Quantity] = []
    matches = list(_QUANTITY.finditer(plain))
    used = -1
    for position, match in enumerate(matches):
        if match.start() < used:
            continue
        made = _read(match)
        if made is None:
            continue
        value, unit, kind = made
        end, until = match.end(), None
        following = matches[position + 1] if position + 1 < len(matches) else None
        window = kind == "time" and following is not None and _window(plain, match, following)
        if window and following is not None:
            last = _read(following)
            if last is not None and last[2] == "time":
                until, end = (
                    last[0] + (24 if "次" in window or "翌" in window or last[0] <= value else 0),
                    following.end(),
                )
        comparator = _comparator(plain, match, end, _end_of_last(plain, matches[:position]))
        if comparator == "=" and until is None:
            if match["from"] or (following is not None and re.fullmatch(_TO, plain[end : following.start()])):
                comparator = ">="
            elif position and re.fullmatch(_TO, plain[matches[position - 1].end() : match.start()]):
                comparator = "<="
        period = _period(plain, match.start(), kind, found, text)
        used = end
        found.append(
            Quantity(
                value=value,
                unit=unit,
                kind=kind,
                text=text[match.start() : end],
                comparator=comparator,
                period=period,
                until=until,
                start=match.start(),
                end=end,
            )
        )
    return tuple(found)


def _read(match: re.Match[str]) -> tuple[float, str, Kind] | None:
    """(value, unit, kind) of a match; None where it only looks like a number."""
    try:
        if match["clock"]:
            hour, minute = match["clock"].split(":")
            return (round(int(hour) + int(minute) / 60, 6), "时", "time") if int(hour) <= 24 else None
        if match["double"]:
            return 2.0, "倍", "rate"
        if match["parts"]:
            return _share(match["parts"], float(_number(match["share"])))
        text, unit = match["from"] or match["number"], match["unit"] or match["common"]
        value = float(_number(text))
    except ValueError:
        return None
    if unit == "年" and value >= 1900:
        return None
    if unit in ("时", "点"):
        if value > 24 or (unit == "点" and not text.isascii() and not match["minutes"] and not match["half"]):
            return None
        minutes = float(_number(match["minutes"])) if match["minutes"] else 30.0 if match["half"] else 0.0
        return round(value + minutes / 60, 6), "时", "time"
    if match["half"] and unit in ("年", "天", "日"):
        value += 0.5
    return round(value, 6), unit, _UNIT_KIND[unit]


@functools.lru_cache(maxsize=4096)
def _number(text: str) -> float:
    text = re.sub(r"\s", "", text)
    if text[0] in "百千万亿" or (len(text) > 1 and text[0] in "零〇"):
        raise ValueError(f"no number: {text}")  # 千家万户
    return float(number(text))


def _share(parts: str, value: float) -> tuple[float, str, Kind]:
    """百分之二十 is 20 %; any other fraction is its share (比): 三分之二 0.666667, 万分之五 0.0005."""
    if parts == "百":
        return round(value, 6), "%", "rate"
    return round(value / (_LARGE_PARTS.get(parts) or _number(parts)), 6), "比", "rate"


def _window(plain: str, first: re.Match[str], second: re.Match[str]) -> str:
    """What joins two times of day into one window, such as 至次日; empty where nothing does."""
    between = plain[first.end() : second.start()]
    joined = re.fullmatch(
        r"\s?(?:至|到|-|—+|~)\s?(?:次日|第二[日天]|翌日|#{3}|次晨|凌晨)?(?:凌晨|早上?|上午|晨)?\s?", between
    )
    return between if joined else ""


def _end_of_last(plain: str, matches: list[re.Match[str]]) -> int:
    """Where the last quantity ends that could take the bound; 一年期 only names a rate (超过一年期利率四倍)."""
    return next((match.end() for match in reversed(matches) if plain[match.end() : match.end() + 1] != "期"), 0)


def _comparator(plain: str, match: re.Match[str], end: int, previous_end: int) -> Comparator:
    after = _AFTER.match(plain, end)
    if after and after[1] != "内":
        return _SUFFIX[after[1]]
    start = max([previous_end, *(plain.rfind(mark, 0, match.start()) + 1 for mark in _SEGMENT_END)])
    before = plain[start : match.start()]
    bounds = list(_BOUND.finditer(before))
    if bounds:
        last = bounds[-1]
        gap = before[last.end() :]
        ends_here = end >= len(plain) or plain[end] in "，。；：、的,;:）)" or bool(after)
        bound = _BOUNDS[int((last.lastgroup or "b0")[1:])][0]
        near = _BETWEEN.fullmatch(gap) or (len(gap) <= 4 and bound in ("<=", ">="))
        if near or (len(gap) <= 40 and ends_here and "、" not in gap):
            return bound
    for comparator, word in _ADJACENT:
        if before.endswith(word):
            return comparator
    return _SUFFIX[after[1]] if after else "="


def _period(plain: str, start: int, kind: Kind, found: list[Quantity], text: str) -> str:
    """每日, 每年 and the like in the same part of the sentence, or the term a count runs in (12个月内不得超过2次)."""
    sentence = max(plain.rfind(mark, 0, start) for mark in _SENTENCE_END) + 1
    segment = max(plain.rfind(mark, 0, start) for mark in _SEGMENT_END) + 1
    if kind in ("count", "money", "rate", "duration", "time"):
        named = list(_PERIOD.finditer(plain, segment, start))
        if named and not (kind == "duration" and named[-1].end() < start - 6):
            return text[named[-1].start() : named[-1].end()]
    if kind == "count" and found and found[-1].kind == "duration" and found[-1].start >= sentence:
        within = _AFTER.match(plain, found[-1].end)
        if within and within[1] in ("内", "以内", "之内"):
            return text[found[-1].start : within.end()]
    return ""
