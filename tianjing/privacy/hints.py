"""Where personal data can begin: one pass of compiled patterns over a text, or over thousands joined together.

A hint is necessary, not sufficient: where none stands no recogniser would find anything, so ordinary text costs one
pass of the regular-expression engine and nothing else. `openings` says the same of a text of which more may come.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence
from typing import Final

from tianjing.privacy import addresses, codes, dates, digits, employers, names

# Stands before each joined text; no pattern takes it.
SEPARATOR: Final = "\x00"

# One bit for each recogniser.
NUMBER: Final = 1
CODE: Final = 2
DATE: Final = 4
NAME: Final = 8
ADDRESS: Final = 16
EMPLOYER: Final = 32
ALL: Final = 63
# (recogniser, where it may find something, whether that is where the match ends), by what is looked for.
GROUPS: Final[tuple[tuple[tuple[int, re.Pattern[str], bool], ...], ...]] = (
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
