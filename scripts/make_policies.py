#!/usr/bin/env python3
"""Render the six policies of the sample corpus to Markdown, HTML, DOCX and PDF, byte for byte the same each time.

Needs the `dev` extra (python-docx, reportlab). Example: python scripts/make_policies.py examples/raw/rules
"""

from __future__ import annotations

import html
import io
import sys
import zipfile
from datetime import datetime
from pathlib import Path

from tianjing.files import atomic_write
from tianjing.simulation.policies import SOURCES, source

_FORMATS = {"R": "md", "C": "html", "B": "docx", "F": "pdf", "P": "md", "D": "docx"}
_FIXED_DATE = datetime(2026, 1, 1)
_PDF_MARGIN_PT = 64
_PDF_BODY_PT = 11


def blocks(text: str) -> list[tuple[str, str | list[list[str]]]]:
    """(kind, content) of a policy source; kind is title, heading, paragraph or table (rows of cells)."""
    found: list[tuple[str, str | list[list[str]]]] = []
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not set(cells[0]) <= {"-", " "}:
                rows.append(cells)
        elif line.startswith("# "):
            found.append(("title", line[2:]))
        elif line.startswith("## "):
            found.append(("heading", line[3:]))
        elif line:
            found.append(("paragraph", line))
    if rows:
        found.append(("table", rows))
    return found


def to_html(text: str) -> bytes:
    tags = {"title": "h1", "heading": "h2", "paragraph": "p"}
    body = []
    title = ""
    for kind, content in blocks(text):
        assert isinstance(content, str), "the HTML policy has no table"
        title = title or content
        body.append(f"<{tags[kind]}>{html.escape(content)}</{tags[kind]}>")
    style = "body{max-width:46em;margin:2em auto;font-family:serif;line-height:1.8}h1,h2{text-align:center}"
    page = (
        f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )
    return page.encode()


def to_docx(text: str) -> bytes:
    import docx
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    document = docx.Document()
    properties = document.core_properties
    properties.author = "晨舟消费金融有限公司"
    properties.created = properties.modified = _FIXED_DATE
    for kind, content in blocks(text):
        if isinstance(content, list):
            table = document.add_table(rows=0, cols=len(content[0]))
            table.style = "Table Grid"
            for row in content:
                for cell, value in zip(table.add_row().cells, row, strict=True):
                    cell.text = value
        elif kind == "paragraph":
            document.add_paragraph(content)
        else:
            heading = document.add_heading(content, level=0 if kind == "title" else 2)
            heading.alignment = WD_ALIGN_PARAGRAPH.CENTER
            if kind == "title":
                properties.title = content
    written = io.BytesIO()
    document.save(written)
    return _with_fixed_times(written.getvalue())


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip archive with every entry dated alike, so that equal content gives equal bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(written, "w") as new:
        for name in sorted(old.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            entry = zipfile.ZipInfo(name, date_time=_FIXED_DATE.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return written.getvalue()


def to_pdf(text: str) -> bytes:
    from reportlab.lib.enums import TA_CENTER
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer

    font = "STSong-Light"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    body = ParagraphStyle("body", fontName=font, fontSize=_PDF_BODY_PT, leading=_PDF_BODY_PT * 1.7, wordWrap="CJK")
    heading = ParagraphStyle("heading", parent=body, fontSize=13, leading=26, alignment=TA_CENTER)
    title = ParagraphStyle("title", parent=heading, fontSize=18, leading=34)
    story: list[Flowable] = []
    name = ""
    for kind, content in blocks(text):
        assert isinstance(content, str), "the PDF policy has no table"
        name = name or content
        story.append(Paragraph(content, {"title": title, "heading": heading}.get(kind, body)))
        story.append(Spacer(1, 3))
    written = io.BytesIO()
    template = SimpleDocTemplate(
        written,
        pagesize=A4,
        invariant=1,
        title=name,
        author="晨舟消费金融有限公司",
        leftMargin=_PDF_MARGIN_PT,
        rightMargin=_PDF_MARGIN_PT,
        topMargin=_PDF_MARGIN_PT,
        bottomMargin=_PDF_MARGIN_PT,
    )
    template.build(story)
    return written.getvalue()


def render(out: Path) -> list[Path]:
    """Write the six documents into `out`; returns their paths."""
    writers = {"md": str.encode, "html": to_html, "docx": to_docx, "pdf": to_pdf}
    paths = []
    for prefix in SOURCES:
        text = source(prefix)
        path = out / f"{text.splitlines()[0].removeprefix('# ')}.{_FORMATS[prefix]}"
        atomic_write(path, writers[_FORMATS[prefix]](text))
        paths.append(path)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit((__doc__ or "").strip())
    for written_path in render(Path(sys.argv[1])):
        print(written_path)
