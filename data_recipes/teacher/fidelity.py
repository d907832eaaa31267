"""Whether a wording says something else than the provision it is quoted from: numbers, modality, limits, negation.

Stricter than what is asked of a person's answer, which may leave a demand out: a teacher is told to keep them all.
Both sides are read by the same patterns, which know statute Chinese (不得, 应当) and spoken Chinese (不能, 需要), so
that 不能 may stand for 不得 and 可以 never does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from tianjing.text import UNITS, arabic, compact, numbers

Demand = Literal["exempt", "must_not", "must", "may"]

# In this order: 可以不 is no 可以, 不能 no 能, 不需要 no 需要.
_DEMANDS: tuple[tuple[Demand, str], ...] = (
    ("exempt", r"不需要?|无需|无须|毋须|不必|不用|可以不|免于|免除"),
    ("must_not", r"不得|禁止|严禁|不应当?|不准|不许|不可以|不允许|不能够?|不可(?![抗或避缺])|无权|没有?权利?|不行"),
    (
        "must",
        r"应当|必须|务必|应该|需要|一定要|须(?!知)|(?<![相对反供适响效报回答感照因理一])应(?![用急付收还计缴对变届答聘验邀允诺激])",
    ),
    ("may", r"可以|有权|允许|能够|(?<!可)能(?![力源量耗])|可(?=[申向要请提选办自])"),
)
_DEMAND = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _DEMANDS))
# 能不能 and 是否应当 ask; they demand nothing.
_ASKED = re.compile(
    r"能不能|可不可以|要不要|需不需要|应不应该|是否(?:应当|可以|需要|必须|能够?)|是不是(?:应当|可以|需要|必须|能)?"
)
_UPPER = re.compile(r"不超过|不[得能]超过|不[得能]高于|不高于|不多于|最多|至多|最长|最高|以内|之内|以下|上限|封顶")
_LOWER = re.compile(r"不少于|不[得能]少于|不低于|不[得能]低于|至少|最少|最短|最低|起码|以上|下限")
_NEGATION = re.compile(r"[不没无未]")
_NOT_NEGATING = re.compile(f"{_UPPER.pattern}|{_LOWER.pattern}|{_DEMANDS[0][1]}|{_DEMANDS[1][1]}|{_ASKED.pattern}")
_SEGMENT = re.compile(r"[^，。；;！!？?]+")
_QUANTITY = re.compile(rf"(\d+(?:,\d{{3}})*(?:\.\d+)?)\s*({UNITS}|[%‰])")
_SAME_UNIT = {
    "天": "日",
    "自然日": "日",
    "个自然日": "日",
    "个工作日": "工作日",
    "个月": "月",
    "个小时": "小时",
    "块": "元",
    "名": "人",
    "周年": "年",
    "星期": "周",
    "点": "时",
}
_MYRIADS = {"万元": 1e4, "亿元": 1e8}


def unfaithful(wording: str, quote: str) -> str:
    """Why `wording` does not say what `quote` says, or "".

    Numbers with their units, and limits, must be among those of the quote; the first demand must be the same, no
    demand may be new, and what stands next to it must not be turned round (不得 for 可以); a quote that demands
    nothing is neither denied nor affirmed.
    """
    if not numbers(wording, claims=True) <= numbers(quote):
        return "states a number the quote does not have"
    if not quantities(wording) <= quantities(quote):
        return "states a number in another unit than the quote"
    if not _limits(wording) <= _limits(quote):
        return "turns a limit of the quote round"
    said, meant = demands(wording), demands(quote)
    if [demand for demand, _ in said[:1]] != [demand for demand, _ in meant[:1]]:
        return "says it with another modality than the quote"
    for demand, segment in said:
        if demand not in _nearest(segment, meant):
            return "says it with another modality than the quote"
    if bool(_denies(wording)) != bool(_denies(quote)):
        return "denies or affirms what the quote does not"
    return ""


def demands(text: str) -> list[tuple[Demand, str]]:
    """(demand, the segment between commas that holds it) in the order of the text."""
    found: list[tuple[Demand, str]] = []
    for segment in _SEGMENT.findall(_ASKED.sub("", compact(text))):
        for match in _DEMAND.finditer(segment):
            found.append((match.lastgroup, segment))  # type: ignore[arg-type]
    return found


def quantities(text: str) -> frozenset[tuple[str, str]]:
    """(canonical number, unit) of what is stated with a unit; 天 is 日, 万元 is 元, 一次说清 is no quantity."""
    claimed = numbers(text, claims=True)
    return frozenset(pair for pair in _quantities(text) if pair[0] in claimed)


def _quantities(text: str) -> Iterator[tuple[str, str]]:
    for match in _QUANTITY.finditer(arabic(text)):
        value, unit = float(match[1].replace(",", "")) * _MYRIADS.get(match[2], 1.0), match[2]
        if unit in "%‰":
            yield f"{value:.12g}{unit}", unit
        else:
            yield f"{value:.12g}", "元" if unit in _MYRIADS else _SAME_UNIT.get(unit, unit)


def _limits(text: str) -> set[str]:
    return {name for name, pattern in (("upper", _UPPER), ("lower", _LOWER)) if pattern.search(compact(text))}


def _nearest(segment: str, others: list[tuple[Demand, str]]) -> set[Demand]:
    """The demands of the segment that shares most bigrams; on equal terms of the first."""
    own = _bigrams(segment)
    nearest = max((other for _, other in others), key=lambda other: len(own & _bigrams(other)))
    return {demand for demand, other in others if other == nearest}


def _bigrams(text: str) -> set[str]:
    plain = _DEMAND.sub("", text)
    return {plain[i : i + 2] for i in range(len(plain) - 1)}


def _denies(text: str) -> re.Match[str] | None:
    return _NEGATION.search(_NOT_NEGATING.sub("", compact(text)))
