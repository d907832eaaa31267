"""A document as text in one of its layouts, and the text as recognised boxes on a page.

A file in `layouts/` holds the layouts of one kind, divided by lines of three hyphens. A layout names fields in braces,
`{field:form}` for another form of `Style.write`, and `{rows}` for the table; a first part `row: …` is the layout of a
line of that table. Two spaces divide the cells of a line.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tianjing.simulation.documents.values import Fields, Style

_PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
_CELL_GAP = re.compile(r" {2,}")
# Pixels of an A4 page at 150 dots an inch (1240 by 1754).
_MARGIN, _LINE_HEIGHT, _CHAR_WIDTH, _BOX_HEIGHT = 90, 46, 24, 30


@dataclass(frozen=True)
class Layouts:
    """The layouts of a kind, and the one of a line of its table ("" without a table)."""

    whole: tuple[str, ...]
    row: str


def read_layouts(kind: str) -> Layouts:
    """The layouts of the kind with this name."""
    text = (files(__package__) / "layouts" / f"{kind}.txt").read_text(encoding="utf-8")
    parts = text.removesuffix("\n").split("\n---\n")
    row = parts.pop(0).removeprefix("row: ") if parts[0].startswith("row: ") else ""
    return Layouts(tuple(parts), row)


def render(layouts: Layouts, fields: Fields, rng: random.Random) -> str:
    """The document in one of its layouts; one style of dates and money throughout."""
    style = Style(rng)

    def fill(layout: str, values: Fields) -> str:
        return _PLACE.sub(lambda place: style.write(values[place[1]], place[2] or ""), layout)

    layout = rng.choice(layouts.whole)
    if layouts.row:
        layout = layout.replace("{rows}", "\n".join(fill(layouts.row, row) for row in fields["rows"]))
    return fill(layout, fields)


def boxes(text: str, rng: random.Random) -> list[dict[str, Any]]:
    """Each cell of each line as a box `{text, x, y, width, height}` in pixels, slightly out of line, as a scan is."""
    found = []
    skew = rng.uniform(-0.004, 0.004)
    for number, line in enumerate(text.split("\n")):
        x = _MARGIN + rng.randint(0, 12)
        for cell in _CELL_GAP.split(line):
            width = len(cell) * _CHAR_WIDTH
            y = round(_MARGIN + number * _LINE_HEIGHT + x * skew) + rng.randint(-3, 3)
            found.append({"text": cell, "x": x, "y": y, "width": width, "height": _BOX_HEIGHT})
            x += width + rng.randint(40, 90)
    return found
