"""Where personal data can begin: one pass of compiled patterns over a text, or over thousands joined together.

A hint is necessary, not sufficient: where none stands no recogniser would find anything, so ordinary text costs one
pass of the regular-expression engine and nothing else. While more of a text may come, hints that look ahead cannot
be used; `OPEN_STARTS` then names every character at which something could begin.
"""

from __future__ import annotations

import bisect
import itertools
import re
import string
from collections.abc import Iterator, Sequence

from tianjing.privacy import addresses, codes, dates, digits, employers, gazetteer, names

# Stands before each joined text; no pattern takes it.
SEPARATOR = "\x00"

# One bit for each recogniser.
NUMBER, CODE, DATE, NAME, ADDRESS, EMPLOYER = 1, 2, 4, 8, 16, 32
_AT_START = (
    (NUMBER, re.compile(digits.HINT)),
    (CODE, re.compile(codes.HINT)),
    (CODE, re.compile(codes.PLATE_HINT)),
    (DATE, re.compile(dates.HINT)),
    (NAME, re.compile(names.HINT)),
    (ADDRESS, re.compile(addresses.HINT)),
)
_BEFORE = (
    *((ADDRESS, re.compile(hint)) for hint in addresses.HINT_BEFORE),
    *((EMPLOYER, re.compile(hint)) for hint in employers.HINT_BEFORE),
)

_CHARS = frozenset(digits.DIGITS) | codes.STARTS | dates.STARTS | names.STARTS | gazetteer.FIRST_CHARS
_BOUNDARIES = "".join(sorted(set(addresses.BOUNDARY_CHARS + employers.BOUNDARY_CHARS + names.BOUNDARY_CHARS)))
# Nothing that a boundary opens begins with these.
_NEVER_FIRST = "".join(sorted(addresses.NEVER_FIRST & employers.NEVER_FIRST & names.NEVER_FIRST))
OPEN_STARTS = re.compile(
    rf"[A-Za-z0-9{''.join(sorted(_CHARS))}]|(?<![^\W_{_BOUNDARIES}])[^\W_{_NEVER_FIRST}]",
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


class _BitsBehind(dict[str, int]):
    """Character -> bits of the recognisers that may find something behind it."""

    def __missing__(self, before: str) -> int:
        bits = NAME if before in names.BOUNDARY_CHARS + ": " else 0
        bits |= EMPLOYER if before in employers.BOUNDARY_CHARS + ":, \n" else 0
        bits |= ADDRESS if before in addresses.BOUNDARY_CHARS or not before.isalnum() else 0
        if len(self) < _MOST_CHARS:
            self[before] = bits
        return bits


_MOST_CHARS = 10_000  # a text may hold any character; only so many are kept
_BITS_BEHIND = _BitsBehind()


def open_recognisers(text: str, index: int) -> int:
    """Bits of the recognisers that may find something at `index` of a text of which more may come."""
    return _BITS_OF_CHAR.get(text[index], 0) | _BITS_BEHIND[text[index - 1] if index else ""]


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
    return next((found for _, found in places_of_many(SEPARATOR + text, [1])), Places([], []))


def places_of_many(joined: str, starts: Sequence[int]) -> Iterator[tuple[int, Places]]:
    """(number of the text, its places counted from its beginning) of each text that has any.

    Args:
        joined: folded texts, each with `SEPARATOR` in front.
        starts: where each text begins in `joined`.
    """
    found: dict[int, int] = {}
    for bit, pattern in _AT_START:
        for match in pattern.finditer(joined):
            index = match.start()
            found[index] = found.get(index, 0) | bit
    for bit, pattern in _BEFORE:
        for match in pattern.finditer(joined):
            index = match.end()
            found[index] = found.get(index, 0) | bit
    for number, group in itertools.groupby(sorted(found), lambda index: bisect.bisect_right(starts, index) - 1):
        here = list(group)
        yield number, Places([index - starts[number] for index in here], [found[index] for index in here])
