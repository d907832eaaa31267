"""PDF rule documents with a text layer: page furniture goes, wrapped lines become paragraphs again, tables stay."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument, Table, build_document
from data_recipes.readers.markdown import stem
from data_recipes.readers.unwrapping import N, PdfLine, common, unwrap

_PAGE_NUMBER = re.compile(
    rf"[-—\s]*(?:第\s*[\d{N}]+\s*页(?:\s*[/,，共]*\s*[\d{N}]+\s*页)?|\d{{1,4}}(?:\s*/\s*\d{{1,4}})?)[-—\s]*"
)
_MARGIN = 0.08  # of the page's height, above and below
_MOST_PARTED = 0.4  # share of the rows of a page of one column that may have a wide gap in them
_SMALL = 0.9  # of the usual size of type
_WIDE = "\u2e80-\uffff"
_WRAP = re.compile(rf"(?<=[{_WIDE}])\n|\n(?=[{_WIDE}])")


def read_pdf(path: Path, name: str) -> RuleDocument:
    """Read the text layer and the tables that are drawn with lines; a table that goes on over a page is one.

    Raises:
        DataError: it is no PDF, is encrypted, or holds no text (a scan).
    """
    # pdfminer, which pdfplumber reads with, carries the character maps of CJK fonts itself; PDFium drops glyphs of a
    # font that is neither embedded in the file nor installed on the machine, and says nothing.
    import pdfplumber

    pages = []
    try:
        with pdfplumber.open(path, laparams={}) as pdf:
            for page in pdf.pages:
                pages.append(_blocks(page))
                page.close()
    except Exception as error:  # a broken file fails wherever the parser first meets what it did not expect
        if "PDFPasswordIncorrect" in repr(error):
            raise DataError(f"{path}: is encrypted", "remove its password, or export it again") from None
        reason = f"{type(error).__name__} {error}".replace("\n", " ").strip()
        raise DataError(f"{path}: cannot be read as PDF: {reason}", "remove its password, or export it again") from None
    if not any(pages):
        raise DataError(
            f"{path}: has no text layer (a scan?)", "run it through text recognition first, or give .docx or .md"
        )
    return build_document(name, stem(path), unwrap(list(_joined(_without_furniture(pages)))))


def _blocks(page: Any) -> list[PdfLine | Table]:
    """Lines and tables of a page in reading order; the lines inside a table are its cells."""
    lines = _in_reading_order(list(_lines(page.layout, page.page_number, page.layout.height)))
    tables = [table for table in page.find_tables() if _is_grid(table)] if _is_ruled(page.layout) else []
    blocks: list[PdfLine | Table] = []
    waiting = sorted(tables, key=lambda table: table.bbox[1])
    for line in lines:
        if any(_holds(table.bbox, line) for table in tables):
            continue
        while waiting and waiting[0].bbox[1] < line.top:
            blocks.append(_table(waiting.pop(0), page.page_number))
        blocks.append(line)
    return blocks + [_table(table, page.page_number) for table in waiting]


def _lines(element: Any, page: int, height: float) -> Iterator[PdfLine]:
    from pdfminer.layout import LTChar, LTTextLine

    if isinstance(element, LTTextLine):
        text = element.get_text().strip()
        if text:
            size = max((part.size for part in element if isinstance(part, LTChar)), default=element.height)
            top, bottom = height - element.y1, height - element.y0
            margin = bottom < _MARGIN * height or top > (1 - _MARGIN) * height
            yield PdfLine(text, page, element.x0, element.x1, top, bottom, size, margin)
    elif isinstance(element, Iterable):
        for part in element:
            yield from _lines(part, page, height)


def _in_reading_order(lines: list[PdfLine]) -> list[PdfLine]:
    """Rows from the top down, each from the left; pieces of one row, which a wide gap has parted, are one line.

    On a page of two columns, where most rows are parted, one column is read after the other.
    """
    rows: list[list[PdfLine]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        if rows and abs(line.top + line.bottom - rows[-1][0].top - rows[-1][0].bottom) < 0.6 * line.size:
            rows[-1].append(line)
        else:
            rows.append([line])
    rows = [sorted(row, key=lambda line: line.x0) for row in rows]
    parted = [row for row in rows if len(row) > 1]
    if len(parted) <= _MOST_PARTED * len(rows):
        return [_row(row) for row in rows]
    gutter = min(common([row[1].x0 for row in parted], 0)) - 1
    return list(_by_columns(rows, gutter))


def _by_columns(rows: list[list[PdfLine]], gutter: float) -> Iterator[PdfLine]:
    """A line across the gutter ends what stands in two columns above it."""
    right: list[PdfLine] = []
    for row in rows:
        if any(line.x0 < gutter < line.x1 for line in row):
            yield from right
            right = []
            yield _row(row)
        else:
            right += [line for line in row if line.x0 >= gutter]
            yield from (line for line in row if line.x0 < gutter)
    yield from right


def _row(pieces: list[PdfLine]) -> PdfLine:
    return replace(pieces[0], text=" ".join(piece.text for piece in pieces), x1=pieces[-1].x1)


def _is_ruled(layout: Any) -> bool:
    from pdfminer.layout import LTCurve, LTFigure

    return sum(isinstance(part, LTCurve | LTFigure) for part in layout) > 1  # lines and rectangles are curves, too


def _is_grid(table: Any) -> bool:
    """A frame around text is no table."""
    return len({cell[0] for cell in table.cells}) > 1


def _holds(box: tuple[float, float, float, float], line: PdfLine) -> bool:
    x, y = (line.x0 + line.x1) / 2, (line.top + line.bottom) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _table(table: Any, page: int) -> Table:
    """The table's grid; each place holds the text of the cell that covers its middle."""
    texts = {
        cell: _WRAP.sub("", text or "").replace("\n", " ")
        for row, read in zip(table.rows, table.extract(), strict=True)
        for cell, text in zip(row.cells, read, strict=True)
        if cell
    }
    columns = sorted({round(edge, 1) for cell in texts for edge in (cell[0], cell[2])})
    rows = sorted({round(edge, 1) for cell in texts for edge in (cell[1], cell[3])})

    def at(x: float, y: float) -> str:
        return next((t for cell, t in texts.items() if cell[0] <= x <= cell[2] and cell[1] <= y <= cell[3]), "")

    grid = tuple(
        tuple(at((left + right) / 2, (top + bottom) / 2) for left, right in itertools.pairwise(columns))
        for top, bottom in itertools.pairwise(rows)
    )
    return Table(grid, page)


def _without_furniture(pages: list[list[PdfLine | Table]]) -> Iterator[PdfLine | Table]:
    """Drop what stands at the edge of a page: its number, small type in the margin, and a line that most pages open or
    close with at the same height."""
    lines = [[block for block in page if isinstance(block, PdfLine)] for page in pages]
    ends = [{id(line) for line in (*page[:1], *page[-1:])} for page in lines]
    opened = Counter(_place(line) for page, edge in zip(lines, ends, strict=True) for line in page if id(line) in edge)
    repeated = {place for place, count in opened.items() if count > 1 and count > len(pages) / 2}
    size = median([line.size for page in lines for line in page] or [1])
    for page, edge in zip(pages, ends, strict=True):
        for block in page:
            if isinstance(block, PdfLine):
                if block.margin and block.size < _SMALL * size:
                    continue
                if id(block) in edge and (_place(block) in repeated or _PAGE_NUMBER.fullmatch(block.text)):
                    continue
            yield block


def _place(line: PdfLine) -> tuple[str, int]:
    return line.text, round(line.top / 10)


def _joined(blocks: Iterable[PdfLine | Table]) -> Iterator[PdfLine | Table]:
    """A table that opens a page and has the columns of the one that closed the page before goes on with it."""
    open_table: Table | None = None
    page = 0  # that the open table has reached
    for block in blocks:
        if isinstance(block, Table) and open_table and block.page == page + 1 and _width(block) == _width(open_table):
            rows = block.rows[1:] if block.rows[0] == open_table.rows[0] else block.rows
            open_table, page = replace(open_table, rows=open_table.rows + rows), page + 1
            continue
        if open_table:
            yield open_table
            open_table = None
        if isinstance(block, Table):
            open_table, page = block, block.page or 0
        else:
            yield block
    if open_table:
        yield open_table


def _width(table: Table) -> int:
    return len(table.rows[0]) if table.rows else 0
