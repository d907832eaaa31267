"""Digits as people write and say them: 138 1234 5678, 幺三八…, １３８, 三个八, with fillers and a read-back in between.

Digit runs are delimited by digits, never by `\\b`: a Han character is a word character, so `\\b` finds nothing in
“电话13812345678你记一下”.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Final

from tianjing.privacy.findings import View

DIGITS: Final[dict[str, str]] = {
    char: str(value)
    for value, chars in enumerate(
        ("0零〇洞", "1一幺壹", "2二两贰", "3三叁", "4四肆", "5五伍", "6六陆", "7七拐柒", "8八捌", "9九勾玖")
    )
    for char in chars
}
ANY_DIGIT: Final[str] = "".join(DIGITS)
# Those of `tianjing.text` and the ones of speech alone: 洞幺拐勾.
SPOKEN_DIGITS: Final[str] = "".join(char for char in DIGITS if not char.isascii())
_REPEATS: Final = {"两": 2, "俩": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6}
# Zero-width and direction marks separate too: they are how a number is hidden from a filter.
_INVISIBLE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff\xad"
SEPARATORS: Final[frozenset[str]] = frozenset(f" \t\n\r\xa0-—–−‐_·•.、,，/()嗯呃啊哦额{_INVISIBLE}")
_MAX_SEPARATORS: Final = 3
# What stands between the pieces of a number that is read out and repeated: “一三八……对，后面是……”, “最后四位是”,
# “等我看看啊”. Longer words first: 等一下 before 一, which would be a digit.
_COUNT: Final = "[一二两三四五六七八九十0-9]{1,2}"
_BRIDGE_WORDS: Final = (
    rf"(?:最后|最前|中间|前面|后面|后边|剩下|接下来|末尾|尾巴|头|末|尾|前|中|后)?(?:这|那)?的?{_COUNT}位(?:数字|数)?"
    r"|(?:出生日期|出生年月日?|出生|生日|年份|月日|区号|地区码?|校验码?|顺序码?|尾号|号码)(?:那一?段|这一?段|部分)?"
    rf"|(?:下|后|前)一[段组节]|第{_COUNT}[段组节]"
    r"|(?:您|你|我|先)?(?:稍等|等等|等会儿?|别急|慢点儿?)(?:一下|下)?|(?:您|你|先)?等(?:一下|下|一会儿?)"
    r"|(?:等|让)?我(?:再|先)?(?:看|翻|找|想|数|瞅|瞧|核对|确认)(?:一下|一眼|看|翻|找|想|下)"
    r"|(?:您|你)?(?:继续|接着)(?:说|念|报)?|(?:您|你|请)(?:请)?(?:说|讲|记|听)(?:一下|好|着)?|(?:记|听)(?:好|住|下|清楚|清|到)了?(?:吗|没)?"
    r"|没错|可以|收到|明白|知道|清楚|还有|剩下|尾巴|末尾|往后|往下|接下来|后面|后边|前面|下面|中间|最后|最前|完了|后头"
    r"|对对|对的|是的|好的|然后|接着|再来|再然后|那个|这个|就是|应该|嗯嗯|跟着"
    r"|[对嗯是好呃啊哦额哈呢吧的了再后前中末尾呀嘛唉哎诶哟]|(?<=[是位段号]):"
)
_PAUSES: Final = r"，。、…,.~～!！?？\-—\x20"
_BRIDGE: Final = re.compile(rf"(?:{_BRIDGE_WORDS}|[{_PAUSES}])+")
BRIDGE_CHARS: Final[frozenset[str]] = frozenset(re.sub(r"[^\u4e00-\u9fff]", "", _BRIDGE_WORDS)) - frozenset(
    DIGITS
) | frozenset(_PAUSES.replace("\\-", "-").replace("\\x20", " ") + ":")
_BRIDGE_RUN: Final = re.compile(f"[{re.escape(''.join(sorted(BRIDGE_CHARS | frozenset(DIGITS))))}]+")
_MAX_BRIDGE_CHARS: Final = 20
# Any talk between pauses: only numbers with check digits may go on behind it.
_LOOSE: Final = re.compile(
    rf"[，。、…,.!?\s—-]{{1,4}}(?:一[下会眼点]|[^\W\d_A-Za-z{ANY_DIGIT}]|[，。、…,.!?:\s—-]){{1,18}}?(?=[{ANY_DIGIT}]{{2}})"
)
_LOOSE_RUN: Final = re.compile(r"(?:[^\W_A-Za-z]|[，。、…,.!?:\s—-])+")
_MAX_LOOSE_CHARS: Final = 24
_LOOSE_OPENS: Final = frozenset("，。、…,.!? —-")
_NORTH: Final = frozenset(("11", "12", "13", "14", "15"))  # the area codes that begin as a mobile number does
_ID_LETTERS: Final = ("X", "x", "叉", "艾克斯")
# Longest number looked for, plus what must be seen to know that it ends.
_WINDOW_DIGITS: Final = 21

# Digits and what may stand between them.
_DIGIT_RUN: Final = re.compile(rf"[{re.escape(''.join(sorted(SEPARATORS)))}{ANY_DIGIT}]+")
_LONGEST_RUN_CHARS: Final = _WINDOW_DIGITS * (_MAX_SEPARATORS + 1)
# What may stand between two digits, as the body of a character class, and how much of it: separators may stand before a
# bridge as well as behind it. It holds no digit and no letter, so it gives nothing back.
GAP: Final[str] = re.escape("".join(sorted(SEPARATORS | BRIDGE_CHARS)))
GAPS: Final[str] = f"[{GAP}]{{0,{_MAX_BRIDGE_CHARS + 2 * _MAX_SEPARATORS}}}+"
# Necessary for five or more digits to begin here: used where the whole text is at hand, so it need not be sufficient.
HINT: Final[str] = (
    rf"[{ANY_DIGIT}](?<![0-9][0-9])"
    rf"(?=(?:{GAPS}[{ANY_DIGIT}]){{4}}|(?:{GAPS}[{ANY_DIGIT}]){{0,3}}个[{ANY_DIGIT}])"
)
# The same without look-around, wider: see `batch`.
LIKELY: Final[str] = rf"[{ANY_DIGIT}](?:[{GAP}]*[{ANY_DIGIT}]){{4}}|[{ANY_DIGIT}]个[{ANY_DIGIT}]"

# What the second character of a number can be; 个 stands in 三个八.
SECOND: Final = frozenset(DIGITS) | SEPARATORS | frozenset("个")


class Window:
    """Digits from one place on, where each ends in the text, and whether a number may end after it.

    Behind the first `firm` digits comes talk that only a number with a check digit may bridge. A number may not end
    between two adjacent written digits: 13812345678 inside an order number is no mobile number.
    """

    __slots__ = ("cuts", "digits", "ends", "firm")

    def __init__(self, digits: str, ends: list[int], cuts: list[bool], firm: int):
        self.digits = digits
        self.ends = ends
        self.cuts = cuts
        self.firm = firm


_LETTERS: Final = frozenset(string.ascii_letters)
_NO_DIGITS: Final = Window("", [], [], 0)


def read_digits(view: View, start: int, least: int = 0, *, letters: bool = False) -> Window:
    """Up to 21 digits that begin at `start`, none if there are fewer than `least`; with `letters` also ASCII letters,
    as capitals."""
    text = view.text
    run = _DIGIT_RUN.match(text, start, start + _LONGEST_RUN_CHARS)
    end = run.end() if run else start
    if not view.closed and end == len(text) and text[start] in DIGITS:
        view.wait(start + _LONGEST_RUN_CHARS, _DIGIT_RUN)
        return _NO_DIGITS
    window = _window_of(text, start, end)
    if window.digits and not _goes_on(view, window.ends[-1], window.digits, letters):
        return window if len(window.digits) >= least else _NO_DIGITS
    digits: list[str] = []
    ends: list[int] = []
    cuts: list[bool] = []
    index, gap, written, length, firm = start, 0, False, len(view.text), _WINDOW_DIGITS
    while len(digits) < _WINDOW_DIGITS:
        char = text[index] if index < length else view.at(index)
        digit, width, times = DIGITS.get(char, ""), 1, 1
        if (
            not letters
            and char in _REPEATS
            and view.at(index + 1) == "个"
            and (repeated := DIGITS.get(view.at(index + 2), ""))
        ):
            digit, width, times = repeated, 3, _REPEATS[char]
        elif not digit and len(digits) == 17 and char and (spelled := _id_letter(view, index, char)):
            digit, width = "X", spelled
        if letters and not digit and char.isascii() and char.isalpha():
            digit = char.upper()
        if not digit:
            if char in SEPARATORS and gap < _MAX_SEPARATORS:
                gap += 1
                index += 1
                continue
            resumed = _bridge(view, ends[-1]) if len(digits) > 1 else 0
            if not resumed and not letters and _has_check_digit(digits):
                resumed = _loose(view, ends[-1])
                firm = min(firm, len(digits)) if resumed else firm
            if not resumed:
                break
            index, gap = resumed, gap + 1
            continue
        if digits:
            cuts[-1] = bool(gap) or not (written and char.isascii())
        index += width
        for _ in range(times):
            digits.append(digit)
            ends.append(index)
            cuts.append(False)
        gap, written = 0, char.isascii()
    if cuts and len(digits) < _WINDOW_DIGITS:
        cuts[-1] = True
    return Window("".join(digits), ends, cuts, firm)


def _window_of(text: str, start: int, stop: int) -> Window:
    """The window of the digits from `start` on, at most 20, with no more than separators between them."""
    digits: list[str] = []
    ends: list[int] = []
    cuts: list[bool] = []
    gap, was_ascii = 0, False
    for index in range(start, stop):
        char = text[index]
        digit = DIGITS.get(char)
        if digit is None:
            gap += 1
            if gap > _MAX_SEPARATORS:
                break
            continue
        is_ascii = char.isascii()
        if cuts:
            cuts[-1] = gap > 0 or not (was_ascii and is_ascii)
        digits.append(digit)
        ends.append(index + 1)
        cuts.append(True)
        gap, was_ascii = 0, is_ascii
        if len(digits) == _WINDOW_DIGITS - 1:
            break
    return Window("".join(digits), ends, cuts, len(digits))


def _goes_on(view: View, end: int, digits: str, letters: bool) -> bool:
    """Whether a run of digits that ends at `end` is only the beginning of a number."""
    index = end
    while index < end + _MAX_SEPARATORS and (char := view.at(index)) and char in SEPARATORS:
        index += 1
    char = view.at(index)
    if char and (char == "个" or char in DIGITS or (char in _LETTERS and letters)):
        return True
    if len(digits) == 17 and char and _id_letter(view, index, char):
        return True
    if len(digits) > 1 and _bridge(view, end):
        return True
    return not letters and _has_check_digit(digits) and bool(_loose(view, end))


def _has_check_digit(digits: Sequence[str]) -> bool:
    """Whether these can be the first digits of a resident id or of a bank card: 62…, an area code."""
    return 6 <= len(digits) < 19 and digits[0] != "0" and (digits[0] != "1" or "".join(digits[:2]) in _NORTH)


def _loose(view: View, start: int) -> int:
    """Index of the digit with which a number goes on behind any short talk between pauses, or 0."""
    if not (char := view.at(start)) or char not in _LOOSE_OPENS:
        return 0
    match = _LOOSE.match(view.run(start, _LOOSE_RUN, _MAX_LOOSE_CHARS))
    return start + match.end() if match else 0


def _id_letter(view: View, index: int, char: str) -> int:
    return next((len(word) for word in _ID_LETTERS if char == word[0] and view.startswith(word, index)), 0)


def _bridge(view: View, start: int) -> int:
    """Index of the digit with which a read-back goes on, or 0."""
    if not (char := view.at(start)) or char not in BRIDGE_CHARS:
        return 0
    run = view.run(start, _BRIDGE_RUN, _MAX_BRIDGE_CHARS + 1)
    match = _BRIDGE.match(run)
    if match is None or match.end() == len(run) or run[match.end()] not in DIGITS:
        return 0
    return start + match.end()


def plain_digits(text: str) -> str:
    """The digits of a folded value that holds nothing but digits and separators (and a last X); "" for any other."""
    if text.isascii() and text.isdigit():
        return text
    read = "".join(DIGITS.get(char, "X" if char in "Xx" else "" if char in SEPARATORS else "?") for char in text)
    return read if re.fullmatch(r"\d+X?", read) else ""
