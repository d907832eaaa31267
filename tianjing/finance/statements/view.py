"""A text as the finder reads it: folded, without invisible characters, in windows that the raw text bounds.

Whether a number is a stated value, and what is said about it, is decided from at most `BEFORE_CHARS` before and
`AFTER_CHARS` behind it in its own sentence. That is what lets a stream decide early.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left

from tianjing.text import fold_words

BEFORE_CHARS = 96
AFTER_CHARS = 24
SENTENCE_ENDS = "。！!\n\r"
_SENTENCE_END = re.compile(f"[{SENTENCE_ENDS}]")
CLAUSE_END = re.compile(f"[，、；;？?…{SENTENCE_ENDS}]|,(?!\\d{{3}}(?!\\d))")


# ４２，０００: here the wide comma is no pause.
_WIDE_THOUSANDS = re.compile(r"(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")


class View:
    """Offsets of `text` are those of the folded text; `raw` leads back."""

    def __init__(self, raw: str):
        folded = fold_words(_WIDE_THOUSANDS.sub(",", raw)).replace("幺", "一")
        self.raw_text = raw
        self.length = len(raw)
        self._places: list[int] | None = None
        if not raw.isprintable():
            self._places = [i for i, char in enumerate(folded) if unicodedata.category(char) != "Cf"]
            folded = "".join(folded[i] for i in self._places)
        self.text = folded

    def raw(self, at: int) -> int:
        """Where character `at` stands in the raw text."""
        if self._places is None:
            return at
        return self._places[at] if at < len(self._places) else self.length

    def raw_end(self, end: int) -> int:
        """End in the raw text of what ends before `end`."""
        return self.raw(end - 1) + 1

    def at(self, raw: int) -> int:
        """Where raw character `raw`, or the first visible one behind it, stands in the folded text."""
        return raw if self._places is None else bisect_left(self._places, raw)

    def before(self, start: int) -> str:
        """The sentence in front of `start`, as far as the window reaches."""
        low = max(0, self.at(self.raw(start) - BEFORE_CHARS))
        ends = [match.end() for match in _SENTENCE_END.finditer(self.text, low, start)]
        return self.text[ends[-1] if ends else low : start]

    def after(self, end: int) -> str:
        """The sentence behind `end`, as far as the window reaches."""
        high = min(len(self.text), self.at(self.raw_end(end) + AFTER_CHARS))
        stop = _SENTENCE_END.search(self.text, end, high)
        return self.text[end : stop.start() if stop else high]

    def closed(self, end: int, chars: int = AFTER_CHARS) -> bool:
        """Whether the `chars` behind `end`, or the end of the sentence, have come: more text changes nothing there."""
        high = self.raw_end(end) + chars
        return high <= self.length or _SENTENCE_END.search(self.text, end) is not None


def clause_before(before: str) -> str:
    """The part of `before` behind its last clause mark."""
    ends = [match.end() for match in CLAUSE_END.finditer(before)]
    return before[ends[-1] :] if ends else before


def clause_after(after: str) -> str:
    """The part of `after` in front of its first clause mark."""
    stop = CLAUSE_END.search(after)
    return after[: stop.start()] if stop else after
