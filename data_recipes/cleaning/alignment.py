"""A cleaned text that remembers, for each of its characters, the raw ones that it stands for.

Between the raw and the cleaned text lie a few edits; everything else is the same, character for character. So a turn
that cleaning leaves alone carries an empty tuple, and two steps of cleaning compose into one alignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

# (characters kept since the edit before, raw characters taken, characters of the text put in their place)
Edit = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A text and how it came of the raw one.

    `edits` are in order; none is empty, and none takes nothing: all of the text comes from somewhere. As they count
    from one another, they are total (every raw character is kept or taken) and monotone (no two change places).
    """

    text: str
    edits: tuple[Edit, ...] = ()

    @property
    def raw_length(self) -> int:
        """Number of raw characters."""
        return len(self.text) + sum(taken - put for _, taken, put in self.edits)

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw characters that characters `start` to `end` of the text stand for, pieces replaced taken whole.

        Raises:
            IndexError: not 0 <= start <= end <= len(text).
        """
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"no characters {start} to {end} in a text of {len(self.text)}")
        raw_start, raw_end = start, end
        for begin, stop, raw_begin, raw_stop in spans(self.edits):
            if stop <= start:
                raw_start = start + raw_stop - stop
            elif begin <= start:
                raw_start = raw_begin
            if begin < end:
                raw_end = raw_stop if end <= stop else end + raw_stop - stop
        return raw_start, raw_end if start < end else raw_start

    def slice_of(self, raw_start: int, raw_end: int) -> str:
        """The part of the text that came from raw characters `raw_start` to `raw_end`.

        A replaced piece is there if any of what it replaces is: half a number gives the whole placeholder.
        """
        if raw_start >= raw_end:
            return ""
        start, end = self._at(raw_start, first=True), self._at(raw_end, first=False)
        return self.text[start:end]

    def _at(self, raw: int, *, first: bool) -> int:
        """Where in the text raw position `raw` lies; inside a replaced piece its start if `first`, else its end."""
        shift = 0
        for begin, stop, raw_begin, raw_stop in spans(self.edits):
            if raw <= raw_begin:
                break
            if raw < raw_stop:
                return begin if first else stop
            shift = stop - raw_stop
        return max(0, raw + shift)

    def then(self, other: Aligned) -> Aligned:
        """The alignment of `other`, a further step of cleaning of this text, with the raw one."""
        if not other.edits:
            return self
        if not self.edits:
            return other
        return Aligned(other.text, tuple(_packed(_composed(self.edits, other.edits))))

    def as_list(self) -> list[int]:
        """The edits as one flat list for JSON; empty if nothing was changed."""
        return [number for edit in self.edits for number in edit]


@dataclass(frozen=True, slots=True)
class AlignedTurns(Sequence[Aligned]):
    """The turns of a dialogue: their texts, and by number those of them that are not as they came."""

    texts: Sequence[str]
    changed: Mapping[int, Aligned]

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, number: int) -> Aligned: ...

    @overload
    def __getitem__(self, number: slice) -> list[Aligned]: ...

    def __getitem__(self, number: int | slice) -> Aligned | list[Aligned]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        return self.changed.get(number) or Aligned(self.texts[number])


def from_list(text: str, numbers: Sequence[int]) -> Aligned:
    """The inverse of `Aligned.as_list`.

    Raises:
        ValueError: the list does not fit the text.
    """
    edits = tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    wrong = any(kept < 0 or taken < 1 or put < 0 for kept, taken, put in edits)
    if wrong or sum(kept + put for kept, _, put in edits) > len(text):
        raise ValueError(f"this alignment is not of a text of {len(text)} characters")
    return Aligned(text, edits)


def replaced(text: str, changes: Iterable[tuple[int, int, str]]) -> Aligned:
    """`text` with each (start, end, new text) of `changes`, in order and without overlap, put in place."""
    parts: list[str] = []
    edits: list[Edit] = []
    position = 0
    for start, end, new in changes:
        parts += (text[position:start], new)
        edits.append((start - position, end - start, len(new)))
        position = end
    return Aligned("".join((*parts, text[position:])), tuple(edits)) if edits else Aligned(text)


def spans(edits: Iterable[Edit]) -> Iterator[tuple[int, int, int, int]]:
    """Of each edit (start, end) in the text and (start, end) in the raw text."""
    text = raw = 0
    for kept, taken, put in edits:
        text, raw = text + kept, raw + kept
        yield text, text + put, raw, raw + taken
        text, raw = text + put, raw + taken


def _composed(first: Iterable[Edit], second: Iterable[Edit]) -> Iterator[tuple[int, int, int, int]]:
    """Spans of two steps as one: edits that share a character of the text between become one edit."""
    below, above = list(spans(first))[::-1], list(spans(second))[::-1]
    raw_shift = text_shift = 0  # raw and final position less that in the text between, behind the edits passed
    while below or above:
        begin = min(([below[-1][0]] if below else []) + ([above[-1][2]] if above else []))
        end = begin
        raw_start, text_start = begin + raw_shift, begin + text_shift
        opened = False
        while True:
            if below and (below[-1][0] < end if opened else below[-1][0] == begin):
                _, stop, _, raw_stop = below.pop()
                end, raw_shift = max(end, stop), raw_stop - stop
            elif above and (above[-1][2] < end if opened else above[-1][2] == begin):
                _, text_stop, _, stop = above.pop()
                end, text_shift = max(end, stop), text_stop - stop
            else:
                break
            opened = True
        yield text_start, end + text_shift, raw_start, end + raw_shift


def _packed(found: Iterable[tuple[int, int, int, int]]) -> Iterator[Edit]:
    position = 0
    for start, end, raw_start, raw_end in found:
        yield start - position, raw_end - raw_start, end - start
        position = end
