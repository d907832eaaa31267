"""Counts what kinds of characters many texts are made of, in one pass over all of them."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tianjing.rulebook.components import SIMPLIFIED

Counts = NDArray[np.int64]

# Columns of the counts. Han characters that only one of the two Chinese scripts writes are counted apart.
OTHER, HAN, SIMPLIFIED_HAN, TRADITIONAL_HAN, KANA, HANGUL, LATIN, OTHER_LETTER, DIGIT, WESTERN, GARBLED = range(11)
KINDS = 11
_POINTS = 0x110000


def count_kinds(texts: Sequence[str]) -> Counts:
    """(texts) x (`KINDS`): characters of each kind in each text."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    known, kinds = _table()
    seen = np.zeros(_POINTS, bool)
    seen[points] = True
    for point in np.flatnonzero(seen & ~known).tolist():
        kinds[point] = _kind(chr(point))
        known[point] = True
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    cells = np.repeat(np.arange(len(texts)) * KINDS, sizes) + kinds[points]
    return np.bincount(cells, minlength=len(texts) * KINDS).reshape(len(texts), KINDS)


@functools.lru_cache(maxsize=1)
def _table() -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which characters are known, and what they are: filled as they are met."""
    return np.zeros(_POINTS, bool), np.zeros(_POINTS, np.uint8)


@functools.lru_cache(maxsize=1)
def _only_simplified() -> frozenset[str]:
    return frozenset(SIMPLIFIED.values()) - SIMPLIFIED.keys()


def _kind(char: str) -> int:
    folded = unicodedata.normalize("NFKC", char)[:1]
    if char in SIMPLIFIED:
        return TRADITIONAL_HAN
    if char in _only_simplified():
        return SIMPLIFIED_HAN
    if "一" <= folded <= "鿿" or "㐀" <= folded <= "䶿" or "𠀀" <= folded <= "𳏿":
        return HAN if _is_written(folded) else GARBLED
    if "぀" <= folded <= "ヿ":
        return KANA
    if "가" <= folded <= "힣" or "ᄀ" <= folded <= "ᇿ":
        return HANGUL
    if folded.isascii() and folded.isalpha():
        return LATIN
    if folded.isdigit():
        return DIGIT
    if "\xa1" <= char <= "\xff" and char not in "·×÷°±":
        return WESTERN
    if folded.isalpha():
        return OTHER_LETTER
    is_broken = unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in "\n\r\t"
    return GARBLED if is_broken or char == "\ufffd" else OTHER


def _is_written(char: str) -> bool:
    """Whether a Chinese text is likely to hold the character. UTF-8 that was read as GBK (璇烽棶) is full of others."""
    for encoding in ("gb2312", "big5"):
        try:
            char.encode(encoding)
            return True
        except UnicodeEncodeError:
            continue
    return False
