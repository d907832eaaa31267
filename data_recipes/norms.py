"""What a provision demands of whom, and which quantities it states."""

from __future__ import annotations

import re

from tianjing.records import Modality, Quantity
from tianjing.text import arabic

# Longest first: 不得 before 得, 不应 before 应. 应 alone is a modal only where it is no part of another word.
_MODALS: tuple[tuple[Modality, str], ...] = (
    ("must_not", r"不得|禁止|严禁|不应当?|不准|不可以|不允许"),
    ("must", r"应当|必须|须(?!知)|务必|(?<![相对反供适响效报回答感照因理一])应(?![用急付收对变届答聘验邀允诺激])"),
    ("may", r"可以|(?<![所享拥])有权(?![利益机属])|(?<![许认不])可(?![能靠信行见持疑用观])"),
)
_MODAL = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _MODALS))
_SENTENCE = re.compile(r"[^。；;！？]+")
_KINDS = {
    "money": ("万元", "亿元", "元", "块"),
    "rate": ("%", "‰", "倍", "基点", "成", "折"),
    "duration": (
        "个工作日",
        "个自然日",
        "工作日",
        "自然日",
        "个月",
        "个小时",
        "小时",
        "分钟",
        "日",
        "天",
        "周年",
        "年",
        "月",
        "周",
        "星期",
        "秒",
    ),
    "count": ("期", "次", "人", "名", "份", "笔", "家", "件", "种", "项", "个"),
    "time": ("时", "点"),
}
_UNIT_KIND = {unit: kind for kind, units in _KINDS.items() for unit in units}
_UNIT = "|".join(sorted(_UNIT_KIND, key=len, reverse=True))
_QUANTITY = re.compile(rf"(?<![\d第.])(\d+(?:\.\d+)?)\s*({_UNIT})|(\d{{1,2}})[:：](\d{{2}})(?!\d)")
_DATE = re.compile(r"\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?|\d{1,2}月\d{1,2}日")
_ORDINAL = re.compile(r"第[零〇一二三四五六七八九十百千\d]+(?:条|款|项|章|节|编)(?:之[一二三四五六七八九十])?")


def first_modal(text: str) -> tuple[Modality, int, int] | None:
    """(modality, start, end) of the first modal; 是否应当 is a question and 应当知道 a fault, neither a demand."""
    for match in _MODAL.finditer(text):
        if text[max(0, match.start() - 2) : match.start()] != "是否" and text[match.end() : match.end() + 2] != "知道":
            return match.lastgroup, match.start(), match.end()  # type: ignore[return-value]
    return None


def modality(text: str) -> Modality:
    """The first modal decides; a provision without one is a statement."""
    found = first_modal(text)
    return found[0] if found else "statement"


def subject(text: str, inherited: str = "") -> str:
    """Who the first modal addresses: the noun phrase before it, else the `inherited` subject of the paragraph."""
    for sentence in _SENTENCE.findall(text):
        found = first_modal(sentence)
        if found:
            return _noun(sentence[: found[1]]) or inherited
    return inherited


def _noun(before: str) -> str:
    phrase = before.strip("，, ").rpartition("，")[2].strip()
    if phrase.endswith(("的", "时", "后", "前", "起", "内")):  # a condition: 逾期的，应当…
        earlier = before.strip("，, ").split("，")[0]
        phrase = "" if earlier.endswith(("的", "时", "后", "前", "起", "内")) else earlier
    phrase = re.sub(r"^(?:因此|但是|但|其中|并|且|同时)", "", phrase)
    return phrase if 2 <= len(phrase) <= 24 else ""


def quantities(text: str) -> tuple[Quantity, ...]:
    """Numbers with units; dates, and the numbers of articles and items, are none."""
    plain = _ORDINAL.sub("#", _DATE.sub("#", arabic(text)))
    plain = re.sub(r"(\d)([%‰])", r"\1\2", plain)
    found = []
    for match in _QUANTITY.finditer(plain):
        if match[3] is not None:
            value, unit, kind = int(match[3]) + int(match[4]) / 60, "时", "time"
        else:
            value, unit = float(match[1]), match[2]
            kind = _UNIT_KIND[unit]
            if unit in ("万元", "亿元"):
                value, unit = value * (1e4 if unit == "万元" else 1e8), "元"
        found.append(Quantity(value=round(value, 6), unit=unit, kind=kind, text=match[0]))
    return tuple(found)
