"""A proof document as one text: its own, or its boxes put back into the order in which a person reads them.

Boxes come from text recognition (OCR) in any order. Boxes whose heights overlap form a line, lines go from the top
down, boxes within a line from left to right. A gap wider than a character and a half becomes a tab, so that the columns
of a table stay apart; a narrower one joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tianjing.records import Box, Document

# Two boxes share a line if they overlap by this much of the lower one's height: skewed scans stay below it.
_LINE_OVERLAP = 0.5
_COLUMN_GAP_CHARS = 1.5


@dataclass(frozen=True)
class Page:
    """Text in reading order. `places` holds (start, end, index of the box) by start; empty where there are no boxes."""

    text: str
    places: tuple[tuple[int, int, int], ...] = ()

    def boxes(self, start: int, end: int) -> tuple[int, ...]:
        """Indexes of the boxes that characters `start` to `end` come from."""
        return tuple(index for begin, stop, index in self.places if begin < end and start < stop)


def page_of(document: Document) -> Page:
    """The document's text, or its boxes in reading order."""
    return Page(document.text) if document.text is not None else in_reading_order(document.boxes or ())


def in_reading_order(boxes: Sequence[Box]) -> Page:
    """One line of text for each line of boxes."""
    text: list[str] = []
    places: list[tuple[int, int, int]] = []
    length = 0
    for line in _lines(boxes):
        previous: Box | None = None
        for index in line:
            box = boxes[index]
            between = "" if previous is None else _between(previous, box)
            text += [between, box.text]
            places.append((length + len(between), length + len(between) + len(box.text), index))
            length += len(between) + len(box.text)
            previous = box
        text.append("\n")
        length += 1
    return Page("".join(text), tuple(places))


def _lines(boxes: Sequence[Box]) -> list[list[int]]:
    """Indexes of the boxes of each line. The order of the boxes does not matter."""
    order = sorted(range(len(boxes)), key=lambda i: (2 * boxes[i].y + boxes[i].height, boxes[i].x, boxes[i].text))
    lines: list[list[int]] = []
    for index in order:
        if lines and _same_line(boxes[lines[-1][-1]], boxes[index]):
            lines[-1].append(index)
        else:
            lines.append([index])
    return [sorted(line, key=lambda i: (boxes[i].x, boxes[i].y, boxes[i].text)) for line in lines]


def _same_line(one: Box, other: Box) -> bool:
    overlap = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return overlap > _LINE_OVERLAP * min(one.height, other.height)


def _between(left: Box, right: Box) -> str:
    widths = [box.width / len(box.text) for box in (left, right) if box.text and box.width]
    char = median(widths) if widths else left.height
    gap = right.x - (left.x + left.width)
    return "\t" if gap > _COLUMN_GAP_CHARS * char else " " if gap > char / 2 else ""
