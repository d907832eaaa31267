"""Markdown and plain text rule documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_recipes.readers.document import Line, RuleDocument, Table, build_document
from data_recipes.readers.encoding import decode_file

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_RULE_ROW = re.compile(r"\|?[\s:|-]+\|?$")
_EMPHASIS = re.compile(r"(\*\*|__)(.+?)\1")
_BAR = re.compile(r"(?<!\\)\|")


def read_markdown(path: Path, name: str) -> RuleDocument:
    """Headings, paragraphs and pipe tables; comments go, list bullets go, emphasis marks go."""
    return build_document(name, stem(path), _blocks(_COMMENT.sub("", decode_file(path)).splitlines()))


def read_text(path: Path, name: str) -> RuleDocument:
    """Every line is a paragraph; the first one is the title if it reads like one."""
    lines = [line.strip() for line in decode_file(path).splitlines() if line.strip()]
    titled = (
        bool(lines) and len(lines[0]) <= 40 and not re.match(r"第.+[章条]", lines[0]) and lines[0][-1] not in "。；："
    )
    return build_document(name, stem(path), ((line, int(titled and i == 0)) for i, line in enumerate(lines)))


def stem(path: Path) -> str:
    """File name without extension and without a date in parentheses."""
    return re.sub(r"[(（]\d{4}-\d{2}-\d{2}[)）]$", "", path.stem)


def _blocks(lines: list[str]) -> Iterator[Line | Table]:
    rows: list[tuple[str, ...]] = []
    for line in [*lines, ""]:
        text = line.strip()
        if text.startswith("|"):
            if not _RULE_ROW.fullmatch(text):
                rows.append(_cells(text))
            continue
        if rows:
            yield Table(tuple(rows))
            rows = []
        heading = _HEADING.match(text)
        if heading:
            yield heading[2], len(heading[1])
        else:
            yield re.sub(r"^(?:[-*+>]\s+)+", "", _EMPHASIS.sub(r"\2", text)), 0


def _cells(row: str) -> tuple[str, ...]:
    inner = row.removeprefix("|")
    inner = inner.removesuffix("|") if not inner.endswith("\\|") else inner
    return tuple(_EMPHASIS.sub(r"\2", cell.strip()).replace("\\|", "|") for cell in _BAR.split(inner))
