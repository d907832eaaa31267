"""A procedure as SVG: one file, no outside resource, no script; every text escaped."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from itertools import pairwise

from data_recipes.experience.procedures.chart import Arrow, Node, chart
from data_recipes.experience.procedures.layout import layout
from tianjing.records import Procedure

_WORD = re.compile(r"\s+|[!-~]+|.", re.DOTALL)
_FONT = "'Noto Sans CJK SC','Source Han Sans SC','PingFang SC','Microsoft YaHei','WenQuanYi Zen Hei',sans-serif"
_TEXT, _NOTE, _TITLE = 14, 11, 16
_LEAST_WIDTH, _MOST_WIDTH, _PADDING = 96.0, 190.0, 10.0
_MARGIN, _HEAD, _FOOT = 20.0, 46.0, 40.0
_INK, _SOFT, _LINE, _WAY, _FILL, _GOOD = "#1f2933", "#52606d", "#52606d", "#0b6e99", "#f5f8fb", "#e7f2ec"


def svg(procedure: Procedure) -> str:
    """Draw from top to bottom. Dashed boxes are optional steps, ↻ marks steps that cases come back to.

    Solid arrows: comes next. Blue arrows: one of several ways, with its share. Dotted: somewhere after.
    """
    drawing = chart(procedure)
    texts = {node.step: _lines(node) for node in drawing.nodes}
    sizes = {
        step: (
            max(_LEAST_WIDTH, max(_width(text, size) for text, size in lines) + 2 * _PADDING),
            sum(size * 1.35 for _, size in lines) + _PADDING,
        )
        for step, lines in texts.items()
    }
    placed = layout(
        [node.step for node in drawing.nodes], [(arrow.source, arrow.target) for arrow in drawing.arrows], sizes
    )
    legend = "实线 接着做 next · 蓝线 分支 one of several ways · 点线 之后 later · 虚框 可省 optional · ↻ 反复 repeated"
    width = max(placed.width, _width(drawing.title, _TITLE), _width(legend, _NOTE)) + 2 * _MARGIN
    height = placed.height + _HEAD + _FOOT + _MARGIN
    left = (width - placed.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(drawing.title)}" font-family="{_FONT}">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        _text(drawing.title, width / 2, _MARGIN + _TITLE, _TITLE, _INK, bold=True),
        f'<g transform="translate({left:.1f} {_HEAD + _MARGIN / 2:.1f})">',
    ]
    parts += [_arrow(arrow, placed.lines[arrow.source, arrow.target]) for arrow in drawing.arrows]
    for node in drawing.nodes:
        box = placed.boxes[node.step]
        x, y = box.x - box.width / 2, box.y - box.height / 2
        dash = ' stroke-dasharray="5 3"' if node.optional else ""
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="7" '
            f'fill="{_GOOD if node.notes else _FILL}" stroke="{_INK}"{dash}/>'
        )
        at = y + _PADDING / 2
        for text, size in texts[node.step]:
            at += size * 1.35
            parts.append(_text(text, box.x, at - size * 0.3, size, _INK if size == _TEXT else _SOFT))
    parts += [_share(arrow, placed.lines[arrow.source, arrow.target]) for arrow in drawing.arrows if arrow.label]
    parts += ["</g>", _text(legend, width / 2, height - _MARGIN, _NOTE, _SOFT), "</svg>"]
    return "\n".join(parts) + "\n"


def _lines(node: Node) -> list[tuple[str, int]]:
    """Text and size of each line in a box."""
    title = f"{node.label} ↻" if node.repeated else node.label
    most = _MOST_WIDTH - 2 * _PADDING
    return [(line, _TEXT) for line in wrap(title, most / _TEXT)] + [
        (line, _NOTE) for note in node.notes for line in wrap(note, most / _NOTE)
    ]


def wrap(text: str, most: float) -> list[str]:
    """Lines of at most `most` em: broken before any Han character, inside a Latin word only where it is too long."""
    lines, line = [], ""
    for word in _WORD.findall(text):
        if word.isspace():
            line += " " if line else ""
            continue
        if line and _ems(line + word) > most:
            lines.append(line.rstrip())
            line = ""
        while _ems(word) > most and len(word) > 1:
            cut = next(n for n in range(len(word) - 1, 0, -1) if n == 1 or _ems(word[:n]) <= most)
            lines.append(word[:cut])
            word = word[cut:]
        line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _ems(text: str) -> float:
    """Width of a text; Latin letters are taken as 0.6 em."""
    return sum(1.0 if _wide(character) or ord(character) > 0x2000 else 0.6 for character in text)


def _width(text: str, size: int) -> float:
    return _ems(text) * size


def _text(text: str, x: float, y: float, size: int, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="{size}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )


def _arrow(arrow: Arrow, points: tuple[tuple[float, float], ...]) -> str:
    """A line that leaves and arrives upright, and its head."""
    colour = _WAY if arrow.kind == "branch" else _LINE
    dash = ' stroke-dasharray="2 4"' if arrow.kind == "order" else ""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    x, y = points[-1]
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.3"{dash}/>'
        f'<path d="M{x - 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}L{x + 4:.1f} {y - 7:.1f}Z" fill="{colour}"/>'
    )


def _share(arrow: Arrow, points: tuple[tuple[float, float], ...]) -> str:
    """The share of a way beside its arrow's head, on white so that no line runs through it."""
    x, y = points[-1]
    width = _width(arrow.label, _NOTE)
    return (
        f'<rect x="{x + 6:.1f}" y="{y - 17:.1f}" width="{width:.1f}" height="13" fill="#ffffff" opacity="0.85"/>'
        + _text(arrow.label, x + 6 + width / 2, y - 7, _NOTE, _WAY)
    )
