"""Numbers in Chinese text: every one by its value and unit, and the other ways to write the same one.

1.5万元, 15000元, 15,000元 and 一万五千元 are one number; 15% and 百分之十五; 2024年5月1日 and 2024-05-01.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from tianjing.text import HAN_DIGITS, UNITS, fold_words, number

# 一个 and 一分钱 are counts too where they stand before a unit; 一直 or 一样 is none.
UNIT = rf"(?:{UNITS}|块钱|号|角|分钱|个)"
_HAN = rf"[{HAN_DIGITS}十拾百佰千仟万亿]+(?:点[{HAN_DIGITS}]+)?"
_NUMBER = re.compile(
    rf"(?P<iso>(?<![\d-])\d{{4}}-\d{{1,2}}-\d{{1,2}}(?![\d-]))"
    rf"|(?P<per>[百千万])分之(?P<parts>{_HAN}|\d+(?:\.\d+)?)"
    rf"|(?P<arabic>(?:\d+(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)*(?:[百千万亿]+\d*|[wWkK](?![A-Za-z]))?)(?P<sign>[%‰]?)"
    rf"|(?P<han>{_HAN})"
    r"|(?P<vague>[几半俩仨]|多少|若干)"
)
_UNIT_BEHIND = re.compile(rf"[ \t]?({UNIT})")
_DATE = re.compile(r"(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})[日号](?!\d)")
# Titles and placeholders. An ordinal, a code, a vague count (几十), the month of a year that is written in digits.
_KEPT = re.compile(r"《[^》]*》|[【\[〔][^】\]〕]*[】\]〕]")
_NO_COUNT = re.compile(r"[第几数多小A-Za-z_/·-]$|\d[.:：,]$|\d年(?:\d{1,2}月)?$")
_NUMERAL = rf"[\d{HAN_DIGITS}十百千万亿]"
# 3000三天 and 1 500 would run together in one script; in 三、五百 and 三到五天 the first takes its unit from behind.
_NUMERAL_BEFORE = re.compile(rf"{_NUMERAL}\s*[、~～至到—–]?\s*$")
_NUMERAL_BEHIND = re.compile(rf"\s*{_NUMERAL}")
# What can follow a number that has no unit and is over: in 三千一直没还 its last digit begins another word.
_OVER = re.compile(r"$|[\s，。！？；：,.!?;:…）)”」』]|[的了吧呢吗啊呀嘛呗]|左右|上下|以[上下内]")
_MONEY = ("元", "块", "块钱", "万元", "亿元")
_SAME_DIGIT = str.maketrans("两〇", "二零")
_PER = {"百": "%", "千": "‰", "万": "‱"}
_SAME_UNIT = {"块": "元", "块钱": "元", "号": "日", "万元": "元", "亿元": "元", "分钱": "分"}
_PLACES = ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十"))
_DIGITS = "零一二三四五六七八九"


class Number(NamedTuple):
    """A number of a text: where it and its unit stand (offsets of the text), and its value with its unit, canonically.

    A date such as 2024-05-01 has three values, joined by spaces.
    """

    start: int
    end: int
    unit_end: int
    value: str
    match: re.Match[str]


def find_numbers(text: str) -> Iterator[Number]:
    """Every number of the text in order; a 一 that counts nothing (一直, 一下) is none.

    What has no value (三五天, 几个, 1.2.3) is found as it is spelt.
    """
    folded = fold_words(text)
    for match in _NUMBER.finditer(folded):
        behind = _UNIT_BEHIND.match(folded, match.end())
        if match["han"] in ("一", "两") and behind is None:
            continue
        value = _canonical(match, behind[1] if behind else "")
        yield Number(match.start(), match.end(), behind.end() if behind else match.end(), value, match)


def values(text: str) -> list[str]:
    """Canonical values of the numbers of a text, in order: `15000元`, `15%`, `3个月`."""
    return [value for found in find_numbers(text) for value in found.value.split()]


def han(value: int) -> str:
    """A whole number in Chinese numerals, as it is said: 一百零五, 两千, 一万五千."""
    if value == 0:
        return "零"
    spelt, zero = "", False
    for place, name in _PLACES:
        count, rest = divmod(value, place)
        if count:
            head = "两" if count == 2 and place >= 1000 else han(count)
            spelt += ("零" if zero else "") + head + name
            zero = False
        elif spelt and rest:
            zero = True
        value = rest
    if value:
        spelt += ("零" if zero else "") + _DIGITS[value]
    return spelt.removeprefix("一") if spelt.startswith("一十") else spelt


def respell(text: str, rng: random.Random | None = None) -> str:
    """The same numbers, written in another way, all that can be; without `rng`, counts before a unit alone.

    Ordinals (第3期), codes (A12), vague counts (三五天), titles in 《》 and idioms stay, and so does what can be read
    in two ways: 三千三个月 (3000, then 3个月), 八百一分不能少, 五百三十天.
    """
    if rng and _DATE.search(text) and rng.random() < 0.5:
        return _DATE.sub(lambda match: f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}", text)
    kept = [match.span() for match in _KEPT.finditer(text)]
    found = [n for n in find_numbers(text) if not any(start <= n.start < end for start, end in kept)]
    # All one way: a text that has both kinds of digits would otherwise only swap them.
    to_han = any(_other(text, n, rng, True) for n in found)
    pieces, behind = [], 0
    for n in found:
        pieces += [text[behind : n.start], _other(text, n, rng, to_han) or text[n.start : n.end]]
        behind = n.end
    return "".join((*pieces, text[behind:]))


def _other(text: str, found: Number, rng: random.Random | None, to_han: bool) -> str:
    """Another spelling of one number, "" where it must stay."""
    match = found.match
    before = text[max(found.start - 5, 0) : found.start]
    if _NO_COUNT.search(before) or text[found.end : found.end + 1] in tuple("几多来余"):
        return ""
    if _NUMERAL_BEFORE.search(before) or _NUMERAL_BEHIND.match(text, found.end):
        return ""
    behind = _UNIT_BEHIND.match(fold_words(text), match.end())
    unit = behind[1] if behind else ""
    over = _OVER.match(text, found.end) is not None
    if match["per"]:
        return _share_to_arabic(match["parts"], over) if rng and match["per"] == "百" and not to_han else ""
    if match["arabic"]:
        return _arabic_to_han(match, unit, over, rng) if to_han else ""
    if match["han"] and not to_han:
        return _han_to_arabic(match["han"], unit, over, rng)
    return ""


def _arabic_to_han(match: re.Match[str], unit: str, over: bool, rng: random.Random | None) -> str:
    digits = match["arabic"].replace(",", "")
    if match["sign"]:
        parts = _decimal_han(digits) if rng and match["sign"] == "%" and _is_decimal(digits) else ""
        return f"百分之{parts}" if parts and (over or len(parts) == 1) else ""
    if not unit or not digits.isdigit() or digits.startswith("0") or len(digits) > 9:
        return ""
    value = int(digits)
    if unit in ("号", "日", "月") and value > 31:
        return ""  # 工号 8335号
    if len(digits) == 4 and unit == "年":
        return ""  # a year
    if rng and value >= 10_000 and value % 1000 == 0 and unit in ("元", "块", "块钱") and rng.random() < 0.5:
        return f"{value / 10_000:g}万"
    if value >= 10_000 and (rng is None or value % 100):
        return ""  # nobody writes 17,092 in characters
    if value == 2 and unit not in ("号", "日", "月", "年"):
        return "两"
    spelt = han(value)
    return spelt if unit in _MONEY or not _divides(spelt) else ""


def _share_to_arabic(parts: str, over: bool) -> str:
    """百分之十五 as 15%; not in 百分之十五天后, which may be ten per cent and five days."""
    whole, point, _ = parts.partition("点")
    sure = over or (len(parts) == 1 and not point)
    return f"{_plain(parts)}%" if sure and _as_it_is_said(whole) else ""


def _han_to_arabic(numeral: str, unit: str, over: bool, rng: random.Random | None) -> str:
    if re.search("[壹贰叁肆伍陆柒捌玖拾佰仟]", numeral):
        return ""  # the capital numerals of a document guard an amount: nobody writes half of them in digits
    if numeral in ("一", "两"):
        # 过两天, 那一笔, 一年到头: only a count of months or instalments is one for sure.
        return _plain(numeral) if unit in ("个月", "期") else ""
    counted = len(numeral) > 1 and numeral[0] in HAN_DIGITS and re.search("[十百千万]", numeral[1:])
    if not unit and not (rng and counted):
        return ""
    if unit in ("个", "点", "时", "次", "人", "名", "条", "家", "件", "种", "分钱", "成", "折"):
        return ""  # 一百个不愿意, 三点: idiom, or the time
    if len(numeral) > 1 and all(char in HAN_DIGITS for char in numeral):
        return _plain(numeral) if len(numeral) == 4 and unit == "年" else ""  # 三五天
    if unit:
        sure = _as_it_is_said(numeral) and (unit in _MONEY or not _divides(numeral))
    elif over:
        sure = _as_it_is_said(numeral) or _is_short(numeral)
    else:
        sure = _as_it_is_said(numeral) and not re.search(f"[十百千万亿][{HAN_DIGITS}十]", numeral)
    return _plain(numeral) if sure else ""


def _as_it_is_said(numeral: str) -> bool:
    """Whether it is one whole number in its usual form: 一万零二十, not 一万二十, nor 九点三万 (at nine, 30,000)."""
    plain = _plain(numeral)
    return plain.isdigit() and han(int(plain)).translate(_SAME_DIGIT) == numeral.translate(_SAME_DIGIT)


def _is_short(numeral: str) -> bool:
    """Whether its last digit counts the next place: 八百一 is 810, 三万二 is 32,000."""
    return (
        numeral[-1] in HAN_DIGITS
        and numeral[-1] not in "零〇两"
        and numeral[-2] in "百千万亿"
        and _as_it_is_said(numeral[:-1])
    )


def _divides(numeral: str) -> bool:
    """Whether an amount of 100 or more and a count may stand in it: 五百三十天 may be 500, and thirty days later."""
    return re.search("[百千万亿](?:[^零〇百千万亿]|.*十)", numeral) is not None


def _plain(numeral: str) -> str:
    try:
        return f"{number(numeral).normalize():f}"
    except (ValueError, ArithmeticError):
        return ""


def _is_decimal(digits: str) -> bool:
    return digits.count(".") < 2 and digits.replace(".", "").isdigit() and len(digits) < 6


def _decimal_han(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    return han(int(whole)) + ("点" + "".join(_DIGITS[int(digit)] for digit in fraction) if fraction else "")


def _canonical(match: re.Match[str], unit: str) -> str:
    if match["iso"]:
        year, month, day = match["iso"].split("-")
        return f"{int(year)}年 {int(month)}月 {int(day)}日"
    unit = _SAME_UNIT.get(unit, unit)
    if match["per"]:
        return f"{_value(match['parts'])}{_PER[match['per']]}"
    if match["vague"]:
        return match["vague"] + unit
    spelt = match["arabic"] or match["han"]
    if match["han"] and len(spelt) == 2 and all(char in HAN_DIGITS for char in spelt):
        return spelt + unit  # 三五天 is not 35 days
    return f"{_value(spelt)}{match['sign'] or ''}{unit}"


def _value(numeral: str) -> str:
    try:
        value: Decimal = number(numeral)
    except (ValueError, ArithmeticError):
        return numeral
    return f"{value.normalize():f}"
