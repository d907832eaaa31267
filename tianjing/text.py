"""Text that people and recognisers type: width folding that keeps offsets, and Chinese numbers.

Everything that compares numbers (citations, stated amounts) or searches text uses these, so that ３０, 三十
and 30 are one number everywhere.
"""

from __future__ import annotations

import functools
import re
import unicodedata

# Chinese prose keeps its own punctuation; NFKC would turn ，：？ into ASCII.
_KEEP = frozenset("，。！？；：（）、“”‘’《》〈〉【】〔〕…—～·")

DIGITS = {
    c: d
    for d, chars in enumerate(("零〇", "一壹", "二两贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"))
    for c in chars
}
_SMALL_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE_UNITS = {"万": 10_000, "亿": 100_000_000}

UNITS = (
    "个工作日|个自然日|个月|个小时|小时|工作日|自然日|分钟|万元|亿元|周年|星期|基点|元|块|期|天|日|月|年|周|倍|次(?!性)|"
    "人|名|项|份|笔|家|岁|件|种|条|点|时|成|折|秒"
)
# The Chinese digits as the body of a character class.
HAN_DIGITS = "".join(DIGITS)
_HAN_NUMBER = f"[{HAN_DIGITS}十拾][{HAN_DIGITS}十拾百佰千仟万亿]*(?:点[{HAN_DIGITS}]+)?"
_PER_CENT = re.compile(rf"(百|千)分之({_HAN_NUMBER}|\d+(?:\.\d+)?)")
_HAN_WITH_UNIT = re.compile(rf"({_HAN_NUMBER})(?={UNITS})")
_ARABIC = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?")
_IDIOM = re.compile(
    rf"(?<![{HAN_DIGITS}十百千万第])第?[一二两](?:次|人|家|个(?![月工小自])|件|条|点|种|天|日|名|份|项|时)"
)
_MYRIADS = re.compile(r"(\d+(?:\.\d+)?)\s*(万|亿)")


@functools.lru_cache(maxsize=16384)
def _fold_char(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def fold(text: str) -> str:
    """NFKC character by character, same length as `text`: offsets in one are offsets in the other."""
    return text if text.isascii() else "".join(map(_fold_char, text))


def _narrow(text: str) -> str:
    """NFKC for all but Chinese punctuation."""
    return "".join(c if c in _KEEP else unicodedata.normalize("NFKC", c) for c in text)


def tidy(text: str) -> str:
    """NFKC for letters, digits and spaces; Chinese punctuation stays; no invisible characters, single spaces."""
    visible = "".join(c for c in _narrow(text) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))
    return re.sub(r"[ \t　]+", " ", visible).strip()


def compact(text: str) -> str:
    """NFKC without any white space: the form in which quotations are compared."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def chinese_number(text: str) -> float:
    """Value of a Chinese numeral such as 三十六, 一百零五, 二〇二四 or 三点五.

    Raises:
        ValueError: it is no numeral.
    """
    whole, _, fraction = text.partition("点")
    if not whole or (fraction and not all(c in DIGITS for c in fraction)):
        raise ValueError(f"not a Chinese numeral: {text}")
    if all(c in DIGITS for c in whole):
        value = float(int("".join(str(DIGITS[c]) for c in whole)))
    else:
        value = float(_positional(whole))
    return value + (float("0." + "".join(str(DIGITS[c]) for c in fraction)) if fraction else 0.0)


def _positional(text: str) -> int:
    total = section = digit = 0
    for char in text:
        if char in DIGITS:
            digit = DIGITS[char]
        elif char in _SMALL_UNITS:
            section += (digit or 1) * _SMALL_UNITS[char]
            digit = 0
        elif char in _LARGE_UNITS:
            total = (total + section + digit) * _LARGE_UNITS[char]
            section = digit = 0
        else:
            raise ValueError(f"not a Chinese numeral: {text}")
    return total + section + digit


def arabic(text: str) -> str:
    """Chinese numerals that carry a unit, and 百分之…, written with digits; 一般 or 三方 stay as they are."""

    def value(part: str) -> str:
        try:
            return f"{chinese_number(part):.10g}"
        except ValueError:
            return part

    text = _PER_CENT.sub(lambda m: value(m[2]) + ("%" if m[1] == "百" else "‰"), _narrow(text))
    return _HAN_WITH_UNIT.sub(lambda m: value(m[1]), text)


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
