"""Lines of a page to paragraphs, by where they stand and by what they say.

A line that stops short of the right margin ends its paragraph. One that reaches the margin is undecided: an indented
line below, a wider gap or a new 第…条 opens a paragraph; a sentence that merely ends there does not, where the document
marks its paragraphs in one of these ways.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from data_recipes.readers.document import Line, Table

N = "零〇一二三四五六七八九十百千"
_OPENS = re.compile(rf"第[{N}\d]+(?:编|分编|章|节|条)|[（(][{N}\d]+[)）]|附\s*[则件录表]")
_HEADING = re.compile(rf"第[{N}\d]+(?:编|分编|章|节)[^。；，]{{0,30}}")
_ENDS = ("。", "；", "：", "！", "？", ";", ":", "”")
_NEVER_LAST = ("第", "，", "、", "和", "或", "及")

# In widths of a character:
_NEARLY_FULL = 2  # a line may end so far from the margin where the next word or mark did not fit
_CLEARLY_SHORT = 6
_INDENT = 1.2
_GAP = 0.2  # beyond the usual one between two lines


@dataclass(frozen=True)
class PdfLine:
    """A line of text and its place on its page in points, from the top left corner; `size` is that of its type.

    `margin` tells that it lies where headers and footers do.
    """

    text: str
    page: int
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    margin: bool = False


@dataclass(frozen=True)
class _Layout:
    """The document's margins: left and right edge by half of the page that a line starts in (two columns)."""

    middle: float
    left: dict[bool, float]
    right: dict[bool, float]
    gap: float
    size: float
    indents: bool = False  # most paragraphs open with an indented line
    spaces: bool = False  # most paragraphs stand apart

    def short(self, line: PdfLine) -> float:
        """Characters that would still fit into the line."""
        return (self.right[line.x0 >= self.middle] - line.x1) / line.size

    def indented(self, line: PdfLine) -> bool:
        return line.x0 - self.left[line.x0 >= self.middle] > _INDENT * line.size

    def apart(self, line: PdfLine, below: PdfLine) -> bool:
        return below.page == line.page and below.top - line.bottom - self.gap > _GAP * line.size

    def marked(self, line: PdfLine, below: PdfLine) -> bool:
        return self.indented(below) or self.apart(line, below)

    def marks(self, line: PdfLine, below: PdfLine) -> bool:
        """Whether a paragraph that opened here would be marked."""
        return self.indents or (self.spaces and below.page == line.page)


def unwrap(blocks: Sequence[PdfLine | Table]) -> Iterator[Line | Table]:
    """Paragraphs of the lines, each with its heading level and page; tables stay where they stand."""
    lines = [block for block in blocks if isinstance(block, PdfLine)]
    layout = _layout(lines)
    paragraph, page, level, last = "", 0, 1, None
    for block in blocks:
        if isinstance(block, Table):
            if paragraph:
                yield paragraph, level, page
            paragraph, level, last = "", 0, None
            yield block
            continue
        if last is not None and _breaks(paragraph, last, block, layout):
            yield paragraph, level, page
            paragraph = ""
        if not paragraph:
            large, goes_on = block.size > 1.1 * layout.size, last is None or abs(last.size - block.size) < 0.5
            # The first line is the title, and so are the lines below in the same large type.
            title = level == 1 and goes_on and (large or last is None) and len(block.text) <= 40
            level = 1 if title and not _OPENS.match(block.text) else 2 if large else 0
            page = block.page
        paragraph, last = _join(paragraph, block.text), block
    if paragraph:
        yield paragraph, level, page


def _join(paragraph: str, text: str) -> str:
    """Latin words keep their space over a line end, Han characters have none."""
    apart = paragraph and paragraph[-1].isascii() and paragraph[-1].isalnum() and text[0].isascii()
    return f"{paragraph} {text}" if apart else paragraph + text


def _layout(lines: Sequence[PdfLine]) -> _Layout:
    size = median(line.size for line in lines) if lines else 1.0
    body = [line for line in lines if abs(line.size - size) < 0.1 * size] or list(lines)
    middle = (min(line.x0 for line in body) + max(line.x1 for line in body)) / 2 if body else 0.0
    left, right = {}, {}
    for half in (False, True):
        there = [line for line in body if (line.x0 >= middle) == half] or body
        edges = sorted(line.x1 for line in there)
        # A line or two may hang over; the widest tenth is the margin.
        right[half] = edges[int(0.9 * (len(edges) - 1))] if edges else 0.0
        left[half] = min(common([line.x0 for line in there], 0), default=0.0)
    pairs = list(itertools.pairwise(lines))
    gaps = [below.top - line.bottom for line, below in pairs if below.page == line.page and below.top > line.top]
    layout = _Layout(middle, left, right, min(common(gaps, 1), default=0.0), size)
    ended = [(line, below) for line, below in pairs if layout.short(line) > _CLEARLY_SHORT]
    indents = 2 * sum(layout.indented(below) for _, below in ended) > len(ended)
    spaces = 2 * sum(layout.apart(line, below) for line, below in ended) > len(ended)
    return replace(layout, indents=indents, spaces=spaces)


def common(values: Sequence[float], digits: int) -> list[float]:
    """Values that several lines share, rounded; all of them where none do."""
    counts = Counter(round(value, digits) for value in values)
    often = [value for value, count in counts.items() if count >= max(2, 0.05 * len(values))]
    return often or list(counts)


def _breaks(paragraph: str, line: PdfLine, below: PdfLine, layout: _Layout) -> bool:
    """Whether a new paragraph opens below a line."""
    if abs(line.size - below.size) > 0.1 * max(line.size, below.size):
        return True
    opens = bool(_OPENS.match(below.text))
    if line.size > 1.1 * layout.size and not paragraph.endswith(_ENDS):  # a heading, which may be wrapped itself
        return opens or below.page != line.page or below.top - line.bottom > line.size
    if _HEADING.fullmatch(paragraph) and not paragraph.endswith(_NEVER_LAST):
        return True
    short, ended = layout.short(line), paragraph.endswith(_ENDS)
    if short > _CLEARLY_SHORT and not paragraph.endswith(_NEVER_LAST):
        return True
    if not ended:
        clearly = short > _NEARLY_FULL and not paragraph.endswith(_NEVER_LAST)
        return clearly and (opens or layout.marked(line, below))
    return opens or layout.marked(line, below) or not layout.marks(line, below)
