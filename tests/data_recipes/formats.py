"""One policy written as Markdown, HTML, DOCX and PDF: what the tests of the rule readers read."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

Block = tuple[str, Any]  # (title | heading | text, its text) or (table, rows of cells)


def blocks(markdown: str) -> list[Block]:
    found: list[Block] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not found or found[-1][0] != "table":
                found.append(("table", []))
            if not set(cells[0]) <= {"-", " "}:
                found[-1][1].append(cells)
        elif line.startswith("# "):
            found.append(("title", line[2:]))
        elif line.startswith("## "):
            found.append(("heading", line[3:]))
        elif line:
            found.append(("text", line))
    return found


def write_html(path: Path, markdown: str) -> None:
    tags = {"title": "h1", "heading": "h2", "text": "p"}
    body = ""
    for kind, content in blocks(markdown):
        if kind == "table":
            rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in content)
            body += "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
        else:
            body += f"<{tags[kind]}>{html.escape(content)}</{tags[kind]}>\n"
    head = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=gbk"><title>x</title></head>'
    path.write_text(f"{head}<body>{body}</body></html>", encoding="gb18030")


def write_docx(path: Path, markdown: str) -> None:
    import docx

    document = docx.Document()
    for kind, content in blocks(markdown):
        if kind == "table":
            table = document.add_table(rows=0, cols=len(content[0]))
            for row in content:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        elif kind == "text":
            document.add_paragraph(content)
        else:
            document.add_heading(content, level=0 if kind == "title" else 2)
    document.save(str(path))


def write_pdf(path: Path, markdown: str, indent_pt: float = 0, space_pt: float = 3, furniture: str = "") -> None:
    """A4 in the type of a Chinese office document: lines wrap at any character, paragraphs and tables cross pages."""
    from reportlab.lib.enums import TA_CENTER
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

    font = "STSong-Light"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    body = ParagraphStyle("body", fontName=font, fontSize=11, leading=18.7, wordWrap="CJK")
    first = ParagraphStyle("first", parent=body, firstLineIndent=indent_pt)
    heading = ParagraphStyle("heading", parent=body, fontSize=13, leading=26, alignment=TA_CENTER)
    title = ParagraphStyle("title", parent=heading, fontSize=18, leading=34)
    story: list[Flowable] = []
    for kind, content in blocks(markdown):
        if kind == "table":
            cells = [[Paragraph(cell, body) for cell in row] for row in content]
            story.append(
                Table(
                    cells,
                    colWidths=[80] * (len(content[0]) - 1) + [220],
                    style=[("GRID", (0, 0), (-1, -1), 0.5, "black")],
                )
            )
        else:
            story.append(Paragraph(html.escape(content), {"title": title, "heading": heading}.get(kind, first)))
            story.append(Spacer(1, space_pt))

    def decorate(canvas: Any, document: Any) -> None:
        canvas.setFont(font, 9)
        canvas.drawString(64, 810, furniture)
        canvas.drawCentredString(297, 30, f"— {document.page} —")

    template = SimpleDocTemplate(str(path), pagesize=A4, invariant=1, leftMargin=64, rightMargin=64)
    template.build(story, **({"onFirstPage": decorate, "onLaterPages": decorate} if furniture else {}))


WRITERS: dict[str, Callable[[Path, str], None]] = {
    ".html": write_html,
    ".docx": write_docx,
    ".pdf": write_pdf,
}
