"""Numbers that Word draws before a paragraph (ECMA-376 part 1, 17.9), and Chinese numerals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Level:
    style: str  # w:numFmt
    text: str  # w:lvlText, e.g. 第%1条
    start: int


class Numbering:
    """Counters of a document's automatic numbering; `label` is called for each paragraph in order."""

    def __init__(self, document: Any):
        from docx.oxml.ns import qn

        self._qn = qn
        self._styles = {style.style_id: style.element for style in document.styles}
        self._levels: dict[str, dict[int, _Level]] = {}  # by list (w:abstractNum)
        self._level_of_style: dict[tuple[str, str], int] = {}
        self._lists: dict[str, tuple[str, dict[int, int]]] = {}  # w:num -> its list, and levels that start anew
        self._counts: dict[tuple[str, int], int] = {}
        self._started: set[str] = set()
        # Asking python-docx for the part of a document without lists would look for one in its template.
        parts = [rel.target_part for rel in document.part.rels.values() if rel.reltype.endswith("/numbering")]
        if parts:
            self._read(parts[0].element)

    def label(self, paragraph: Any) -> str:
        """Text that stands before a paragraph (w:p), or nothing; counts it."""
        number, level = self._number(paragraph)
        listed, restarts = self._lists.get(number, ("", {}))
        levels = self._levels.get(listed, {})
        if level not in levels:
            return ""
        if number not in self._started:
            self._started.add(number)
            for restarted, start in restarts.items():
                self._counts[listed, restarted] = start - 1
        self._counts[listed, level] = self._counts.get((listed, level), levels[level].start - 1) + 1
        for deeper in [key for key in self._counts if key[0] == listed and key[1] > level]:
            del self._counts[deeper]
        if levels[level].style in ("bullet", "none"):
            return ""
        label = levels[level].text
        for index in range(level + 1):
            upper = levels.get(index, _Level("decimal", "", 1))
            value = self._counts.get((listed, index), upper.start)
            label = label.replace(f"%{index + 1}", numeral(value, upper.style))
        return label + (" " if label.endswith(("编", "章", "节", "条")) else "")

    def _read(self, root: Any) -> None:
        qn = self._qn
        for element in root.findall(qn("w:abstractNum")):
            identity = element.get(qn("w:abstractNumId"))
            self._levels[identity] = {}
            for level in element.findall(qn("w:lvl")):
                index = int(level.get(qn("w:ilvl")))
                start = self._value(level, "w:start") or "1"
                self._levels[identity][index] = _Level(
                    self._value(level, "w:numFmt") or "decimal", self._value(level, "w:lvlText") or "", int(start)
                )
                if linked := self._value(level, "w:pStyle"):
                    self._level_of_style[identity, linked] = index
        for element in root.findall(qn("w:num")):
            restarts = {
                int(override.get(qn("w:ilvl"))): int(again)
                for override in element.findall(qn("w:lvlOverride"))
                if (again := self._value(override, "w:startOverride"))
            }
            listed = self._value(element, "w:abstractNumId") or ""
            self._lists[element.get(qn("w:numId"))] = (listed, restarts)

    def _number(self, paragraph: Any) -> tuple[str, int]:
        """The list instance and level of a paragraph: its own, else that of its style; numId 0 takes both away."""
        number, level = self._properties(paragraph)
        style = (self._value(paragraph.pPr, "w:pStyle") or "") if paragraph.pPr is not None else ""
        seen: set[str] = set()
        while number is None and style in self._styles and style not in seen:
            seen.add(style)
            number, inherited = self._properties(self._styles[style])
            if level is None and number is not None:
                listed = self._lists.get(number, ("", {}))[0]
                level = self._level_of_style.get((listed, style)) if inherited is None else inherited
            style = self._value(self._styles[style], "w:basedOn") or ""
        return number or "", level or 0

    def _properties(self, element: Any) -> tuple[str | None, int | None]:
        found = element.find(f"{self._qn('w:pPr')}/{self._qn('w:numPr')}")
        if found is None:
            return None, None
        level = self._value(found, "w:ilvl")
        return self._value(found, "w:numId"), int(level) if level is not None else None

    def _value(self, element: Any, name: str) -> str | None:
        child = element.find(self._qn(name))
        return None if child is None else child.get(self._qn("w:val"))


def numeral(value: int, style: str) -> str:
    """A counter in a number format of Word, e.g. 12 as 十二 (chineseCounting), L (upperLetter) or 12 (decimal)."""
    if style == "ideographTraditional":
        return "甲乙丙丁戊己庚辛壬癸"[(value - 1) % 10]
    if style == "ideographDigital":
        return "".join("〇一二三四五六七八九"[int(digit)] for digit in str(value))
    if "ounting" in style or ("hinese" in style and "Enclosed" not in style):
        return han(value)
    if style.startswith("decimalEnclosedCircle") and 1 <= value <= 20:
        return chr(0x2460 + value - 1)
    if style in ("lowerLetter", "upperLetter"):
        letter = chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letter.upper() if style[0] == "u" else letter
    if style in ("lowerRoman", "upperRoman"):
        roman = _roman(value)
        return roman.upper() if style[0] == "u" else roman
    return f"{value:02d}" if style == "decimalZero" else str(value)


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


def _roman(value: int) -> str:
    text = ""
    for unit, letters in (
        (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
        (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
    ):  # fmt: skip
        count, value = divmod(value, unit)
        text += letters * count
    return text
