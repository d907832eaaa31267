"""HTML rule documents: blocks become paragraphs, list numbers that the browser draws are written out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from data_recipes.errors import DataError
from data_recipes.readers.document import Line, RuleDocument, Table, build_document, span_rows
from data_recipes.readers.encoding import decode_file
from data_recipes.readers.markdown import stem
from data_recipes.readers.numbering import han

if TYPE_CHECKING:
    from bs4.element import Tag

_INLINE = frozenset(
    "a abbr b bdi bdo big center cite code dfn em font i ins kbd label mark o:p q ruby s samp small span strong sub "
    "sup time tt u var wbr".split()
)
_SKIPPED = frozenset(
    "script style nav footer template noscript head del rp rt button select textarea iframe svg".split()
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_NUMBERED = re.compile(r"[（(第]|[\d一二三四五六七八九十]+[、.．)）]")
_WIDE = "\u2e80-\ufffd"
_BROKEN_LINE = re.compile(rf"(?<=[{_WIDE}])\s*\n\s*|\s*\n\s*(?=[{_WIDE}])")
_MOST_COLUMNS = 1_000  # of one cell, as browsers have it


def read_html(path: Path, name: str) -> RuleDocument:
    """Every text of the page but scripts, styles, navigation and what is deleted or hidden.

    A table that has one column only, or headings in its cells, lays the page out: its cells are paragraphs.

    Raises:
        DataError: its encoding is unknown, its markup is broken, or its elements are nested beyond reason.
    """
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    page = _Page()
    try:
        page.walk(BeautifulSoup(_decode(path), "html.parser"), 0)
    except RecursionError:
        raise DataError(f"{path}: elements nested too deeply", "save the page again from a browser") from None
    except ParserRejectedMarkup as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(f"{path}: broken markup: {reason}", "save the page again from a browser") from None
    page.flush(0)
    return build_document(name, stem(path), page.blocks)


def _decode(path: Path) -> str:
    """UTF-8 and GB 18030 are recognised whatever the page declares; another declared encoding is believed."""
    head = path.read_bytes()
    declared = _CHARSET.search(head[:4096])
    codec = declared[1].decode().lower() if declared else "utf-8"
    if codec in ("utf-8", "utf8", "gb2312", "gbk", "gb18030", "x-gbk"):
        return decode_file(path)
    try:
        return head.decode(codec)
    except (LookupError, UnicodeDecodeError):
        return decode_file(path)


class _Page:
    """Collects the blocks of a page in reading order."""

    def __init__(self) -> None:
        self.blocks: list[Line | Table] = []
        self._inline: list[str] = []
        self._label = ""  # of the list item whose text has not begun

    def flush(self, level: int) -> None:
        """End the paragraph that stands open."""
        text = _BROKEN_LINE.sub("", "".join(self._inline)).replace("\n", " ").strip()
        self._inline = []
        if text:
            self.blocks.append((text if _NUMBERED.match(text) else self._label + text, level))
            self._label = ""

    def walk(self, node: Tag, level: int) -> None:
        from bs4.element import NavigableString, PreformattedString, Tag

        for child in node.children:
            if isinstance(child, NavigableString):
                if not isinstance(child, PreformattedString):  # comments and declarations
                    self._text(str(child), node.name == "pre", level)
            elif isinstance(child, Tag) and not _is_skipped(child):
                if child.name == "br":
                    self.flush(level)
                elif child.name in _INLINE:
                    self.walk(child, level)
                else:
                    self._block(child, level)

    def _text(self, text: str, preformatted: bool, level: int) -> None:
        for number, line in enumerate(text.split("\n") if preformatted else [text]):
            if number:
                self.flush(level)
            self._inline.append(line)

    def _block(self, tag: Tag, level: int) -> None:
        self.flush(level)
        if tag.name == "table":
            self._table(tag)
            return
        if tag.name == "li" and tag.parent is not None and tag.parent.name == "ol":
            self._label = f"（{han(_position(tag))}）"
        inner = _HEADINGS.index(tag.name) + 1 if tag.name in _HEADINGS else level
        self.walk(tag, inner)
        self.flush(inner)
        if tag.name == "li":
            self._label = ""

    def _table(self, table: Tag) -> None:
        rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
        cells = [[cell for cell in row.find_all(["td", "th"]) if cell.find_parent("tr") is row] for row in rows]
        full = [[cell for cell in row if cell.get_text(strip=True)] for row in cells]
        lays_out = all(len(row) <= 1 for row in full) or any(
            heading.find_parent("table") is table for heading in table.find_all(_HEADINGS)
        )
        if lays_out:
            for child in table.find_all(["caption", "td", "th"]):
                if child.find_parent("table") is table:
                    self._block(child, 0)
            return
        for caption in table.find_all("caption", recursive=False):
            self._block(caption, 0)
        nested: list[Table] = []
        read = []
        for row in cells:
            texts = []
            for cell in row:
                text, inside = _cell(cell)
                nested += inside
                columns = max(1, min(_number(cell, "colspan"), _MOST_COLUMNS))
                texts.append((text, columns, max(1, min(_number(cell, "rowspan"), len(rows)))))
            read.append(texts)
        self.blocks += [Table(span_rows(read)), *nested]


def _cell(cell: Tag) -> tuple[str, list[Table]]:
    page = _Page()
    page.walk(cell, 0)
    page.flush(0)
    texts = [block[0] for block in page.blocks if not isinstance(block, Table)]
    return " ".join(texts), [block for block in page.blocks if isinstance(block, Table)]


def _position(item: Tag) -> int:
    """Number that the browser draws before an item of an ordered list."""
    if item.get("value"):
        return _number(item, "value")
    assert item.parent is not None
    return len(item.find_previous_siblings("li")) + _number(item.parent, "start")


def _number(tag: Tag, attribute: str) -> int:
    value = str(tag.get(attribute, "1"))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 1


def _is_skipped(tag: Tag) -> bool:
    if tag.name in _SKIPPED or tag.has_attr("hidden") or _HIDDEN.search(str(tag.get("style", ""))):
        return True
    return tag.name == "header" and tag.find("h1") is None
