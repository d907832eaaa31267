"""Where personal data may begin in a text of which more may come.

Two looks in tables tell most places apart: a character with the one before it says what could begin there, and with
the one behind it whether that still can. What is left is asked of patterns that hold as long as the text so far
agrees with them. Each of these is necessary, as the hints of a closed text are, so that both find the same.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from typing import Final

from tianjing.privacy import addresses, codes, dates, digits, employers, gazetteer, names
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS
from tianjing.privacy.hints import ADDRESS, CODE, DATE, EMPLOYER, NAME, NUMBER
from tianjing.privacy.surnames import COMPOUND

# Reasons by which a recogniser is asked, where it has several: an address by the name of a place; a name with nothing
# in front that introduces one, or with something that lets it begin with any character.
_PLACE: Final = 64
_CALLED: Final = 128
_ANY_NAME: Final = 256
# No bit of a recogniser: which of them to ask, the next characters say.
UNSEEN: Final = 512

_CHARS: Final = frozenset(digits.DIGITS) | codes.STARTS | dates.STARTS | names.STARTS | gazetteer.FIRST_CHARS
_BOUNDARIES: Final = "".join(sorted(set(addresses.BOUNDARY_CHARS + employers.BOUNDARY_CHARS + names.BOUNDARY_CHARS)))
# Nothing that a boundary opens begins with these.
_NEVER_FIRST: Final = "".join(sorted(addresses.NEVER_FIRST & employers.NEVER_FIRST & names.NEVER_FIRST))
# Inside a written word or number nothing begins.
_OPEN_STARTS: Final = re.compile(
    rf"(?<![A-Za-z0-9_-])[A-Za-z]|(?<![0-9])[0-9]|[{''.join(sorted(char for char in _CHARS if not char.isascii()))}]"
    rf"|(?<![^\W_{_BOUNDARIES}])[^\W_{_NEVER_FIRST}]",
)
_BITS_OF_CHAR: Final[dict[str, int]] = {}
for _bit, _starts in (
    (NUMBER, digits.DIGITS),
    (DATE, (*digits.DIGITS, *dates.STARTS)),
    (CODE, (*string.ascii_letters, *digits.DIGITS, *codes.STARTS)),
    (_CALLED, names.STARTS),
    (_PLACE, gazetteer.FIRST_CHARS),
):
    for _char in _starts:
        _BITS_OF_CHAR[_char] = _BITS_OF_CHAR.get(_char, 0) | _bit

_DIGIT: Final = f"[{''.join(digits.DIGITS)}]"
# What the end of the text (\Z) cuts short may still come true.
_OPEN_NUMBER: Final = re.compile(
    rf".(?:(?P<enough>(?:{digits.GAPS}{_DIGIT}){{4}}|(?:{digits.GAPS}{_DIGIT}){{0,3}}个{_DIGIT})"
    rf"|(?:{digits.GAPS}{_DIGIT}){{0,3}}(?:个\Z|{digits.GAPS}\Z))",
    re.S,
)
_OPEN_EMAIL: Final = re.compile(
    rf".{codes.LOCAL_PART}{{0,63}}+ ?(?:@|艾特|圈|小老|[aA][tT] |[aA]?[tT]?\Z|[艾小]\Z)", re.S
)
_OPEN_WORD: Final = re.compile(rf"[A-Za-z]{codes.SPOKEN_SYMBOL}{{0,4}}(?:{codes.SPOKEN_SYMBOL}|\Z)")
_OPEN_DATE: Final = re.compile(
    rf".(?=[十 {_DIGIT[1:]}{{0,3}}(?:[年月]|\Z)|[0-9]{{3}}[-/. ]|[0-9]{{7}}|[0-9]{{0,6}}\Z)", re.S
)

# No code begins with so many.
_FOUR_LETTERS: Final = re.compile("[A-Za-z]{4}")
_NEXT_IN_DATE: Final = frozenset(digits.DIGITS) | frozenset("十年月 -/.")
_NEXT_IN_CODE: Final = re.compile(rf"{codes.LOCAL_PART}|[@艾圈小{digits.GAP}]")
# An honorific or a title begins with one of these.
_HONOURS: Final = frozenset("先女小太") | frozenset(names.FIRST_OF_TITLES)
# Two characters -> bits by the first of them, and bits that the second leaves. A text may hold any two characters, so
# only so many pairs are kept.
_BEGINS: Final[dict[str, int]] = {}
_LEAVES: Final[dict[str, int]] = {}
_MOST_PAIRS: Final = 50_000


def next_open(text: str, position: int, known: Collection[str]) -> tuple[int, int]:
    """The next index, at `position` or later, at which something may begin if more text comes, or -1; and bits of the
    recognisers that may find something there, or `UNSEEN` if that cannot be said before more stands behind it.

    Args:
        known: the first characters of known values: there something may begin in any case.
    """
    length = len(text)
    for index in range(position, length):
        bits = _begins(text, index)
        if bits:
            if index + 1 == length:
                return index, UNSEEN
            bits &= _leaves(text, index)
            if bits:
                bits = _agreed(text, index, bits)
        if bits or (known and text[index] in known):
            return index, bits
    return -1, 0


def _begins(text: str, index: int) -> int:
    pair = text[index - 1 : index + 1] if index else text[0]
    bits = _BEGINS.get(pair)
    if bits is None:
        bits = _bits(pair[-1], pair[:-1])
        if len(_BEGINS) < _MOST_PAIRS:
            _BEGINS[pair] = bits
    return bits


def _leaves(text: str, index: int) -> int:
    pair = text[index : index + 2]
    bits = _LEAVES.get(pair)
    if bits is None:
        bits = _left(pair[0], pair[1])
        if len(_LEAVES) < _MOST_PAIRS:
            _LEAVES[pair] = bits
    return bits


def _bits(char: str, before: str) -> int:
    """Why something may begin at `char`, behind `before` ("" at the beginning)."""
    if not _OPEN_STARTS.match(before + char, len(before)):
        return 0
    bits = _BITS_OF_CHAR.get(char, 0)
    if char not in codes.STARTS and before.isascii() and (before.isalnum() or before in ("-", "_")):
        bits &= ~CODE
    if before.isascii() and before.isdigit():
        bits &= ~(DATE | NUMBER) if char.isascii() else ~DATE
    elif (before in digits.DIGITS or before == "十") and not char.isascii():
        bits &= ~DATE
    if bits & _CALLED and (not before or before in names.INTRODUCES):
        bits |= NAME | (_ANY_NAME if before == "姓" else 0)
    bits |= _ANY_NAME if before and before in names.BOUNDARY_CHARS + ": " else 0
    bits |= EMPLOYER if before in employers.BOUNDARY_CHARS + ":, \n" else 0
    return bits | (ADDRESS if before in addresses.BOUNDARY_CHARS or not before.isalnum() else 0)


def _left(char: str, following: str) -> int:
    """Of all reasons those that `following`, right behind `char`, leaves."""
    bits = NUMBER if following in digits.SECOND else 0
    bits |= DATE if following in _NEXT_IN_DATE else 0
    bits |= CODE if char in codes.STARTS or _NEXT_IN_CODE.match(following) else 0
    bits |= ADDRESS if addresses.IN_RUN.match(following) else 0
    bits |= _PLACE if char + following in gazetteer.BY_OPENING else 0
    bits |= EMPLOYER if employers.IN_NAME.match(following) else 0
    if names.is_given(following) or following in _HONOURS or char + following in COMPOUND:
        bits |= NAME | _CALLED
    return bits | (_ANY_NAME if char in names.STARTS or "\u4e00" <= following <= "\u9fff" else 0)


def _recognisers(bits: int) -> int:
    """Bits of the recognisers to ask for these reasons."""
    if bits & (_CALLED | _ANY_NAME):
        bits |= NAME
    if bits & _PLACE:
        bits |= ADDRESS
    return bits & (NUMBER | CODE | DATE | NAME | ADDRESS | EMPLOYER)


def _agreed(text: str, index: int, bits: int) -> int:
    """Bits of the recognisers with which the text from `index` on agrees so far, or `UNSEEN`: too few digits yet."""
    char = text[index]
    digits_follow = True
    if char in digits.DIGITS:
        number = _OPEN_NUMBER.match(text, index)
        if number is None:
            digits_follow = False
            bits &= ~NUMBER
        elif bits & NUMBER and number["enough"] is None:
            return UNSEEN
    if bits & CODE and char not in codes.STARTS and not _may_be_code(text, index, char, digits_follow):
        bits &= ~CODE
    if bits & DATE and not _OPEN_DATE.match(text, index):
        bits &= ~DATE
    if bits & _CALLED and not bits & (NAME | _ANY_NAME) and not _may_be_called(text, index):
        bits &= ~_CALLED
    bits = _recognisers(bits)
    if bits & ADDRESS and not addresses.OPEN_SUFFIX.match(text, index):
        bits &= ~ADDRESS
    return bits


def _may_be_code(text: str, index: int, char: str, digits_follow: bool) -> bool:
    # Behind a digit, a code has more digits than a number needs; only what is written can be an address or an id.
    is_digit = char in digits.DIGITS
    if digits_follow and (is_digit or not _FOUR_LETTERS.match(text, index)) and codes.LETTERED.match(text, index):
        return True
    if not char.isascii():
        return False
    if _OPEN_EMAIL.match(text, index):
        return True
    if is_digit or not _OPEN_WORD.match(text, index):
        return False
    return codes.WECHAT_CUE.search(text, max(0, index - LEFT_CONTEXT_CHARS), index) is not None


def _may_be_called(text: str, index: int) -> bool:
    """Whether an honorific or a title may stand behind a surname at `index` and at most two given characters."""
    soon = text[index + 1 : index + 5]
    return len(soon) < 4 or any(char in _HONOURS for char in soon)
