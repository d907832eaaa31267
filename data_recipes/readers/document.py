"""A rule document after reading: paragraphs with offsets into the extracted text, tables and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tianjing.text import tidy

# NFKC would leave the bare digit, which reads as part of the text.
_CIRCLED = re.compile(r"^\s*([①-⑳])\s*")
_CHAPTER = re.compile(r"第[零〇一二三四五六七八九十百\d]+(?:分编|编|章|节)")


@dataclass(frozen=True)
class Paragraph:
    """One paragraph and where it starts in the document's extracted text (characters).

    `number` is its place among the document's paragraphs, from 1; `page` is the page it opens on, from 1, in formats
    that have pages.
    """

    text: str
    start: int
    heading_level: int = 0  # 1 for a title; 0 for running text
    number: int = 0
    page: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells; a merged cell stands in every place that it covers.

    `after` is the number of the paragraph that the table follows, 0 where none does; `page` is the page it opens on.
    """

    rows: tuple[tuple[str, ...], ...]
    page: int | None = None
    after: int = 0


@dataclass(frozen=True)
class Note:
    """A foot- or endnote, which is no part of the running text, and the number of the paragraph that refers to it."""

    text: str
    paragraph: int


@dataclass(frozen=True)
class RuleDocument:
    """A rule document. `file` is its path relative to the folder it was read from."""

    file: str
    title: str
    paragraphs: tuple[Paragraph, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[Note, ...] = ()


Line = tuple[str, int] | tuple[str, int, int]
"""Text and heading level, and the page where the format has pages."""


def build_document(file: str, stem: str, blocks: Iterable[Line | Table | Note]) -> RuleDocument:
    """Assemble a document from its blocks in order; empty lines go, the title is the top headings or `stem`.

    A note follows the line that refers to it.
    """
    paragraphs: list[Paragraph] = []
    tables: list[Table] = []
    notes: list[Note] = []
    start = 0
    for block in blocks:
        if isinstance(block, Table):
            rows = tuple(tuple(tidy(cell) for cell in row) for row in block.rows)
            if any(map(any, rows)):
                tables.append(replace(block, rows=rows, after=len(paragraphs)))
        elif isinstance(block, Note):
            notes.append(Note(tidy(block.text), len(paragraphs)))
        elif text := tidy(_CIRCLED.sub(_uncircled, block[0].replace("\n", ""))):
            page = block[2] if len(block) == 3 else None
            paragraphs.append(Paragraph(text, start, block[1], len(paragraphs) + 1, page))
            start += len(text) + 1
    return RuleDocument(file, _title(paragraphs) or stem, tuple(paragraphs), tuple(tables), tuple(notes))


def span_rows(rows: Iterable[Iterable[tuple[str, int, int]]]) -> tuple[tuple[str, ...], ...]:
    """Rows of (text, columns, rows that the cell covers) as a grid: a merged cell stands in every place it covers."""
    grid: list[tuple[str, ...]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column -> text and rows that it still covers
    for row in rows:
        cells: list[str] = []

        def fill(cells: list[str] = cells) -> None:
            while (column := len(cells)) in hanging:
                text, left = hanging.pop(column)
                cells.append(text)
                if left > 1:
                    hanging[column] = text, left - 1

        covering: dict[int, tuple[str, int]] = {}
        for text, columns, deep in row:
            fill()
            for _ in range(columns):
                if deep > 1:
                    covering[len(cells)] = text, deep - 1
                cells.append(text)
        fill()
        hanging.update(covering)
        grid.append(tuple(cells))
    return tuple(grid)


def _uncircled(match: re.Match[str]) -> str:
    return f"{ord(match[1]) - ord('①') + 1}、"


def _title(paragraphs: list[Paragraph]) -> str:
    """民法典 + 合同编 give 民法典合同编; the state's name in front goes, as in everyday citation."""
    # In Word a chapter is often a first-level heading below the title style; it is no part of the name.
    titles = [p.text for p in paragraphs if p.heading_level == 1 and not _CHAPTER.match(p.text)]
    return "".join(title.strip("《》").removeprefix("中华人民共和国").replace(" ", "") for title in titles[:2])
