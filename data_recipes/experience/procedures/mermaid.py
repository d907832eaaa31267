"""A procedure as a Mermaid flowchart, for pages and wikis that draw it themselves."""

from __future__ import annotations

from data_recipes.experience.procedures.chart import chart
from tianjing.records import Procedure

_LINES = {"direct": "-->", "branch": "==>", "order": "-.->"}


def mermaid(procedure: Procedure) -> str:
    """Thick arrows are ways of a branch, dotted ones mean somewhere after; optional steps have dashed boxes."""
    drawing = chart(procedure)
    number = {node.step: f"s{place}" for place, node in enumerate(drawing.nodes)}
    lines = ["---", f"title: {_quoted(drawing.title)}", "---", "flowchart TD"]
    for node in drawing.nodes:
        text = "<br/>".join(_safe(part) for part in (f"{node.label} ↻" if node.repeated else node.label, *node.notes))
        lines.append(f'  {number[node.step]}["{text}"]{":::optional" if node.optional else ""}')
    for arrow in drawing.arrows:
        share = f'|"{_safe(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {number[arrow.source]} {_LINES[arrow.kind]}{share} {number[arrow.target]}")
    lines.append("  classDef optional stroke-dasharray: 5 3")
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    """Mermaid's entity codes for what could end a label or be read as markup."""
    return "".join(f"#{ord(character)};" if character in '"#&<>`\\;{}[]()|*_%' else character for character in text)


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes, on one line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
