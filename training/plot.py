"""The curves of a run as one self-contained SVG: loss above, learning rate below, over the same steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from training.validation import MARGIN, losses

_WIDTH, _LEFT, _RIGHT = 760, 76, 16
_TOP, _LOSS_HEIGHT, _RATE_HEIGHT, _GAP, _BOTTOM = 34, 260, 90, 24, 46
_HEIGHT = _TOP + _LOSS_HEIGHT + _GAP + _RATE_HEIGHT + _BOTTOM
_TICKS = 5
# Steps whose losses one point of the smooth curve averages: enough to see a trend in small batches.
_SMOOTH_SHARE = 0.05

_STYLE = (
    "text{font:12px sans-serif;fill:#333}.axis{stroke:#888;fill:none}.grid{stroke:#e4e4e4}"
    ".raw{stroke:#9db8dd;fill:none}.loss{stroke:#1f5fb4;stroke-width:2;fill:none}"
    ".validation{stroke:#c8501e;stroke-width:2;fill:none}.dot{fill:#c8501e}.rate{stroke:#3b8a4b;stroke-width:2;fill:none}"
)

Point = tuple[float, float]


@dataclass(frozen=True)
class _Panel:
    """A rectangle of the plot with its own scale of y, and the steps' scale of x."""

    top: float
    height: float
    steps: tuple[float, float]
    values: tuple[float, float]

    def x(self, step: float) -> float:
        low, high = self.steps
        return _LEFT + (step - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.values
        return self.top + self.height - (value - low) / (high - low) * self.height

    def line(self, points: Sequence[Point], name: str) -> str:
        path = " ".join(f"{self.x(step):.1f},{self.y(value):.1f}" for step, value in points)
        return f'<polyline class="{name}" points="{path}"/>'

    def frame(self, label: str, spell: Callable[[float], str], count: int = _TICKS) -> list[str]:
        """Axes, grid and the numbers of y, with the axis' name beside them."""
        right, bottom = _WIDTH - _RIGHT, self.top + self.height
        parts = []
        for tick in ticks(*self.values, count):
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{spell(tick)}</text>')
        middle = self.top + self.height / 2
        parts.append(f'<path class="axis" d="M{_LEFT},{self.top}V{bottom}H{right}"/>')
        parts.append(
            f'<text transform="translate(16,{middle:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>'
        )
        return parts


def loss_plot(history: Sequence[dict[str, Any]]) -> str:
    """The SVG of a trainer's log: training loss of each step and its running mean, validation loss where there is one,
    learning rate. A log without a step gives the empty axes."""
    training = [(entry["step"], float(entry["loss"])) for entry in history if "loss" in entry]
    rate = [(entry["step"], float(entry["learning_rate"])) for entry in history if "learning_rate" in entry]
    validation: list[Point] = [(step, loss) for step, loss in losses(history)]
    steps = _range([step for step, _ in training + validation], floor=0)
    upper = _Panel(_TOP, _LOSS_HEIGHT, steps, _range([loss for _, loss in training + validation]))
    lower = _Panel(_TOP + _LOSS_HEIGHT + _GAP, _RATE_HEIGHT, steps, _range([value for _, value in rate], floor=0))

    of_what = "a preference pair" if any(MARGIN in entry for entry in history) else "nats per supervised token"
    parts = [*upper.frame(f"loss ({of_what})", lambda tick: f"{tick:g}")]
    parts += lower.frame("learning rate", lambda tick: f"{tick:.1e}" if tick else "0", count=2)
    parts += [upper.line(training, "raw"), upper.line(_smooth(training), "loss"), lower.line(rate, "rate")]
    if validation:
        parts.append(upper.line(validation, "validation"))
        parts += [f'<circle class="dot" cx="{upper.x(s):.1f}" cy="{upper.y(v):.1f}" r="3"/>' for s, v in validation]
    for tick in ticks(*steps, 8):
        x = lower.x(tick)
        parts.append(f'<text x="{x:.1f}" y="{lower.top + lower.height + 16:.0f}" text-anchor="middle">{tick:g}</text>')
    centre = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{centre:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">optimiser step</text>')
    parts += _legend(bool(validation))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f"<title>Loss and learning rate</title><style>{_STYLE}</style>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """At most about `count` round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`."""
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _range(values: Sequence[float], floor: float | None = None) -> tuple[float, float]:
    """Smallest and largest of the values with room between them, from `floor` if given."""
    low = min(values, default=0.0) if floor is None else floor
    high = max(values, default=1.0)
    if high <= low:
        return low, low + (abs(low) or 1.0)
    margin = 0.04 * (high - low)
    return (low - margin if floor is None else low), high + (margin if floor is None else 0.0)


def _smooth(points: Sequence[Point]) -> list[Point]:
    """Mean of the last few values at each point."""
    width = max(1, round(_SMOOTH_SHARE * len(points)))
    values = [value for _, value in points]
    return [
        (step, sum(values[max(0, index - width + 1) : index + 1]) / min(width, index + 1))
        for index, (step, _) in enumerate(points)
    ]


def _legend(validation: bool) -> list[str]:
    parts, x = [], _LEFT
    for name, text in (("raw", "each step"), ("loss", "running mean"), *([("validation", "validation")] * validation)):
        parts.append(f'<line class="{name}" x1="{x}" y1="18" x2="{x + 22}" y2="18"/>')
        parts.append(f'<text x="{x + 28}" y="22">{text}</text>')
        x += 130
    return parts
