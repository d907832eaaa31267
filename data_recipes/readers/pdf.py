"""PDF rule documents with a text layer: page furniture goes, wrapped lines become paragraphs again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument, build_document
from data_recipes.readers.markdown import stem

_N = "零〇一二三四五六七八九十百千"
_PAGE_NUMBER = re.compile(
    rf"[-—\s]*(?:第\s*[\d{_N}]+\s*页(?:\s*[/,，共]*\s*[\d{_N}]+\s*页)?|\d{{1,4}}(?:\s*/\s*\d{{1,4}})?)[-—\s]*"
)
_OPENS = re.compile(rf"第[{_N}]+(?:编|分编|章|节|条)|[（(][{_N}\d]+[)）]|附\s*[则件录]")
_ENDS = ("。", "；", "：", "！", "？", ";", ":", "”")


def read_pdf(path: Path, name: str) -> RuleDocument:
    """Read the text layer.

    Raises:
        DataError: it is no PDF, is encrypted, or holds no text (a scan).
    """
    # pdfminer carries the character maps of CJK fonts itself; PDFium drops glyphs of a font that is neither embedded in
    # the file nor installed on the machine, and says nothing.
    from pdfminer.high_level import extract_pages
    from pdfminer.pdfexceptions import PDFException
    from pdfminer.psexceptions import PSException

    try:
        pages = [list(_lines(page)) for page in extract_pages(path)]
    except (PDFException, PSException) as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as PDF: {reason}", "remove its password, or export it again") from None
    if not any(line.strip() for page in pages for line in page):
        raise DataError(
            f"{path}: has no text layer (a scan?)", "run it through text recognition first, or give .docx or .md"
        )
    lines = list(_without_furniture(pages))
    return build_document(name, stem(path), _unwrap(lines))


def _lines(element: Any) -> Iterator[str]:
    from pdfminer.layout import LTTextLine

    if isinstance(element, LTTextLine):
        yield element.get_text()
    elif isinstance(element, Iterable):
        for part in element:
            yield from _lines(part)


def _without_furniture(pages: list[list[str]]) -> Iterator[str]:
    """Drop page numbers, and headers and footers: lines that stand first or last on most of three or more pages."""
    edges = Counter(line.strip() for page in pages for line in {*page[:1], *page[-1:]})
    repeated = {line for line, count in edges.items() if len(pages) >= 3 and count > len(pages) / 2}
    for page in pages:
        for line in page:
            text = line.strip()
            if text and text not in repeated and not _PAGE_NUMBER.fullmatch(text):
                yield text


def _unwrap(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Join wrapped lines: a paragraph opens after a sentence end, after a heading, or at 第…条, （一） and the like.

    A line such as “第三条规定的…” continues the sentence before it; one that opens with 第…条 after an unfinished
    sentence is therefore no new article.
    """
    paragraph, short = "", 0
    width = max((len(line) for line in lines), default=0)
    for number, line in enumerate(lines):
        opens = bool(_OPENS.match(line))
        unfinished = bool(paragraph) and not paragraph.endswith(_ENDS)
        heading = bool(re.fullmatch(rf"第[{_N}]+(?:编|分编|章|节).{{0,30}}", paragraph)) or bool(short)
        if paragraph and (
            not unfinished
            or (heading and not paragraph.endswith("第"))
            or (opens and _ended(paragraph, width, lines[number - 1]))
        ):
            yield paragraph, short
            paragraph = ""
        short = int(not paragraph and number == 0 and len(line) <= 40 and not opens)
        paragraph += (
            " " if paragraph and paragraph[-1].isascii() and paragraph[-1].isalnum() and line[0].isascii() else ""
        ) + line
    if paragraph:
        yield paragraph, short


def _ended(paragraph: str, width: int, last_line: str) -> bool:
    """A line clearly shorter than the page's width was not wrapped."""
    return len(last_line) < width - 3 and not paragraph.endswith(("第", "，", "、", "和", "或"))
