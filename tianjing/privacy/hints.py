"""Where personal data can begin: one pass of compiled patterns over a text, or over thousands joined together.

A hint is necessary, not sufficient: where none stands no recogniser would find anything, so ordinary text costs one
pass of the regular-expression engine and nothing else. While more of a text may come, a character and the
one before it say what could begin, and hints that look ahead hold as long as the text so far agrees with them.
"""

from __future__ import annotations

import bisect
import itertools
import re
import string
from collections.abc import Collection, Sequence

from tianjing.privacy import addresses, codes, dates, digits, employers, gazetteer, names
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS

# Stands before each joined text; no pattern takes it.
SEPARATOR = "\x00"

# One bit for each recogniser.
NUMBER, CODE, DATE, NAME, ADDRESS, EMPLOYER = 1, 2, 4, 8, 16, 32
# (recogniser, where it may find something, whether that is where the match ends), by what is looked for.
GROUPS: tuple[tuple[tuple[int, re.Pattern[str], bool], ...], ...] = (
    (
        (NUMBER, re.compile(digits.HINT), False),
        (CODE, re.compile(codes.HINT), False),
        (CODE, re.compile(codes.PLATE_HINT), False),
        (DATE, re.compile(dates.HINT), False),
    ),
    ((NAME, re.compile(names.HINT), False),),
    (
        (ADDRESS, re.compile(addresses.HINT), False),
        *((ADDRESS, re.compile(hint), True) for hint in addresses.HINT_BEFORE),
    ),
    tuple((EMPLOYER, re.compile(hint), True) for hint in employers.HINT_BEFORE),
)

_CHARS = frozenset(digits.DIGITS) | codes.STARTS | dates.STARTS | names.STARTS | gazetteer.FIRST_CHARS
_BOUNDARIES = "".join(sorted(set(addresses.BOUNDARY_CHARS + employers.BOUNDARY_CHARS + names.BOUNDARY_CHARS)))
# Nothing that a boundary opens begins with these.
_NEVER_FIRST = "".join(sorted(addresses.NEVER_FIRST & employers.NEVER_FIRST & names.NEVER_FIRST))
# Inside a written word or number nothing begins.
_OPEN_STARTS = re.compile(
    rf"(?<![A-Za-z0-9_-])[A-Za-z]|(?<![0-9])[0-9]|[{''.join(sorted(char for char in _CHARS if not char.isascii()))}]"
    rf"|(?<![^\W_{_BOUNDARIES}])[^\W_{_NEVER_FIRST}]",
)
_BITS_OF_CHAR: dict[str, int] = {}
for _bit, _starts in (
    (NUMBER, digits.DIGITS),
    (DATE, (*digits.DIGITS, *dates.STARTS)),
    (CODE, (*string.ascii_letters, *digits.DIGITS, *codes.STARTS)),
    (NAME, names.STARTS),
    (ADDRESS, gazetteer.FIRST_CHARS),
):
    for _char in _starts:
        _BITS_OF_CHAR[_char] = _BITS_OF_CHAR.get(_char, 0) | _bit


def _bits(char: str, before: str) -> int:
    """Bits of the recognisers that may find something at `char`, behind `before` ("" at the beginning)."""
    if not _OPEN_STARTS.match(before + char, len(before)):
        return 0
    bits = _BITS_OF_CHAR.get(char, 0)
    if char not in codes.STARTS and before.isascii() and (before.isalnum() or before in ("-", "_")):
        bits &= ~CODE
    if before.isascii() and before.isdigit():
        bits &= ~(DATE | NUMBER) if char.isascii() else ~DATE
    elif (before in digits.DIGITS or before == "十") and not char.isascii():
        bits &= ~DATE
    bits |= NAME if before in names.BOUNDARY_CHARS + ": " else 0
    bits |= EMPLOYER if before in employers.BOUNDARY_CHARS + ":, \n" else 0
    return bits | (ADDRESS if before in addresses.BOUNDARY_CHARS or not before.isalnum() else 0)


_DIGIT = f"[{''.join(digits.DIGITS)}]"
_GAPS = rf"[{re.escape(''.join(sorted(digits.SEPARATORS | digits.BRIDGE_CHARS)))}]{{0,{digits.GAP_CHARS}}}"
# The hints of numbers, codes and dates for a text that may go on: what its end (\Z) cuts short may still come true.
_OPEN_NUMBER = re.compile(
    rf".(?=(?:{_GAPS}{_DIGIT}){{4}}|(?:{_GAPS}{_DIGIT}){{0,3}}(?:个(?:{_DIGIT}|\Z)|{_GAPS}\Z))", re.S
)
_OPEN_EMAIL = re.compile(rf".{codes.LOCAL_PART}{{0,63}} ?(?:@|艾特|圈|小老|[aA][tT] |[aA]?[tT]?\Z|[艾小]\Z)", re.S)
_OPEN_WORD = re.compile(rf"[A-Za-z]{codes.SPOKEN_SYMBOL}{{0,4}}(?:{codes.SPOKEN_SYMBOL}|\Z)")
_OPEN_DATE = re.compile(rf".(?=[十 {_DIGIT[1:]}{{0,3}}(?:[年月]|\Z)|[0-9]{{3}}[-/. ]|[0-9]{{7}}|[0-9]{{0,6}}\Z)", re.S)
# A character and the one before it -> `_bits`; a text may hold any two, so only so many are kept.
_BITS_OF_PAIR: dict[str, int] = {}
_MOST_PAIRS = 50_000


def next_open(text: str, position: int, known: Collection[str]) -> int:
    """The next index, at `position` or later, at which something may begin if more text comes, or -1.

    Args:
        known: the first characters of known values: there something may begin in any case.
    """
    for index in range(position, len(text)):
        if _bits_at(text, index) or text[index] in known:
            return index
    return -1


def open_recognisers(text: str, index: int) -> int:
    """Bits of the recognisers that may find something at `index` of a text of which more may come."""
    bits = _bits_at(text, index)
    if bits & (NUMBER | CODE | DATE):
        if bits & NUMBER and not _OPEN_NUMBER.match(text, index):
            bits &= ~NUMBER
        if bits & CODE and text[index] not in codes.STARTS and not _may_be_code(text, index):
            bits &= ~CODE
        if bits & DATE and not _OPEN_DATE.match(text, index):
            bits &= ~DATE
    return bits


def _bits_at(text: str, index: int) -> int:
    pair = text[index - 1 : index + 1] if index else text[0]
    bits = _BITS_OF_PAIR.get(pair)
    if bits is None:
        bits = _bits(pair[-1], pair[:-1])
        if len(_BITS_OF_PAIR) < _MOST_PAIRS:
            _BITS_OF_PAIR[pair] = bits
    return bits


def _may_be_code(text: str, index: int) -> bool:
    if _OPEN_EMAIL.match(text, index) or codes.LETTERED.match(text, index):
        return True
    word = _OPEN_WORD.match(text, index)
    return bool(word and codes.WECHAT_CUE.search(text, max(0, index - LEFT_CONTEXT_CHARS), index))


class Places:
    """Where something may begin in one text, in order, and which recognisers may find it there."""

    __slots__ = ("_indices", "_recognisers")

    def __init__(self, indices: list[int], recognisers: list[int]):
        self._indices = indices
        self._recognisers = recognisers

    def next(self, position: int) -> int:
        """The first place at `position` or later, or -1."""
        number = bisect.bisect_left(self._indices, position)
        return self._indices[number] if number < len(self._indices) else -1

    def recognisers(self, index: int) -> int:
        """Bits of the recognisers for `index`; 0 if it is no place."""
        number = bisect.bisect_left(self._indices, index)
        here = number < len(self._indices) and self._indices[number] == index
        return self._recognisers[number] if here else 0


def places(text: str) -> Places:
    """The places of one folded text."""
    return places_of_many([text], [[0]] * len(GROUPS)).get(0, Places([], []))


def places_of_many(texts: Sequence[str], likely: Sequence[Sequence[int]]) -> dict[int, Places]:
    """Number of the folded text -> its places, of each text that has any.

    Args:
        likely: for each of `GROUPS` the numbers of the texts in which its hints may stand, in order.
    """
    found: dict[int, dict[int, int]] = {}
    for group, numbers in zip(GROUPS, likely, strict=True):
        joined = SEPARATOR + SEPARATOR.join(texts[number] for number in numbers)
        starts = list(itertools.accumulate((len(texts[number]) + 1 for number in numbers), initial=1))
        for bit, pattern, behind in group:
            here = 0
            for match in pattern.finditer(joined):
                index = match.end() if behind else match.start()
                while starts[here + 1] <= index:
                    here += 1
                bits = found.setdefault(numbers[here], {})
                bits[index - starts[here]] = bits.get(index - starts[here], 0) | bit
    return {number: Places(sorted(bits), [bits[index] for index in sorted(bits)]) for number, bits in found.items()}
