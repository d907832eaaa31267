"""Rates and concessions that a turn states, with where it states them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from tianjing.text import DIGITS, chinese_number, fold

DAYS_A_YEAR, MONTHS_A_YEAR = 365, 12
_HAN = f"[{''.join(DIGITS)}十百千]+(?:点[{''.join(DIGITS)}]+)?"
_NUMBER = rf"(?:\d+(?:\.\d+)?|{_HAN})"
_PERCENT = (
    rf"(?:(?P<percent>{_NUMBER})\s*(?:%|个百分点|个点|趴|巴仙)|百分之\s*(?P<of_hundred>{_NUMBER})|千分之\s*(?P<of_thousand>{_NUMBER})"
    rf"|万分之\s*(?P<of_myriad>{_NUMBER})|(?P<permille>{_NUMBER})\s*‰|万(?P<short>[一二三四五六七八九十]))"
)
_BETWEEN = r"[^\d%。！？!?；;\n]{0,10}?"
# 月息两分 is 2% a month, 日息两厘 0.2% a day; a year's 厘 is left out: usage differs.
_FEN = rf"(?P<fen>{_NUMBER})\s*分(?![之期钱])(?P<half>半|[一二三四五六七八九\d](?!\d))?"
_LI = rf"(?P<li>{_NUMBER})\s*厘"
_NEAR = r"[^\d%，。！？!?；;\n]{0,4}?"
_YEAR = r"(?:年化|年利率|年利息|年息|年费率|IRR|APR|综合融资成本|综合年化)"
_MONTH = rf"(?:月利率|月息|月费率|每月利息|每个月利息|一个月利息|(?:利息|罚息){_NEAR}(?:每个?月|一个月))"
_DAY = rf"(?:日利率|日息|日费率|每天利息|每日利息|一天利息|按日|(?:利息|罚息|违约金|滞纳金){_NEAR}(?:一天|每天|每日))"
# 年化三十六 needs no sign; 年化三十六期 and 年化2025年 are no rates.
_BARE = (
    r"(?:利率|率|也?就?是|为|收|要|到|大概|差不多|综合|:|：){0,3}"
    rf"(?P<bare>[1-9]\d(?:\.\d+)?|[{''.join(DIGITS)}]?十[{''.join(DIGITS)}]?(?:点[{''.join(DIGITS)}]+)?)"
    rf"(?!\s*[\d.{''.join(DIGITS)}十百千万点分厘毛角元块天日月年期个倍次家页条楼号折%‰成趴巴])"
)
_RATES = {
    "annual_rate": re.compile(rf"{_YEAR}(?:{_BETWEEN}{_PERCENT}|{_BARE})", re.I),
    "monthly_rate": re.compile(rf"{_MONTH}{_BETWEEN}(?:{_PERCENT}|{_FEN}|{_LI})"),
    "daily_rate": re.compile(rf"{_DAY}{_BETWEEN}(?:{_PERCENT}|{_LI})"),
}
_A_YEAR = {"annual_rate": 1, "monthly_rate": MONTHS_A_YEAR, "daily_rate": DAYS_A_YEAR}
# 在年化利率基础上加收百分之五十 is a surcharge, 年化36%以上的不做 a limit: neither is a rate that is charged.
_ON_TOP = re.compile("基础上|上浮|加收|加罚|浮动|下调|上调|优惠")
_BEYOND = re.compile(r"\s*以上的?[^。；;]{0,8}(?:不|没|禁|违)")
_SCALE = dict(percent=1.0, of_hundred=1.0, of_thousand=0.1, permille=0.1, of_myriad=0.01, short=0.01)
_SCALE |= dict(bare=1.0, fen=1.0, li=0.1)
_OFFERS = {
    "waiver_percent": re.compile(
        rf"(?:减免|免除|免掉|减掉|免去|优惠){_BETWEEN}(?:(?P<percent>{_NUMBER})\s*%|百分之\s*(?P<of_hundred>{_NUMBER})"
        rf"|(?P<tenths>[一二三四五六七八九两\d])成)|打(?P<discount>[一二三四五六七八九\d](?:点?[五\d])?)折"
    ),
    "instalments": re.compile(rf"(?:分|拆|做){_BETWEEN}(?P<count>\d+|{_HAN})\s*(?:期|个月还|次还)"),
    "deferral_days": re.compile(
        rf"(?:延期|宽限|展期|推迟|缓){_BETWEEN}(?P<count>\d+|{_HAN})\s*个?(?P<unit>天|日|周|星期|月)"
    ),
}
_DAYS = {"天": 1, "日": 1, "周": 7, "星期": 7, "月": 30}


@dataclass(frozen=True, slots=True)
class Stated:
    """`value` of a quantity, said at characters `start` to `end` of the raw text."""

    quantity: str
    value: float
    start: int
    end: int


def rates(text: str) -> Iterator[tuple[Stated, float]]:
    """Rates in percent as said, each with the simple annual rate (年化单利) it amounts to in percent."""
    folded, places = _visible(text)
    for quantity, pattern in _RATES.items():
        for match in pattern.finditer(folded):
            value = _percent(match)
            if value is not None and not _ON_TOP.search(match[0]) and not _BEYOND.match(folded, match.end()):
                start, end = places[match.start()], places[match.end() - 1] + 1
                yield Stated(quantity, value, start, end), round(value * _A_YEAR[quantity], 6)


def _visible(text: str) -> tuple[str, list[int]]:
    """Folded text without invisible characters, and where each character stands in `text`."""
    folded = fold(text)
    if text.isprintable():
        return folded, list(range(len(text)))
    places = [i for i, char in enumerate(folded) if unicodedata.category(char) != "Cf"]
    return "".join(folded[i] for i in places), places


def offers(text: str) -> Iterator[Stated]:
    """Concessions: waived share in percent, number of instalments, days of deferral."""
    folded = fold(text)
    for quantity, pattern in _OFFERS.items():
        for match in pattern.finditer(folded):
            value = _concession(quantity, match)
            if value is not None:
                yield Stated(quantity, value, match.start(), match.end())


def _concession(quantity: str, match: re.Match[str]) -> float | None:
    groups = match.groupdict()
    if quantity != "waiver_percent":
        count = _value(groups["count"])
        return None if count is None else count * _DAYS.get(groups.get("unit") or "", 1)
    if groups["tenths"]:
        tenths = _value(groups["tenths"])
        return None if tenths is None else tenths * 10
    if groups["discount"]:
        written = [_value(char) for char in groups["discount"].replace("点", "")]
        digits = [digit for digit in written if digit is not None]
        return 100 - digits[0] * 10 - (digits[1] if len(digits) > 1 else 0)
    return _value(groups["percent"] or groups["of_hundred"])


def _percent(match: re.Match[str]) -> float | None:
    name = next(name for name, value in match.groupdict().items() if value)
    value, half = _value(match[name]), match.groupdict().get("half")
    if value is None:
        return None
    return value * _SCALE[name] + (0.5 if half == "半" else (_value(half) or 0) / 10 if half else 0)


def _value(written: str) -> float | None:
    try:
        return float(written) if written[0].isascii() else chinese_number(written)
    except ValueError:
        return None
