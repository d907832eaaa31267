"""Building blocks of the charts: text, lines, marks, axes. Colours come from the page's CSS.

An arm is told by the shape of its mark as well as by its colour: base a square on a dashed line, the format-only
control a diamond, tuned a circle on a solid line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH = 860
_CHAR = 13.2  # width of one Chinese character at the charts' font size; Latin letters take about half


Place = float | str
"""Pixels, or a share of the drawing's width such as 12.5%."""


def line(x1: Place, y1: float, x2: Place, y2: float, style: str) -> str:
    return f'<line x1="{_at(x1)}" y1="{y1:.1f}" x2="{_at(x2)}" y2="{y2:.1f}" class="{style}"/>'


def text(x: Place, y: float, words: str, style: str, anchor: str = "start", room: float | None = None) -> str:
    """One line of text; what does not fit `room` pixels is cut, and then stands whole in the tooltip."""
    shown = words if room is None else fit(words, room)
    told = f"<title>{escape(words)}</title>" if shown != words else ""
    return f'<text x="{_at(x)}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(shown)}{told}</text>'


def marker(x: float, y: float, style: str, size: float = 5, told: str = "") -> str:
    """The mark of an arm: square, diamond or circle by its style."""
    title = f"<title>{escape(told)}</title>" if told else ""
    if style == "base":
        half = size * 0.9
        box = f'x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half:.1f}" height="{2 * half:.1f}"'
        return f'<rect {box} class="mark base">{title}</rect>'
    if style == "control":
        r = size * 1.25
        corners = f"{x:.1f},{y - r:.1f} {x + r:.1f},{y:.1f} {x:.1f},{y + r:.1f} {x - r:.1f},{y:.1f}"
        return f'<polygon points="{corners}" class="mark control">{title}</polygon>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" class="mark {style}">{title}</circle>'


def whisker(x1: float, y1: float, x2: float, y2: float, style: str) -> list[str]:
    """An interval with its end caps, along either axis."""
    across = (0.0, 4.0) if y1 == y2 else (4.0, 0.0)
    parts = [line(x1, y1, x2, y2, f"whisker {style}")]
    for x, y in ((x1, y1), (x2, y2)):
        parts.append(line(x - across[0], y - across[1], x + across[0], y + across[1], f"whisker {style}"))
    return parts


def legend(left: float, entries: Sequence[tuple[str, str]], top: float = 8) -> list[str]:
    """Marks with their labels in a row; `entries` holds (label, style)."""
    parts, x = [], left
    for label, style in entries:
        parts.append(line(x, top + 7, x + 22, top + 7, f"whisker {style}"))
        parts.append(marker(x + 11, top + 7, style))
        parts.append(text(x + 28, top + 12, label, "label"))
        x += 28 + text_width(label) + 22
    return parts


def axis(low: float, high: float, floor: float = -1.0, ceiling: float = 1.0) -> list[float]:
    """Round ticks around the data, inside [floor, ceiling]."""
    span = max(high - low, 0.1)
    steps = [base * 10**power for power in range(-3, 7) for base in (1, 2, 5)]
    step = next(step for step in steps if span / step <= 8)
    first = max(floor, math.floor(low / step + 1e-9) * step)
    last = min(ceiling, math.ceil(max(high, low + 0.1) / step - 1e-9) * step)
    return [first + step * index for index in range(round((last - first) / step) + 1)]


def _at(place: Place) -> str:
    return place if isinstance(place, str) else f"{place:.1f}"


def text_width(words: str) -> float:
    return sum(_CHAR if ord(char) > 0x2E80 else _CHAR * 0.56 for char in words)


def fit(words: str, room: float) -> str:
    """`words`, cut to about `room` pixels."""
    if text_width(words) <= room:
        return words
    while words and text_width(words + "…") > room:
        words = words[:-1]
    return words + "…"


def svg(height: float, parts: Sequence[str], description: str, width: float = WIDTH) -> Markup:
    """The drawing, which scales down with the page but never up; `description` is read out by a screen reader."""
    return Markup(
        f'<div class="chart"><svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg></div>'
    )
