"""A histogram of lengths as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 190, 52, 12, 14, 40
_BINS = 30


def histogram(values: Sequence[int], unit: str) -> Any:
    """Bars over equal steps up to the 99th percentile; the last bar holds all that is longer. Safe markup."""
    from markupsafe import Markup, escape

    if not values:
        return Markup("")
    ordered = sorted(values)
    step = _round_step(max(1.0, ordered[_at(len(ordered), 0.99)] / (_BINS - 1)))
    counts = [0] * (min(_BINS - 1, ordered[-1] // step) + 1)
    for value in ordered:
        counts[min(value // step, len(counts) - 1)] += 1
    wide, tall = (_WIDTH - _LEFT - _RIGHT) / len(counts), _HEIGHT - _TOP - _BOTTOM
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_summary(ordered, unit))}">']
    for share in (0.5, 1.0):
        y = _TOP + tall * (1 - share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = f"{round(max(counts) * share):,}"
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for number, count in enumerate(counts):
        height = tall * count / max(counts)
        last = number == len(counts) - 1 and ordered[-1] >= (number + 1) * step
        limits = f"≥ {number * step:,}" if last else f"{number * step:,}–{(number + 1) * step - 1:,}"
        parts.append(
            f'<rect class="bar" x="{_LEFT + number * wide + 1:.1f}" y="{_TOP + tall - height:.1f}"'
            f' width="{wide - 2:.1f}" height="{height:.1f}"><title>{limits}: {count:,}</title></rect>'
        )
    base = _TOP + tall
    parts.append(f'<line class="axis-line" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    for number in range(0, len(counts), max(1, math.ceil(len(counts) / 8))):
        x = _LEFT + number * wide
        parts.append(f'<text class="tick" x="{x:.1f}" y="{base + 16}" text-anchor="middle">{number * step:,}</text>')
    parts.append(f'<text class="tick" x="{_LEFT}" y="{_HEIGHT - 5}">{escape(_summary(ordered, unit))}</text></svg>')
    return Markup("".join(parts))


def _summary(ordered: Sequence[int], unit: str) -> str:
    median, p95 = ordered[_at(len(ordered), 0.5)], ordered[_at(len(ordered), 0.95)]
    return f"{unit}：中位数 median {median:,}，95% {p95:,}，最长 longest {ordered[-1]:,}；n = {len(ordered):,}"


def _at(count: int, share: float) -> int:
    return max(0, math.ceil(share * count) - 1)


def _round_step(least: float) -> int:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(least))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least))
