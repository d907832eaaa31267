"""A rule document after reading: paragraphs with offsets into the extracted text, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tianjing.text import tidy

Table = tuple[tuple[str, ...], ...]


_CHAPTER = re.compile(r"第[零〇一二三四五六七八九十百\d]+(?:分编|编|章|节)")


@dataclass(frozen=True)
class Paragraph:
    """One paragraph and where it starts in the document's extracted text (characters)."""

    text: str
    start: int
    heading_level: int = 0  # 1 for a title; 0 for running text
    page: int | None = None  # it begins on, counted from 1; none for formats without pages


@dataclass(frozen=True)
class RuleDocument:
    """A rule document. `file` is its path relative to the folder it was read from."""

    file: str
    title: str
    paragraphs: tuple[Paragraph, ...]
    tables: tuple[Table, ...] = ()


def build_document(
    file: str, stem: str, lines: Iterable[tuple[str, int]], tables: Iterable[Table] = ()
) -> RuleDocument:
    """Assemble a document from (text, heading level) lines; empty lines go, the title is the top headings or `stem`."""
    paragraphs, start = [], 0
    for raw, level in lines:
        text = tidy(raw.replace("\n", ""))
        if text:
            paragraphs.append(Paragraph(text, start, level))
            start += len(text) + 1
    return RuleDocument(file, _title(paragraphs) or stem, tuple(paragraphs), tuple(tables))


def _title(paragraphs: list[Paragraph]) -> str:
    """民法典 + 合同编 give 民法典合同编; the state's name in front goes, as in everyday citation."""
    # In Word a chapter is often a first-level heading below the title style; it is no part of the name.
    titles = [p.text for p in paragraphs if p.heading_level == 1 and not _CHAPTER.match(p.text)]
    return "".join(title.strip("《》").removeprefix("中华人民共和国").replace(" ", "") for title in titles[:2])
