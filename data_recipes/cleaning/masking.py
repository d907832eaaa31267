"""What of a text counts when copies are looked for: letters and characters; not names, numbers, punctuation or case.

Numbers (in digits and in Chinese numerals) and placeholders are left out, not replaced, so that 2,699元, 三千元 and
〔金额1〕元 are the same, and 3月5日 and 十二月五日 are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
Hashes = NDArray[np.uint64]

_POINTS = 0x110000
_LINE_END = ord("\n")
_NUMERALS = frozenset("零〇一二两三四五六七八九十百千万亿幺半几")
_PLACEHOLDER = re.compile(r"〔[^〕\n]{0,40}〕")


@dataclass(frozen=True, slots=True)
class Masked:
    """The characters that count of many texts: a hash of each, the text it stands in, and whether a line begins."""

    chars: Hashes
    text: Ints
    line: Ints


class Masker:
    """Keeps what each character counts as, worked out on first sight."""

    def __init__(self) -> None:
        self._known = np.zeros(_POINTS, bool)
        self._counts_as = np.zeros(_POINTS, np.int32)

    def mask(self, texts: Sequence[str]) -> Masked:
        """The characters of `texts` that count, one text behind another."""
        plain = [_PLACEHOLDER.sub("", text) if "〔" in text else text for text in texts]
        points = np.frombuffer("\n".join((*plain, "")).encode("utf-32-le", "surrogatepass"), np.uint32)
        self._learn(points)
        counted = self._counts_as[points]
        kept = np.flatnonzero(counted)
        sizes = np.fromiter(map(len, plain), np.int64, len(plain)) + 1
        text = np.repeat(np.arange(len(plain), dtype=np.int32), sizes)[kept]
        line = np.cumsum(points == _LINE_END, dtype=np.int32)[kept]
        return Masked(mixed(counted[kept].astype(np.uint64)), text, line)

    def _learn(self, points: Ints) -> None:
        seen = np.zeros(_POINTS, bool)
        seen[points] = True
        for point in np.flatnonzero(seen & ~self._known).tolist():
            self._counts_as[point] = _counts_as(chr(point))
            self._known[point] = True


def mixed(values: Hashes) -> Hashes:
    """A well spread 64-bit hash of each (the finaliser of splitmix64)."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _counts_as(char: str) -> int:
    folded = unicodedata.normalize("NFKC", char).lower()
    if len(folded) != 1 or not folded.isalnum() or folded.isdigit() or folded in _NUMERALS:
        return 0
    return ord(folded)
