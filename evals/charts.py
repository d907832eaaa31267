"""Inline SVG for the report: forest plot, bars with error bars, pass^k curves. Colours come from the page's CSS.

Values are shares in [-1, 1] and are labelled in per cent. A null interval is drawn as a point alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Bound = float | None

WIDTH = 860
_ROW = 30
_CHAR = 13.2  # width of one Chinese character at the charts' font size; Latin letters take about half


@dataclass(frozen=True)
class Mark:
    """One value with its interval, drawn in the colour of its CSS class."""

    label: str
    value: float
    low: Bound
    high: Bound
    style: str


def forest(groups: Sequence[tuple[str, Sequence[Mark]]], axis: str) -> Markup:
    """One line per difference, grouped by task, with a line at zero; the figures stand in words at the right."""
    left, right, top = 240, 180, 14
    marks = [mark for _, rows in groups for mark in rows]
    ends = [value for mark in marks for value in (mark.low, mark.value, mark.high) if value is not None]
    first, last, step = _axis(min([0.0, *ends]), max([0.0, *ends]))
    plot = WIDTH - left - right

    def x(value: float) -> float:
        return left + plot * (value - first) / (last - first)

    height = top + sum(_ROW * (len(rows) + 1) for _, rows in groups) + 44
    bottom = height - 44
    parts = []
    for tick in _ticks(first, last, step):
        style = "zero" if abs(tick) < 1e-9 else "grid"
        parts.append(_line(x(tick), top, x(tick), bottom, style))
        parts.append(_text(x(tick), bottom + 17, _points(tick), "tick", "middle"))
    y = top
    for title, rows in groups:
        y += _ROW
        parts.append(_text(4, y - 9, title, "group"))
        for mark in rows:
            y += _ROW
            middle = y - 14
            parts.append(_text(16, middle + 5, mark.label, "label"))
            if mark.low is not None and mark.high is not None:
                parts.append(_line(x(mark.low), middle, x(mark.high), middle, f"whisker {mark.style}"))
                parts += [
                    _line(x(end), middle - 5, x(end), middle + 5, f"whisker {mark.style}")
                    for end in (mark.low, mark.high)
                ]
            parts.append(f'<circle cx="{x(mark.value):.1f}" cy="{middle:.1f}" r="5" class="{mark.style}"/>')
            spelt = f"{_points(mark.value)} [{_points(mark.low)}, {_points(mark.high)}]"
            parts.append(_text(WIDTH - right + 12, middle + 5, spelt, "value"))
    parts.append(_text(left + plot / 2, height - 6, axis, "axis", "middle"))
    return _svg(height, parts, axis)


def bars(groups: Sequence[tuple[str, Sequence[Mark]]], axis: str) -> Markup:
    """For each task one bar per arm from 0 to 100 %, with error bars and a legend."""
    left, top, bottom, height = 56, 46, 300, 336
    parts = []

    def y(value: float) -> float:
        return bottom - (bottom - top) * value

    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line(left, y(tick), WIDTH - 8, y(tick), "grid" if tick else "zero"))
        parts.append(_text(left - 8, y(tick) + 4, f"{100 * tick:.0f}%", "tick", "end"))
    parts += _legend(left, [(mark.label, mark.style) for mark in groups[0][1]], "rect")
    room = (WIDTH - left - 8) / len(groups)
    for number, (title, marks) in enumerate(groups):
        bar = min(52.0, room * 0.8 / len(marks))
        start = left + room * number + (room - bar * len(marks)) / 2
        for index, mark in enumerate(marks):
            x = start + bar * index
            parts.append(
                f'<rect x="{x + 3:.1f}" y="{y(mark.value):.1f}" width="{bar - 6:.1f}" '
                f'height="{bottom - y(mark.value):.1f}" class="{mark.style}"/>'
            )
            peak = mark.value
            if mark.low is not None and mark.high is not None:
                centre = x + bar / 2
                parts.append(_line(centre, y(mark.low), centre, y(mark.high), "error"))
                parts += [_line(centre - 5, y(end), centre + 5, y(end), "error") for end in (mark.low, mark.high)]
                peak = mark.high
            parts.append(_text(x + bar / 2, y(peak) - 5, f"{100 * mark.value:.0f}%", "value", "middle"))
        parts.append(_text(left + room * (number + 0.5), bottom + 22, title, "label", "middle"))
    return _svg(height, parts, axis)


def curves(title: str, lines: Sequence[tuple[str, str, Sequence[Mark]]], axis: str) -> Markup:
    """pass^k for k = 1, 2, … as one line per arm with error bars; `lines` holds (label, style, marks)."""
    width, left, top, bottom, height = 420, 52, 66, 250, 290
    steps = max(len(marks) for _, _, marks in lines)

    def x(index: int, shift: float) -> float:
        return left + 34 + (width - left - 74) * index / max(1, steps - 1) + shift

    def y(value: float) -> float:
        return bottom - (bottom - top) * value

    parts = [_text(left, 18, title, "group")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line(left, y(tick), width - 6, y(tick), "grid" if tick else "zero"))
        parts.append(_text(left - 8, y(tick) + 4, f"{100 * tick:.0f}%", "tick", "end"))
    parts += _legend(left, [(label, style) for label, style, _ in lines], "line", top=30)
    for order, (_, style, marks) in enumerate(lines):
        shift = 8 * (order - (len(lines) - 1) / 2)
        path = " ".join(f"{x(index, shift):.1f},{y(mark.value):.1f}" for index, mark in enumerate(marks))
        parts.append(f'<polyline points="{path}" class="curve {style}"/>')
        for index, mark in enumerate(marks):
            at = x(index, shift)
            if mark.low is not None and mark.high is not None:
                parts.append(_line(at, y(mark.low), at, y(mark.high), f"whisker thin {style}"))
            parts.append(f'<circle cx="{at:.1f}" cy="{y(mark.value):.1f}" r="4" class="{style}"/>')
            anchor = "start" if order else "end"
            parts.append(
                _text(at + (7 if order else -7), y(mark.value) - 6, f"{100 * mark.value:.0f}", "value", anchor)
            )
    for index, mark in enumerate(lines[0][2]):
        parts.append(_text(x(index, 0), bottom + 18, mark.label, "tick", "middle"))
    parts.append(_text(left + (width - left) / 2, height - 4, axis, "axis", "middle"))
    return _svg(height, parts, f"{title}: {axis}", width)


def _legend(left: float, entries: Sequence[tuple[str, str]], shape: str, top: float = 8) -> list[str]:
    parts, x = [], left
    for label, style in entries:
        if shape == "rect":
            parts.append(f'<rect x="{x:.1f}" y="{top}" width="14" height="14" class="{style}"/>')
        else:
            parts.append(_line(x, top + 7, x + 14, top + 7, f"whisker {style}"))
            parts.append(f'<circle cx="{x + 7:.1f}" cy="{top + 7}" r="4" class="{style}"/>')
        parts.append(_text(x + 20, top + 12, label, "label"))
        x += 20 + _text_width(label) + 24
    return parts


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """A round axis around the data, no wider than [-1, 1], with its tick step."""
    span = max(high - low, 0.1)
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if span / step <= 8)
    return max(-1.0, math.floor(low / step) * step), min(1.0, math.ceil(max(high, low + 0.1) / step) * step), step


def _ticks(first: float, last: float, step: float) -> list[float]:
    return [first + step * index for index in range(round((last - first) / step) + 1)]


def _points(value: Bound) -> str:
    """A difference in percentage points; the zero has no sign."""
    if value is None:
        return "?"
    text = f"{100 * value:+.0f}"
    return "0" if text in ("+0", "-0") else text.replace("-", "−")


def _text_width(text: str) -> float:
    return sum(_CHAR if ord(char) > 0x2E80 else _CHAR * 0.56 for char in text)


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str], description: str, width: int = WIDTH) -> Markup:
    """The drawing, which scales down with the page but never up; `description` is read out by a screen reader."""
    return Markup(
        f'<svg viewBox="0 0 {width} {height:.0f}" style="max-width:{width}px" role="img" '
        f'aria-label="{escape(description)}">{"".join(parts)}</svg>'
    )
