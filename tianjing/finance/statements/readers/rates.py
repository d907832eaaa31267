"""Rates and shares as a fraction: 18%, 万分之五, 两分, 五厘, 18个点, 八折, 三成, and 年化十八 without a sign.

分 and 厘 depend on the period: 年息一厘 is 1% a year, 月息一厘 0.1% a month, 日息一厘 0.01% a day; 一分 is ten 厘.
"""

from __future__ import annotations

import re
from decimal import Decimal

from tianjing.finance.statements.facts import Period
from tianjing.finance.statements.readers.numerals import HAN, NUMBER, VAGUE, Amount, amount, ranged
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import View, clause_before
from tianjing.text import HAN_DIGITS, number

_D = f"[{HAN_DIGITS}\\d]"
_PERCENT, _PERMILLE, _MYRIAD = Decimal("0.01"), Decimal("0.001"), Decimal("0.0001")
_SIGNS = {"‰": _PERMILLE, "‱": _MYRIAD, "千": _PERMILLE, "万": _MYRIAD}  # any other sign is per cent
_SIGNED = re.compile(
    rf"(?:(?P<low>{NUMBER})\s?(?:到|至|-|~|—|–|～)\s?)?(?P<number>{NUMBER})(?P<vague>{VAGUE})?\s?"
    r"(?P<sign>[%‰‱]|个?百分点|个多?点(?!击)|趴|巴仙)"
)
_HALF_POINT = re.compile(r"半个(?:百分)?点")
_OF = re.compile(rf"(?P<sign>[百千万])分之?\s?(?P<number>{NUMBER})(?P<vague>{VAGUE})?")
_SHORT = re.compile(
    rf"(?P<sign>[万千])(?P<number>[二三四五六七八九](?:点[{HAN_DIGITS}]+)?|\d(?:\.\d+)?)(?![\d{HAN}元块])"
)
_NO_MORE = rf"(?![{HAN}\d期天个元块毛])"
_FEN = re.compile(
    rf"(?P<fen>[{HAN_DIGITS}]|\d{{1,2}}(?:\.\d+)?|十)分(?![之期钱钟析批享红开])"
    rf"(?P<rest>半|{_D}(?=厘?{_NO_MORE}))?(?:厘(?P<third>{_D}{_NO_MORE})?)?"
    rf"|(?P<li>[{HAN_DIGITS}](?:点{_D})?|\d{{1,2}}(?:\.\d+)?)厘(?P<hao>半|{_D}{_NO_MORE})?"
)
_TENTHS = re.compile(
    rf"(?P<tenths>[{HAN_DIGITS}\d](?:点?[五5]|\.5|半)?)成(?P<rest>半|{_D}(?![{HAN}\d期天个元块]))?(?![为立功交本员都就绩果效天心])|(?P<half>一半|减半|对半)"
    rf"|(?P<bottom>[二三四五六七八九十]|\d)分之(?P<top>{_D})"
)
_DISCOUNT = re.compile(rf"(?P<whole>{_D})(?:[.点]?(?P<part>{_D}))?折(?![算合腾磨旧中返])")
_INTEREST = re.compile(r"息|利|费|年化|月化|日化|费率|APR|IRR", re.I)
_INTEREST_BEHIND = re.compile(r"的?(?:年|月|日)?(?:利|息)")
# 年利率0.18 and 日利率0.0005 are fractions, 日利率0.05 is per cent.
_FRACTION, _DAILY_FRACTION = Decimal("0.36"), Decimal("0.005")
_SHARE = re.compile(r"贷|年化|利|减|免|优惠|让利|打|首付|比例|少|息|便宜|收|付|还")
_CALLED = re.compile(
    r"(?:年化(?:综合)?(?:利率|成本|费率|率)?|[年月日](?:利率|息|费率|化)|综合(?:融资)?成本|利率|费率|APR|IRR)"
    r"(?:[是为收要到约在才仅有就:：\s（(]|也就是|大概|大约|差不多|综合|只[有要]|不超过|不到|单利|复利|左右|现在|目前){0,4}$",
    re.I,
)
_BARE = re.compile(
    rf"(?P<number>\d{{1,2}}(?:\.\d+)?|[{HAN_DIGITS}]?十[{HAN_DIGITS}]?(?:点[{HAN_DIGITS}]+)?|[{HAN_DIGITS}]点[{HAN_DIGITS}]+)"
    rf"(?:点(?![{HAN}\d]))?(?!\s*[\d.{HAN}点分厘毛角元块天日月年期个倍次家页条楼号折%‰‱成趴巴笔名位人周小:/万])"
)
# 万分之五一天 is 万分之五 a day.
_PERIOD_CHARS = frozenset("天个年日")
_MYRIAD_CALLED = re.compile("息|利|费率|按天|按日|每天|日$")
_THOUSAND_CALLED = re.compile("(?:日利率|日息|费率)是?$")
_DAILY_BEHIND = re.compile(r"\s?(?:每天|一天|的?日?[利息]|/天)")
# The unit of discounts, tenths and halves: parts of a whole, never a rate of interest.
PART = "成"
_CERTAIN = re.compile(r"(?:通过|下款|保证|安全|放款|成功|真实|满意|到账|配合|能)")


def read_rate(view: View, start: int) -> Value | None:
    """The rate or share at `start`."""
    before = clause_before(view.before(start))
    return (
        _read_signed(view, start)
        or _read_fen(view, start, before)
        or _read_short(view, start, before)
        or _read_part(view, start)
        or _read_bare(view, start, before)
    )


def _read_signed(view: View, start: int) -> Value | None:
    text = view.text
    if match := _HALF_POINT.match(text, start):
        return _value(start, match.end(), Amount(_PERCENT / 2, _PERCENT / 2, _PERMILLE), "%")
    match = _OF.match(text, start) or _SIGNED.match(text, start)
    if not match or (match[0] in ("100%", "百分之百") and _CERTAIN.match(view.after(match.end()))):
        return None
    written, end = match["number"], match.end()
    if end == match.end("number") and len(written) > 1 and written[-1] == "一" and text[end : end + 1] in _PERIOD_CHARS:
        written, end = written[:-1], end - 1
    found = ranged(match.groupdict().get("low"), written)
    if found is None:
        return None
    vague = match["vague"] or ("多" if "多" in match[0] else "")
    return _value(start, end, found.times(_SIGNS.get(match["sign"], _PERCENT)), "%", vague)


def _read_fen(view: View, start: int, before: str) -> Value | None:
    match = _FEN.match(view.text, start)
    if not match or not (_INTEREST.search(before) or _INTEREST_BEHIND.match(view.after(match.end()))):
        return None
    rest, third = match["rest"] or match["hao"], match["third"]
    said = number(match["fen"] or match["li"])
    said += (Decimal(5) if rest == "半" else number(rest or "0")) / 10 + number(third or "0") / 100
    exact = Amount(said, said, Decimal("0.01") if third else Decimal("0.1") if rest else Decimal(1))
    monthly = _PERCENT if match["fen"] else _PERMILLE
    readings: tuple[tuple[Period, Amount], ...] = (
        ("month", exact.times(monthly)),
        ("year", exact.times(monthly * 10)),
        ("day", exact.times(monthly / 10)),
    )
    return Value(start, match.end(), "rate", readings[0][1], "分", readings=readings)


def _read_short(view: View, start: int, before: str) -> Value | None:
    match = _SHORT.match(view.text, start)
    if not match:
        return None
    # 利息千五 may be money.
    called = _MYRIAD_CALLED if match["sign"] == "万" else _THOUSAND_CALLED
    if not (called.search(before) or _DAILY_BEHIND.match(view.after(match.end()))):
        return None
    found = amount(match["number"])
    return _value(start, match.end(), found.times(_SIGNS[match["sign"]]), "%") if found else None


def _read_part(view: View, start: int) -> Value | None:
    if match := _DISCOUNT.match(view.text, start):
        paid = number(match["whole"]) / 10 + number(match["part"] or "0") / 100
        return _value(start, match.end(), Amount(1 - paid, 1 - paid, _PERCENT), PART)
    match = _TENTHS.match(view.text, start)
    if not match or not (match[0] == "减半" or _SHARE.search(view.before(start) + view.after(match.end()))):
        return None
    if match["half"]:
        share = Decimal("0.5")
    elif match["bottom"]:
        share = number(match["top"]) / number(match["bottom"])
    else:
        digits = re.sub("[点.]", "", match["tenths"] + (match["rest"] or "")).replace("半", "五")
        share = sum((number(digit).scaleb(-place) for place, digit in enumerate(digits, start=1)), Decimal(0))
    return _value(start, match.end(), Amount(share, share, _PERCENT), PART)


def _read_bare(view: View, start: int, before: str) -> Value | None:
    match = _BARE.match(view.text, start) if _CALLED.search(before) else None
    found = amount(match["number"]) if match else None
    if match is None or found is None:
        return None
    is_fraction = found.low <= (_FRACTION if "年" in before else _DAILY_FRACTION)
    return _value(start, match.end(), found if is_fraction else found.times(_PERCENT), "%")


def _value(start: int, end: int, found: Amount, unit: str, vague: str = "") -> Value:
    # 大概20% claims whole per cents: the nought counts.
    return Value(start, end, "rate", Amount(found.low, found.high, min(found.step, _PERCENT)), unit, vague)
