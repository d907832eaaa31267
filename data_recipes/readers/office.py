"""DOCX rule documents: what Word shows with all changes accepted, with its automatic numbers written out."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.document import Line, Note, RuleDocument, Table, build_document, span_rows
from data_recipes.readers.markdown import stem
from data_recipes.readers.numbering import Numbering, han

__all__ = ["han", "read_docx"]

_OLE = b"\xd0\xcf\x11\xe0"  # a compound file: an encrypted .docx, or a .doc
_MOST_BYTES = 512 << 20  # unpacked; a zip archive can claim far more than a person ever wrote
_SPACES = {"tab": " ", "noBreakHyphen": "-", "br": "\n", "cr": "\n"}
# Deleted and moved text, codes of fields, properties, and the second copy of what an old Word cannot draw.
_NOT_TEXT = frozenset({"del", "moveFrom", "instrText", "delText", "pPr", "rPr", "Fallback", "rt"})


def read_docx(path: Path, name: str) -> RuleDocument:
    """Paragraphs and tables in document order, and foot- and endnotes.

    Text boxes and content controls are read, a table of contents is not. Tracked insertions are text, tracked
    deletions are none.

    Raises:
        DataError: it is no DOCX file, is encrypted, or is broken.
    """
    try:
        _check(path)
        return build_document(name, stem(path), _Word(path).blocks())
    except DataError:
        raise
    except Exception as error:  # a broken part fails wherever python-docx, lxml or zlib first meets it
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'broken'}"
        raise DataError(f"{path}: not a DOCX file: {reason}", "open it in Word and save it as .docx") from None


def _check(path: Path) -> None:
    with open(path, "rb") as stream:
        if stream.read(4) == _OLE:
            raise DataError(
                f"{path}: encrypted, or an old .doc", "open it in Word, remove the password and save it as .docx"
            )
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MOST_BYTES:
        raise DataError(f"{path}: unpacks to {size:,} bytes", "open it in Word and save it as .docx without pictures")


class _Word:
    """A document's body as blocks."""

    def __init__(self, path: Path):
        import docx

        document = docx.Document(str(path))
        self._body = document.element.body
        self._numbering = Numbering(document)
        self._styles = {style.style_id: style for style in document.styles}
        self._notes = _notes(document)
        self._carried = ""  # a paragraph whose mark is deleted runs on into the next one

    def blocks(self) -> Iterator[Line | Table | Note]:
        yield from self._within(self._body)
        if self._carried:
            yield self._carried, 0

    def _within(self, parent: Any) -> Iterator[Line | Table | Note]:
        for element in parent.iterchildren("{*}*"):
            tag = _tag(element)
            if tag == "p":
                yield from self._paragraph(element)
            elif tag == "tbl":
                yield from self._table(element)
            elif tag not in _NOT_TEXT and not (tag == "sdt" and _is_contents(element)):
                yield from self._within(element)

    def _paragraph(self, paragraph: Any) -> Iterator[Line | Table | Note]:
        style = self._style(paragraph)
        if style.lower().startswith("toc "):
            return
        boxes: list[Any] = []
        notes: list[str] = []
        text = "".join(_text(paragraph, boxes, notes)).strip()
        if text:
            text = self._numbering.label(paragraph) + text
        text, self._carried = self._carried + text, ""
        if _mark_is_deleted(paragraph):
            self._carried = text
        else:
            level = self._level(paragraph, style)
            # A break inside a heading is layout, one inside running text separates what Word shows as two paragraphs.
            for line in text.split("\n") if not level else [text]:
                yield line, level
        for reference in notes:
            if self._notes.get(reference):
                yield Note(self._notes[reference], 0)
        for box in boxes:
            yield from self._within(box)

    def _style(self, paragraph: Any) -> str:
        identity = paragraph.style
        style = self._styles.get(identity) if identity else None
        return str(style.name or "") if style is not None else ""

    def _level(self, paragraph: Any, style: str) -> int:
        if style == "Title":
            return 1
        if style.startswith("Heading ") and style[8:].isdigit():
            return int(style[8:])
        outline = _outline(paragraph)
        element = self._styles[paragraph.style].element if paragraph.style in self._styles else None
        seen = 0
        while outline is None and element is not None and seen < 20:
            outline, seen = _outline(element), seen + 1
            based = element.find("{*}basedOn")
            base = self._styles.get(_val(based)) if based is not None else None
            element = base.element if base is not None else None
        return outline + 1 if outline is not None and outline < 9 else 0

    def _table(self, table: Any) -> Iterator[Line | Table | Note]:
        rows = [
            row for row in table.iter("{*}tr") if _owner(row, "tbl") is table and row.find("{*}trPr/{*}del") is None
        ]
        cells = [[cell for cell in row.iter("{*}tc") if _owner(cell, "tr") is row] for row in rows]
        if all(len(row) == 1 for row in cells):  # a frame around text
            for row in cells:
                yield from self._within(row[0])
            return
        inside: list[Table | Note] = []
        yield Table(span_rows(self._rows(rows, cells, inside)))
        yield from inside

    def _rows(
        self, rows: list[Any], cells: list[list[Any]], inside: list[Table | Note]
    ) -> list[list[tuple[str, int, int]]]:
        """Cells with the columns they span; one that is merged into the cell above takes its text."""
        read: list[list[tuple[str, int, int]]] = []
        above: dict[int, str] = {}
        for row, own in zip(rows, cells, strict=True):
            column = int(_val(row.find("{*}trPr/{*}gridBefore")) or 0)
            texts: list[tuple[str, int, int]] = [("", 1, 1)] * column
            for cell in own:
                blocks = list(self._within(cell))
                inside += [block for block in blocks if isinstance(block, Table | Note)]
                text = " ".join(block[0] for block in blocks if isinstance(block, tuple) and block[0])
                span = int(_val(cell.find("{*}tcPr/{*}gridSpan")) or 1)
                merge = cell.find("{*}tcPr/{*}vMerge")
                if merge is not None and _val(merge) != "restart":
                    text = above.get(column, text)
                above[column] = text
                texts.append((text, min(span, 1_000), 1))
                column += span
            read.append(texts)
        return read


def _text(element: Any, boxes: list[Any], notes: list[str]) -> Iterator[str]:
    for child in element.iterchildren("{*}*"):
        tag = _tag(child)
        if tag == "t":
            yield child.text or ""
        elif tag in _SPACES:
            page_break = tag == "br" and child.get(_w(child, "type")) in ("page", "column")
            yield "" if page_break else _SPACES[tag]
        elif tag == "txbxContent":
            boxes.append(child)
        elif tag in ("footnoteReference", "endnoteReference"):
            notes.append(f"{tag[:-9]}:{child.get(_w(child, 'id'))}")
        elif tag not in _NOT_TEXT:
            yield from _text(child, boxes, notes)


def _notes(document: Any) -> dict[str, str]:
    """Text by “footnote:id” and “endnote:id”."""
    from docx.oxml.parser import parse_xml

    found = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2].removesuffix("s")
        if kind in ("footnote", "endnote") and not relation.is_external:
            for note in parse_xml(relation.target_part.blob).iterchildren("{*}" + kind):
                text = "".join("".join(_text(part, [], [])) for part in note.iterchildren("{*}p"))
                found[f"{kind}:{note.get(_w(note, 'id'))}"] = text
    return found


def _mark_is_deleted(paragraph: Any) -> bool:
    return paragraph.find("{*}pPr/{*}rPr/{*}del") is not None


def _is_contents(control: Any) -> bool:
    gallery = control.find("{*}sdtPr/{*}docPartObj/{*}docPartGallery")
    return gallery is not None and _val(gallery) == "Table of Contents"


def _outline(element: Any) -> int | None:
    level = element.find("{*}pPr/{*}outlineLvl")
    value = _val(level)
    return int(value) if value.isdigit() else None


def _owner(element: Any, tag: str) -> Any:
    """The nearest element around this one with a tag."""
    return next((above for above in element.iterancestors("{*}" + tag)), None)


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _w(element: Any, name: str) -> str:
    """An attribute's name in the namespace of its element."""
    return f"{str(element.tag).rpartition('}')[0]}}}{name}"


def _val(element: Any) -> str:
    return "" if element is None else element.get(_w(element, "val")) or ""
