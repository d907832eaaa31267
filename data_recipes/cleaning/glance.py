"""One vectorised look at thousands of turns: which of them normalising may change, and how.

It is necessary, not sufficient: a turn that it passes over would come out of `normalise` as it went in.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_recipes.cleaning.normalise import (
    NUMERAL,
    NUMERALS,
    ODD,
    PAUSES,
    PRONOUNS,
    SPOKEN,
    STUTTERED,
    WIDE,
    WIDE_LETTERS,
)
from tianjing.text import KEPT_PUNCTUATION


def may_change(texts: Sequence[str], wanted: int) -> Iterator[tuple[int, int]]:
    """(number of the text, bits of what may have to change in it) of each text that has any of the bits `wanted`."""
    bits = _look(texts) & wanted
    numbers = np.flatnonzero(bits)
    yield from zip(numbers.tolist(), bits[numbers].tolist(), strict=True)


class _Tables(NamedTuple):
    """Of each code unit: the bits of what may have to change, and its classes; U+FFFF stands for all beyond."""

    changes: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]


_PAUSE, _COMMA, _PRONOUN, _WORD_START, _HAN, _FILLER_END, _ALWAYS, _STOP = (1 << bit for bit in range(8))


@functools.lru_cache(maxsize=1)
def _tables() -> _Tables:
    changes = np.zeros(0x10000, np.uint8)
    for point in range(0x10000):
        char = chr(point)
        plain = 0x4E00 <= point < 0xA000 or 0x20 <= point < 0x7F or char in KEPT_PUNCTUATION
        if not plain and (
            unicodedata.category(char)[0] in "MCZ"
            or 0x1100 <= point < 0x1200
            or unicodedata.normalize("NFKC", char) != char
        ):
            changes[point] = WIDE if point in WIDE_LETTERS else ODD
    changes[[ord(char) for char in NUMERALS]] |= NUMERAL
    classes = np.zeros(0x10000, np.uint8)
    classes[0x4E00:0xA000] = _HAN
    classes[[ord(char) for char in NUMERALS]] = 0
    for members, bit in (
        (PAUSES, _PAUSE),
        ("，、,", _COMMA),
        (PRONOUNS, _PRONOUN),
        ({word[0] for word in STUTTERED}, _WORD_START),
        ("个说么额啊唔", _FILLER_END),
        ("嗯呃", _ALWAYS),
        ("。", _STOP),
    ):
        classes[[ord(char) for char in members]] |= bit
    return _Tables(changes, classes)


def _look(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Of each text the bits of what may have to change in it."""
    if not texts:
        return np.zeros(0, np.uint8)
    joined = "\0".join(texts) + "\0"
    units = np.minimum(np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4"), 0xFFFF).astype(np.uint16)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1) - 1
    tables = _tables()
    bits = tables.changes[units]
    classes = tables.classes[units]
    bits[_spoken(units, classes)] |= SPOKEN
    space = units == ord(" ")
    border = space.copy()
    border[ends] = True
    bits[0] |= ODD * space[0]
    bits[1:][space[1:] & border[:-1]] |= ODD
    bits[:-1][space[:-1] & border[1:]] |= ODD
    bits[ends] = 0
    leading = np.concatenate(([0], ends[:-1] + 1))
    bits[leading] |= np.where(classes[leading] & (_PAUSE | _STOP), SPOKEN, 0).astype(np.uint8)
    return np.bitwise_or.reduceat(bits, leading)


def _spoken(units: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Where something `_TALK` takes may stand, but for what opens a text: all that it takes, and little else."""
    found = (classes & _ALWAYS) != 0
    found[1:] |= ((classes[1:] & classes[:-1] & _COMMA) != 0) | (
        ((classes[1:] & _PAUSE) != 0) & ((classes[:-1] & _FILLER_END) != 0)
    )
    pause, starts, pronoun = (classes & _PAUSE) != 0, (classes & _WORD_START) != 0, (classes & _PRONOUN) != 0
    han = (classes & _HAN) != 0
    # same[n - 1][i]: characters i and i + n agree
    same = [_padded(units[:-n] == units[n:], len(units)) for n in range(1, 5)]
    once, twice, thrice = same[0], same[1], same[2]
    found |= once & pronoun
    found[:-2] |= (twice & pronoun)[:-2] & pause[1:-1]
    words = starts[:-2] & twice[:-2] & twice[1:-1]
    found[:-2] |= words | (starts & thrice)[:-2] & thrice[1:-1] & pause[2:]
    for length, repeated in enumerate(same, start=1):
        run, wanted = repeated & han, 2 * length  # a unit three times: so many in a row agree with the next one
        width = 1
        while width < wanted:
            step = min(width, wanted - width)
            run = run[:-step] & run[step:]
            width += step
        found[: len(run)] |= run
    return np.flatnonzero(found)


def _padded(some: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    return np.concatenate((some, np.zeros(length - len(some), np.bool_)))
