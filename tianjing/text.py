"""Text that people and recognisers type: width folding that keeps offsets, and Chinese numbers.

Everything that compares numbers (citations, stated amounts) or searches text uses these, so that ３０, 三十
and 30 are one number everywhere.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

# Chinese prose keeps its own punctuation; NFKC would turn ，：？ into ASCII.
KEPT_PUNCTUATION = frozenset("，。！？；：（）、“”‘’《》〈〉【】〔〕…—～·")

DIGITS = {
    c: d
    for d, chars in enumerate(("零〇", "一壹", "二两贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"))
    for c in chars
}
_SMALL_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE_UNITS = {"万": 10_000, "萬": 10_000, "亿": 100_000_000}
# 5w and 3k are typed in chats.
_LATIN_UNITS = {"w": "万", "k": "千"}

UNITS = (
    "个工作日|个自然日|个月|个小时|小时|工作日|自然日|分钟|万元|亿元|周年|星期|基点|元|块|期|天|日|月|年|周|倍|次(?!性)|"
    "人|名|项|份|笔|家|岁|件|种|条|点|时|成|折|秒"
)
# The Chinese digits as the body of a character class.
HAN_DIGITS = "".join(DIGITS)
_HAN_NUMBER = f"[{HAN_DIGITS}十拾][{HAN_DIGITS}十拾百佰千仟万亿]*(?:点[{HAN_DIGITS}]+)?"
_PER_CENT = re.compile(rf"(百|千)分之({_HAN_NUMBER}|\d+(?:\.\d+)?)")
_HAN_WITH_UNIT = re.compile(rf"({_HAN_NUMBER})(?={UNITS})")
# In 还剩三千三个月还完 the last digit counts the months; only money is counted in short (三千三块).
_SHORT = re.compile(r"[百佰千仟万萬亿][^零〇十拾百佰千仟万萬亿]$")
_MONEY = re.compile("元|块|万元|亿元|人民币")
_ARABIC = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?")
_IDIOM = re.compile(
    rf"(?<![{HAN_DIGITS}十百千万第])第?[一二两](?:次|人|家|个(?![月工小自])|件|条|点|种|天|日|名|份|项|时)"
)
_MYRIADS = re.compile(r"(\d+(?:\.\d+)?)\s*(万|亿)")

# What `fold_words` may change: neither ASCII, nor a Chinese character, nor Chinese punctuation.
_FOLDABLE = re.compile(rf"[^\x00-\x7f\u4e00-\u9fff{''.join(sorted(KEPT_PUNCTUATION))}]+")


@functools.lru_cache(maxsize=16384)
def _fold_char(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def fold(text: str) -> str:
    """NFKC character by character, same length as `text`: offsets in one are offsets in the other."""
    return text if text.isascii() else "".join(map(_fold_char, text))


def fold_words(text: str) -> str:
    """`fold` for all but Chinese punctuation, so that ， between two numbers is no thousands separator."""
    return text if text.isascii() else _FOLDABLE.sub(lambda run: fold(run[0]), text)


def _narrow(text: str) -> str:
    """NFKC for all but Chinese punctuation."""
    return "".join(c if c in KEPT_PUNCTUATION else unicodedata.normalize("NFKC", c) for c in text)


def tidy(text: str) -> str:
    """NFKC for letters, digits and spaces; Chinese punctuation stays; no invisible characters, single spaces."""
    visible = "".join(c for c in _narrow(text) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))
    return re.sub(r"[ \t　]+", " ", visible).strip()


def compact(text: str) -> str:
    """NFKC without any white space: the form in which quotations are compared."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


_NUMBER_PART = re.compile(rf"\d+(?:\.\d+)?|[{HAN_DIGITS}]+点[{HAN_DIGITS}]+|.", re.S)


def chinese_number(text: str) -> float:
    """Value of a Chinese numeral such as 三十六, 一百零五, 二〇二四 or 三点五.

    Raises:
        ValueError: it is no numeral.
    """
    if re.search(r"[\dwk.,]", text):
        raise ValueError(f"not a Chinese numeral: {text}")
    return float(number(text))


def number(text: str) -> Decimal:
    """Exact value of a number as people write it: 1,066.19, 三万二 (32000), 一百零五, 3万2, 1.2万, 5w, 三点五万.

    Raises:
        ValueError: it is no number.
    """
    text = text.replace(",", "").lower()
    if text and all(c in DIGITS for c in text):
        return Decimal("".join(str(DIGITS[c]) for c in text))
    whole, point, fraction = text.partition("点")
    if point and fraction and all(c in DIGITS for c in fraction) and not all(c in DIGITS for c in whole):
        return _positional(whole) + Decimal("0." + "".join(str(DIGITS[c]) for c in fraction))
    return _positional(text)


def _positional(text: str) -> Decimal:
    total = section = Decimal(0)
    digit: Decimal | None = None
    unit = 0  # that the last digit stands behind directly: the 二 of 三万二 counts thousands
    for part in _NUMBER_PART.findall(text):
        part = _LATIN_UNITS.get(part, part)
        if part in _SMALL_UNITS:
            unit = _SMALL_UNITS[part]
            section += (1 if digit is None else digit) * unit
            digit = None
        elif part in _LARGE_UNITS and (total or section or digit):
            unit, section, digit = _LARGE_UNITS[part], section + (digit or 0), None
            total, section = (total + section) * unit if unit > 10_000 else total + section * unit, Decimal(0)
        elif digit:
            raise ValueError(f"not a number: {text}")
        else:
            digit = _digits(part, text)
            unit = 0 if digit == 0 or digit >= 10 or not part.isalnum() else unit
    if digit is None and not total and not section:
        raise ValueError(f"not a number: {text}")
    return total + section + (digit or 0) * (unit // 10 if unit else 1)


def _digits(part: str, text: str) -> Decimal:
    if part[0].isascii() and part[0].isdigit():
        return Decimal(part)
    whole, _, fraction = part.partition("点")
    if not all(c in DIGITS for c in whole + fraction):
        raise ValueError(f"not a number: {text}")
    return Decimal("".join(str(DIGITS[c]) for c in whole) + "." + "".join(str(DIGITS[c]) for c in fraction))


def arabic(text: str) -> str:
    """Chinese numerals that carry a unit, and 百分之…, written with digits; 一般 or 三方 stay as they are."""

    def value(part: str) -> str:
        try:
            return f"{chinese_number(part):.10g}"
        except ValueError:
            return part

    text = _PER_CENT.sub(lambda m: value(m[2]) + ("%" if m[1] == "百" else "‰"), _narrow(text))
    return _HAN_WITH_UNIT.sub(lambda m: m[1][: _amount_before(m)] + value(m[1][_amount_before(m) :]), text)


def _amount_before(match: re.Match[str]) -> int:
    """How many characters of a numeral with its unit are an amount that stands before it: of 三千三(个月) two."""
    short = _SHORT.search(match[1]) and not _MONEY.match(match.string, match.end())
    return len(match[1]) - 1 if short else 0


def han_quantities(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, the same with digits) of each Chinese numeral that carries a unit, and of 百分之…, in order.

    Idioms (一次, 两人, 第二天) are not among them, nor is what mixes both kinds of digits.
    """
    idioms = [match.span() for match in _IDIOM.finditer(text)]
    found = sorted((*_PER_CENT.finditer(text), *_HAN_WITH_UNIT.finditer(text)), key=lambda match: match.start())
    behind = 0
    for match in found:
        share = match.re is _PER_CENT
        start, end = match.start() + (0 if share else _amount_before(match)), match.end()
        mixed = text[start - 1 : start].isdigit() or text[start - 1 : start] in tuple(".点")
        if start < behind or mixed or any(begin <= start < stop for begin, stop in idioms):
            continue
        behind = end
        try:
            value = number(match[2] if share else text[start:end])
        except ValueError:
            continue
        sign = "" if not share else "%" if match[1] == "百" else "‰"
        yield start, end, f"{value.normalize():f}{sign}"


def numbers(text: str, *, claims: bool = False) -> frozenset[str]:
    """Every number that `text` states, canonically: 12, 0.05%, 30000 (also from 三万元 and 3万元).

    With `claims`, 一次说清, 两人 or 第二天 do not count: in speech they seldom claim a quantity.
    """
    if claims:
        text = _IDIOM.sub("", text)
    text = _ARABIC.sub(lambda m: m[0].replace(",", ""), arabic(text))
    text = _MYRIADS.sub(lambda m: f"{float(m[1]) * _LARGE_UNITS[m[2]]:.12g}", text)
    found = re.finditer(r"\d+(?:\.\d+)?[%‰]?", text)
    return frozenset(f"{float(m[0].rstrip('%‰')):.12g}{m[0][-1] if m[0][-1] in '%‰' else ''}" for m in found)
