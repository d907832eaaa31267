"""HTML and DOCX rule documents; list numbering that Word or the browser draws is written out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from data_recipes.readers.document import RuleDocument, Table, build_document
from data_recipes.readers.encoding import decode_file
from data_recipes.readers.markdown import stem

_BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "dt", "dd", "blockquote", "div", "section", "td")


def read_html(path: Path, name: str) -> RuleDocument:
    """Block elements become paragraphs, tables become rows; scripts, styles and navigation go."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(decode_file(path), "html.parser")
    for tag in soup(["script", "style", "nav", "header", "footer"]):
        if tag.name not in ("header", "footer") or not tag.find("h1"):
            tag.decompose()
    tables = tuple(
        tuple(
            tuple(cell.get_text(" ", strip=True) for cell in row.find_all(["td", "th"])) for row in table.find_all("tr")
        )
        for table in soup.find_all("table")
    )
    return build_document(name, stem(path), _html_lines(soup), tables)


def _html_lines(soup: Any) -> Iterator[tuple[str, int]]:
    for br in soup.find_all("br"):
        br.replace_with("\n")
    for block in soup.find_all(_BLOCKS):
        if block.find_parent("table") or (block.name != "li" and block.find(_BLOCKS)):
            continue
        level = int(block.name[1]) if block.name[0] == "h" and block.name[1:].isdigit() else 0
        own = block.get_text("", strip=False)
        if block.name == "li":
            own = "".join(
                part if isinstance(part, str) else part.get_text("")
                for part in block.contents
                if part.name not in ("ol", "ul")
            )
            if block.parent.name == "ol" and own.strip()[:1] not in "（(第":
                position = len(block.find_previous_siblings("li")) + int(block.parent.get("start", 1))
                own = f"（{han(position)}）{own.strip()}"
        for line in own.split("\n"):
            yield line, level


def read_docx(path: Path, name: str) -> RuleDocument:
    """Paragraphs and tables in document order; automatic numbers (第%1条, （%1）) are resolved.

    Raises:
        DataError: it is no DOCX file.
    """
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a DOCX file: {error}", "open it in Word and save it as .docx") from None
    tables: list[Table] = [
        tuple(tuple(cell.text.strip() for cell in row.cells) for row in table.rows) for table in document.tables
    ]
    return build_document(name, stem(path), _docx_lines(document), tables)


def _docx_lines(document: Any) -> Iterator[tuple[str, int]]:
    numbering = _Numbering(document)
    for paragraph in document.paragraphs:
        style = paragraph.style.name if paragraph.style is not None else ""
        level = 1 if style == "Title" else 0
        if style.startswith("Heading ") and style[8:].isdigit():
            level = int(style[8:])
        text = paragraph.text.strip()
        yield (numbering.label(paragraph) + text if text else ""), level


class _Numbering:
    """Counters of Word's automatic numbering (ECMA-376 part 1, 17.9)."""

    def __init__(self, document: Any):
        from docx.oxml.ns import qn

        self._qn = qn
        self._counts: dict[tuple[str, int], int] = {}
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        try:
            root = document.part.numbering_part.element
        except (KeyError, NotImplementedError):
            return
        abstract = {}
        for element in root.findall(qn("w:abstractNum")):
            levels = {}
            for level in element.findall(qn("w:lvl")):
                values = {key: level.find(qn(f"w:{key}")) for key in ("numFmt", "lvlText", "start")}
                read = {key: item.get(qn("w:val")) if item is not None else None for key, item in values.items()}
                index = int(level.get(qn("w:ilvl")))
                levels[index] = (read["numFmt"] or "decimal", read["lvlText"] or "", int(read["start"] or 1))
            abstract[element.get(qn("w:abstractNumId"))] = levels
        for element in root.findall(qn("w:num")):
            target = element.find(qn("w:abstractNumId"))
            if target is not None:
                self._levels[element.get(qn("w:numId"))] = abstract.get(target.get(qn("w:val")), {})

    def label(self, paragraph: Any) -> str:
        properties = paragraph._p.pPr
        if properties is None or properties.numPr is None or properties.numPr.numId is None:
            return ""
        number = str(properties.numPr.numId.val)
        level = properties.numPr.ilvl.val if properties.numPr.ilvl is not None else 0
        levels = self._levels.get(number, {})
        if level not in levels or levels[level][0] == "bullet":
            return ""
        self._counts[number, level] = self._counts.get((number, level), levels[level][2] - 1) + 1
        for deeper in [key for key in self._counts if key[0] == number and key[1] > level]:
            del self._counts[deeper]
        label = levels[level][1]
        for index in range(level + 1):
            style, _, start = levels.get(index, ("decimal", "", 1))
            value = self._counts.get((number, index), start)
            label = label.replace(
                f"%{index + 1}", han(value) if "hinese" in style or "deograph" in style else str(value)
            )
        return label + (" " if label.endswith(("条", "章", "节")) else "")


def han(number: int) -> str:
    """12 -> 十二 (1 to 9999)."""
    digits = "零一二三四五六七八九"
    text = ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            text += digits[digit] + name
        elif text and number and not text.endswith("零"):
            text += "零"
    return text.removeprefix("一") if text.startswith("一十") else text
