"""Surfaces: what is left of a text when names, numbers and punctuation are masked; how near two of them are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from tianjing.text import arabic, compact

_DOCUMENT = re.compile(r"《[^》]*》(?:第[^条]{1,12}条(?:之[一二三四五六七八九十])?)?")
_PLACEHOLDER = re.compile(r"〔[^〕]*〕")
_NUMBER = re.compile(r"\d+(?:\.\d+)?[%‰万亿]*")
_NOISE = re.compile(r"[^\w]|_")


def surface(text: str) -> str:
    """Skeleton of a text: two rows with the same one come from the same template."""
    plain = _PLACEHOLDER.sub("", _DOCUMENT.sub("", compact(text)))
    return _NOISE.sub("", _NUMBER.sub("0", arabic(plain)))


class NearDuplicates:
    """Finds whether a text was seen among the given ones: equal, or Jaccard of character `size`-grams >= threshold."""

    def __init__(self, texts: Iterable[str], threshold: float, size: int = 5):
        self._threshold = threshold
        self._size = size
        self._grams: list[frozenset[str]] = []
        self._index: dict[str, list[int]] = defaultdict(list)
        for text in sorted(set(texts)):
            self.add(text)

    def add(self, text: str) -> None:
        """Count `text` among those that were given."""
        found = grams(text, self._size)
        for gram in found:
            self._index[gram].append(len(self._grams))
        self._grams.append(found)

    def seen(self, text: str) -> bool:
        """Whether `text` is equal or near to one of the given."""
        own = grams(text, self._size)
        shared: dict[int, int] = defaultdict(int)
        for gram in own:
            for number in self._index.get(gram, ()):
                shared[number] += 1
        return any(
            count >= self._threshold * (len(own) + len(self._grams[number]) - count) for number, count in shared.items()
        )


def grams(text: str, size: int = 5) -> frozenset[str]:
    """Character grams of this size; a shorter text is its own only one."""
    return frozenset(text[i : i + size] for i in range(max(1, len(text) - size + 1)))
