"""The cells of many texts at once, as arrays: of each written character its number among those of the words, its sound
likewise, and the texts that are written in an unusual way (`folding` does one text at a time, and all of it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tianjing.rulebook.components import JOINED
from tianjing.rulebook.folding import CODES, LETTER_RUN_CHARS, PLAIN, SKIP, SKIP_RUN_CHARS, syllables

Ints = NDArray[np.integer]

_POINTS = 0x110000
_SKIPPED, _LETTER = 1, 2


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of many texts, one text behind another with a cell of zeros behind each.

    Attributes:
        chars: the number of each plain character in the alphabet of the words, 0 for any other.
        sounds: likewise of its sound.
        text: which text it belongs to.
        unusual: texts whose cells are not the plain ones: spelt in letters, or with split characters.
    """

    chars: Ints
    sounds: Ints
    text: Ints
    unusual: Ints


class Tables:
    """What each character is, worked out on first sight."""

    def __init__(self, alphabet: dict[str, int], sounds: dict[str, int]):
        self._alphabet, self._sounds = alphabet, sounds
        self._known = np.zeros(_POINTS, bool)
        self._chars = np.zeros(_POINTS, np.int16)
        self._codes = np.zeros(_POINTS, np.int16)
        self._kinds = np.zeros(_POINTS, np.uint8)
        self._left = np.zeros(_POINTS, np.int16)
        self._right = np.zeros(_POINTS, np.int16)
        self._halves = [{char: i for i, char in enumerate(sorted({pair[k] for pair in JOINED}), 1)} for k in (0, 1)]
        self._joined = np.zeros([len(half) + 1 for half in self._halves], bool)
        for left, right in JOINED:
            self._joined[self._halves[0][left], self._halves[1][right]] = True

    def read(self, texts: Sequence[str]) -> Cells:
        """The cells of `texts`."""
        # The separator stands for the cell of zeros; it is told by its place, not by its character.
        encoded = " ".join((*texts, "")).encode("utf-32-le", "surrogatepass")
        points = np.frombuffer(encoded, np.uint32).astype(np.intp)
        self._learn(points)
        sizes = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
        text = np.repeat(np.arange(len(texts), dtype=np.int32), sizes)
        ends = np.cumsum(sizes) - 1
        kinds = np.take(self._kinds, points)
        kinds[ends] = 0
        unusual = [self._spelt(points, kinds, text)]
        tables = (self._chars, self._codes, self._left, self._right)
        chars, codes, left, right = (np.take(table, points) for table in tables)
        for cells in (chars, codes, left, right):
            cells[ends] = 0
        kept = np.flatnonzero(kinds != _SKIPPED)
        if len(kept) < len(points):
            unusual.append(text[kept[np.flatnonzero(np.diff(kept, prepend=-1) > SKIP_RUN_CHARS + 1)]])
            chars, codes, text, left, right = chars[kept], codes[kept], text[kept], left[kept], right[kept]
        unusual.append(text[np.flatnonzero(pair(self._joined, left[:-1], right[1:]))])
        return Cells(chars, codes, text, np.unique(np.concatenate(unusual)))

    def _learn(self, points: Ints) -> None:
        seen = np.zeros(_POINTS, bool)
        seen[points] = True
        for point in np.flatnonzero(seen & ~self._known).tolist():
            code, plain = CODES[point], PLAIN[point]
            self._chars[point] = self._alphabet.get(plain, 0)
            self._codes[point] = self._sounds.get(code, 0)
            self._kinds[point] = _SKIPPED if code == SKIP else _LETTER if "a" <= code <= "z" else 0
            self._left[point] = self._halves[0].get(plain, 0)
            self._right[point] = self._halves[1].get(plain, 0)
            self._known[point] = True

    def _spelt(self, points: Ints, kinds: Ints, text: Ints) -> Ints:
        """Texts with a run of letters that spells pinyin."""
        letters = np.flatnonzero(kinds == _LETTER)
        if not len(letters):
            return letters
        runs = np.split(letters, np.flatnonzero(np.diff(letters) > 1) + 1)
        spelt = [
            text[run[0]]
            for run in runs
            if len(run) <= LETTER_RUN_CHARS and syllables("".join(CODES[point] for point in points[run].tolist()))
        ]
        return np.array(spelt, np.int64)


def pair(table: NDArray[Any], left: Ints, right: Ints) -> NDArray[Any]:
    """`table[left, right]`, twice as fast."""
    return np.take(table.reshape(-1), left.astype(np.intp) * table.shape[1] + right)
