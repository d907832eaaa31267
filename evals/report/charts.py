"""The report's charts as inline SVG: interval rows (forest, dot plot), pass^k curves, calibration, latency.

Values are shares in [-1, 1] and are labelled in per cent unless said otherwise. A mark without an interval is drawn as
a point alone, one without a value not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evals.report import svg
from evals.report.words import arm_name

Bound = float | None


@dataclass(frozen=True)
class Mark:
    """One value with its interval, drawn in the shape and colour of its style."""

    value: Bound
    low: Bound
    high: Bound
    style: str


@dataclass(frozen=True)
class Row:
    """A line of a chart: a label, its marks, and what they say in figures, at the right."""

    label: str
    marks: Sequence[Mark]
    figures: str


@dataclass(frozen=True)
class Curve:
    """A line through points (x, mark)."""

    label: str
    style: str
    points: Sequence[tuple[float, Mark]]


@dataclass(frozen=True)
class Bins:
    """Bins of confidence: (mean confidence, share that was right, items)."""

    label: str
    style: str
    bins: Sequence[tuple[float, float, int]]


def intervals(groups: Sequence[tuple[str, Sequence[Row]]], caption: str, signed: bool) -> Markup:
    """Rows of values with their intervals, grouped under titles: a forest plot, or a dot plot with two marks a row.

    Labels and figures are text of the page beside a drawing that stretches, so that it can be read on a phone.

    Args:
        signed: differences in percentage points around a line at zero; else shares from 0 to 100 %.
    """
    marks = [mark for _, rows in groups for row in rows for mark in row.marks]
    ends = [value for mark in marks for value in (mark.low, mark.value, mark.high) if value is not None]
    if not ends:
        return Markup("")
    anchor = [0.0] if signed else []
    ticks = svg.axis(min([*anchor, *ends]), max([*anchor, *ends]), -1.0 if signed else 0.0)
    parts = [Markup('<div class="plot" role="figure" aria-label="{}">').format(caption)]
    if any(len(row.marks) > 1 for _, rows in groups for row in rows):
        parts.append(_key(dict.fromkeys(mark.style for mark in marks)))
    for title, rows in groups:
        if title:
            parts.append(Markup('<div class="title">{}</div>').format(title))
        for row in rows:
            line = Markup('<div class="row"><span class="label">{}</span>{}<span class="figures">{}</span></div>')
            parts.append(line.format(row.label, _row(row.marks, ticks, signed), row.figures))
    spelt = [svg.text(_across(tick, ticks), 12, _tick(tick, signed), "tick", "middle") for tick in ticks]
    axis = Markup('<div class="row axis"><span></span>{}<span></span></div><div class="caption">{}</div></div>')
    parts.append(axis.format(_stretched(18, spelt), caption))
    return Markup("").join(parts)


def curves(title: str, lines: Sequence[Curve], caption: str) -> Markup:
    """Shares over k = 1, 2, …, one line per arm with intervals."""
    width, left, top, bottom, height = 420, 52, 66, 250, 292
    last = max(k for line in lines for k, _ in line.points)

    def x(k: float) -> float:
        return left + 34 + (width - left - 74) * (k - 1) / max(1, last - 1)

    parts = [svg.text(left, 18, title, "group", room=width - left), *_share_axis(left, width, top, bottom)]
    parts += svg.legend(left, [(line.label, line.style) for line in lines], top=30)
    for order, line in enumerate(lines):
        shift = 8 * (order - (len(lines) - 1) / 2)
        drawn = [(k, mark) for k, mark in line.points if mark.value is not None]
        path = " ".join(f"{x(k) + shift:.1f},{_y(mark.value or 0, top, bottom):.1f}" for k, mark in drawn)
        parts.append(f'<polyline points="{path}" class="curve {line.style}"/>')
        for k, mark in drawn:
            at, value = x(k) + shift, mark.value or 0
            if mark.low is not None and mark.high is not None:
                ends = _y(mark.low, top, bottom), _y(mark.high, top, bottom)
                parts += svg.whisker(at, ends[0], at, ends[1], f"thin {line.style}")
            parts.append(svg.marker(at, _y(value, top, bottom), line.style, 4))
            anchor, gap = ("start", 7) if order else ("end", -7)
            parts.append(svg.text(at + gap, _y(value, top, bottom) - 6, f"{100 * value:.0f}", "value", anchor))
    for k in range(1, int(last) + 1):
        parts.append(svg.text(x(k), bottom + 18, f"k={k}", "tick", "middle"))
    parts.append(svg.text(left + (width - left) / 2, height - 6, caption, "axis", "middle"))
    return svg.svg(height, parts, f"{title}: {caption}", width)


def calibration(title: str, lines: Sequence[Bins], caption: str) -> Markup:
    """Stated confidence against the share that was right, a mark a bin: on the diagonal a model knows what it knows.

    Marks are the larger, the more items are in the bin, and have the number beside them; no line joins them, for
    between bins of a few items it would be drawn through noise.
    """
    width, left, top, bottom, height = 420, 52, 66, 300, 342
    plot = width - left - 30
    most = max(n for line in lines for _, _, n in line.bins)

    def x(value: float) -> float:
        return left + plot * value

    parts = [svg.text(left, 18, title, "group", room=width - left), *_share_axis(left, x(1) + 6, top, bottom)]
    parts += svg.legend(left, [(line.label, line.style) for line in lines], top=30)
    parts.append(svg.line(x(0), bottom, x(1), top, "zero dashed"))
    for order, line in enumerate(lines):
        for confidence, accuracy, n in line.bins:
            size = 3 + 5 * math.sqrt(n / most)
            at, up = x(confidence), _y(accuracy, top, bottom)
            parts.append(svg.marker(at, up, line.style, size))
            anchor, gap = ("start", size + 3) if order else ("end", -size - 3)
            parts.append(svg.text(at + gap, up + 4, str(n), "value", anchor))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(svg.text(x(tick), bottom + 18, f"{100 * tick:.0f}", "tick", "middle"))
    parts.append(svg.text(left + plot / 2, height - 6, caption, "axis", "middle"))
    return svg.svg(height, parts, f"{title}: {caption}", width)


def scatter(points: Sequence[tuple[float, float, str]], across: str, up: str) -> Markup:
    """Points (x, y, style) in plain numbers, both axes from 0."""
    left, top, bottom, height = 64, 40, 300, 342
    right = svg.WIDTH - 20
    ticks_x = svg.axis(0, max(1.0, *(point[0] for point in points)), 0, float("inf"))
    ticks_y = svg.axis(0, max(0.1, *(point[1] for point in points)), 0, float("inf"))

    def x(value: float) -> float:
        return left + (right - left) * value / ticks_x[-1]

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / ticks_y[-1]

    parts = []
    for tick in ticks_y:
        parts.append(svg.line(left, y(tick), right, y(tick), "grid" if tick else "zero"))
        parts.append(svg.text(left - 8, y(tick) + 4, f"{tick:g}", "tick", "end"))
    parts += [svg.text(x(tick), bottom + 18, f"{tick:g}", "tick", "middle") for tick in ticks_x]
    styles = list(dict.fromkeys(style for _, _, style in points))
    parts += svg.legend(left, [(_style_name(style), style) for style in styles])
    parts += [f'<g class="faint">{"".join(svg.marker(x(a), y(b), style, 3.5) for a, b, style in points)}</g>']
    parts.append(svg.text((left + right) / 2, height - 6, f"{across}（横轴）；{up}（纵轴）", "axis", "middle"))
    return svg.svg(height, parts, f"{across} / {up}")


def _row(marks: Sequence[Mark], ticks: Sequence[float], signed: bool) -> Markup:
    height = 30 if len(marks) < 2 else 34
    parts = []
    for tick in ticks:
        style = "zero" if signed and abs(tick) < 1e-9 else "grid"
        parts.append(svg.line(_across(tick, ticks), 0, _across(tick, ticks), height, style))
    for index, mark in enumerate(marks):
        y = height / 2 + 10 * (index - (len(marks) - 1) / 2)
        if mark.low is not None and mark.high is not None:
            low, high = _across(mark.low, ticks), _across(mark.high, ticks)
            parts.append(svg.line(low, y, high, y, f"whisker {mark.style}"))
            parts += [svg.line(end, y - 4, end, y + 4, f"whisker {mark.style}") for end in (low, high)]
        if mark.value is not None:
            # A drawing of its own keeps the mark's shape where the row stretches.
            inner = svg.marker(0, 0, mark.style)
            parts.append(f'<svg x="{_across(mark.value, ticks)}" y="{y:g}" overflow="visible">{inner}</svg>')
    return _stretched(height, parts)


def _across(value: float, ticks: Sequence[float]) -> str:
    """A place on the axis, in per cent of its width."""
    return f"{100 * (value - ticks[0]) / (ticks[-1] - ticks[0]):.2f}%"


def _stretched(height: float, parts: Sequence[str]) -> Markup:
    return Markup(f'<svg class="strip" height="{height:g}" aria-hidden="true">{"".join(parts)}</svg>')


def _key(styles: Iterable[str]) -> Markup:
    """What the marks stand for."""
    entry = Markup('<span><svg width="34" height="14" aria-hidden="true">{}{}</svg>{}</span>')
    shown = [
        entry.format(
            Markup(svg.line(4, 7, 30, 7, f"whisker {style}")), Markup(svg.marker(17, 7, style)), _style_name(style)
        )
        for style in styles
    ]
    return Markup('<div class="key">{}</div>').format(Markup("").join(shown))


def _share_axis(left: float, right: float, top: float, bottom: float) -> list[str]:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = _y(tick, top, bottom)
        parts.append(svg.line(left, at, right - 6, at, "grid" if tick else "zero"))
        parts.append(svg.text(left - 8, at + 4, f"{100 * tick:.0f}%", "tick", "end"))
    return parts


def _y(value: float, top: float, bottom: float) -> float:
    return bottom - (bottom - top) * value


def _tick(value: float, signed: bool) -> str:
    spelt = f"{100 * value:+.0f}" if signed else f"{100 * value:.0f}%"
    return spelt[1:] if spelt in ("+0", "-0") else spelt.replace("-", "−")


def _style_name(style: str) -> str:
    return "仅格式对照" if style == "control" else arm_name(style)
