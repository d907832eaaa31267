"""Numbers that name a person, written or spoken: 138 1234 5678, 幺三八…, １３８, with fillers between the digits.

Digit runs are delimited by digits, never by `\\b`: a Han character is a word character, so `\\b` finds nothing in
“电话13812345678你记一下”.
"""

from __future__ import annotations

from collections.abc import Mapping

from tianjing.privacy.checks import is_landline, is_luhn, is_mobile, is_resident_id
from tianjing.privacy.findings import Match, View

DIGITS: dict[str, str] = {
    char: str(value)
    for value, chars in enumerate(
        ("0零〇洞", "1一幺壹", "2二两贰", "3三叁", "4四肆", "5五伍", "6六陆", "7七拐柒", "8八捌", "9九勾玖")
    )
    for char in chars
}
_REPEATS = {"两": 2, "俩": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6}
_SEPARATORS = frozenset(" \t-—–−_·、,，嗯呃啊哦")
_MAX_SEPARATORS = 3
_ID_LETTER = frozenset("Xx叉")
# Longest number looked for, plus what must be seen to know that it ends.
_WINDOW_DIGITS = 21
_LONGEST, _SHORTEST = 19, 7

_CONTEXT_CHARS = 14
_CARD_WORDS = ("卡号", "银行卡", "储蓄卡", "信用卡", "账号", "帐号", "账户", "工资卡")
_ID_WORDS = ("身份证", "证件号")
_PHONE_WORDS = ("电话", "座机", "号码", "固话")
_MONEY = "元块"
_QUANTITY = "元块期天日号月年岁笔次人个万千百亿件%％‰"


def match_number(view: View, start: int, known: Mapping[str, str]) -> Match | None:
    """The number that begins at `start`, if it names a person.

    Args:
        known: canonical digits of the customer's own numbers -> kind.
    """
    if not _may_start(view, start):
        return None
    digits, ends, cuts = _window(view, start)
    context = view.before(start, _CONTEXT_CHARS)
    for length in range(min(len(digits), _LONGEST), _SHORTEST - 1, -1):
        if cuts[length - 1]:
            kind = known.get(digits[:length]) or _kind(digits[:length], view, ends[length - 1], context)
            if kind:
                value = digits[:length][-11:] if kind == "mobile" else digits[:length]
                return Match(kind, ends[length - 1], value)
    return None


def _may_start(view: View, start: int) -> bool:
    """Not inside a run of written digits, nor behind a decimal point. Spoken digits may start anywhere."""
    before = view.before(start, 2)
    if not before:
        return True
    if before[-1] == "." and before[:1].isdigit() and len(before) == 2:
        return False
    return not (before[-1].isascii() and before[-1].isdigit() and view.at(start).isascii())


def _window(view: View, start: int) -> tuple[str, list[int], list[int | bool]]:
    """Digits from `start` on, where each ends in the text, and whether a number may end after it.

    A number may not end between two adjacent written digits: 13812345678 inside an order number is no mobile number.
    """
    digits: list[str] = []
    ends: list[int] = []
    cuts: list[int | bool] = []
    index, gap, written = start, 0, False
    while len(digits) < _WINDOW_DIGITS:
        char = view.at(index)
        digit, width, times = _digit(view, index, char, len(digits))
        if not digit:
            if char and char in _SEPARATORS and gap < _MAX_SEPARATORS:
                gap += 1
                index += 1
                continue
            break
        now_written = char.isascii()
        if digits:
            cuts[-1] = bool(gap) or not (written and now_written)
        digits.extend([digit] * times)
        index += width
        ends.extend([index] * times)
        cuts.extend([False] * times)
        gap, written = 0, now_written
    if len(digits) < _WINDOW_DIGITS and cuts:
        cuts[-1] = True
    return "".join(digits), ends, cuts


def _digit(view: View, index: int, char: str, count: int) -> tuple[str, int, int]:
    """(digit, characters used, repetitions) at `index`; 三个八 reads as 8, three times."""
    if count == 17 and char in _ID_LETTER and char:
        return "X", 1, 1
    if char in _REPEATS and view.at(index + 1) == "个":
        repeated = DIGITS.get(view.at(index + 2), "")
        if repeated:
            return repeated, 3, _REPEATS[char]
    return DIGITS.get(char, ""), 1, 1


def _kind(digits: str, view: View, end: int, context: str) -> str | None:
    length = len(digits)
    if length in (15, 18) and is_resident_id(digits, checksum=not any(word in context for word in _ID_WORDS)):
        return "id_card"
    if not digits.isdigit():
        return None
    if length >= 13 and not is_mobile(digits):
        named = any(word in context for word in _CARD_WORDS)
        if named and length >= 15:
            return "bank_card"
        is_card = is_luhn(digits) and (digits.startswith(("62", "4", "5")) or named)
        return "bank_card" if is_card and not _followed_by(view, end, _MONEY) else None
    if is_mobile(digits):
        return None if _followed_by(view, end, _MONEY) else "mobile"
    if is_landline(digits):
        return None if _followed_by(view, end, _QUANTITY) else "landline"
    if (
        length in (7, 8)
        and digits[0] in "2345678"
        and any(context.endswith(w) or w in context[-6:] for w in _PHONE_WORDS)
    ):
        return None if _followed_by(view, end, _QUANTITY) else "landline"
    return None


def _followed_by(view: View, end: int, units: str) -> bool:
    char = view.at(end)
    if char == " ":
        char = view.at(end + 1)
    return bool(char) and char in units
