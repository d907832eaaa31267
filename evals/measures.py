"""One figure of an evaluation in the form that gate, comparison and report read."""

from __future__ import annotations

from typing import Literal

from tianjing.config import StrictModel


class Estimate(StrictModel):
    """A value with its confidence interval; None where the data cannot give one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    degrees: float | None = None
    """Degrees of freedom of a t interval; None where it is none."""
    newcombe_low: float | None = None
    """Of a difference: the lower end of Newcombe's interval, for claims that rest on one end alone."""
    newcombe_high: float | None = None
    """Its upper end."""

    @property
    def least(self) -> float | None:
        """The smallest value that no interval excludes; None without one."""
        if self.low is None or self.newcombe_low is None:
            return self.low
        return min(self.low, self.newcombe_low)


class Measure(StrictModel):
    """What one metric says of each arm, and of their paired difference.

    `summary.json` lists them under `measures`: a gate policy names a metric by `name` and `task`.
    """

    name: str
    """The metric: score, pass^4, TAR@4, agreement, wording_effect, flip_rate, negative_flips, breaches, …"""
    task: str = ""
    """The task it is of; empty for all tasks together."""
    better: Literal["higher", "lower"] = "higher"
    unit: str = "share"
    """share, points, per 1,000 turns, …"""
    arms: dict[str, Estimate]
    """By arm."""
    difference: Estimate | None = None
    """Tuned minus base over the same items; None with one arm."""
    p: float | None = None
    """Two-sided p-value of the difference, uncorrected."""
    n: int
    """Items it is taken over."""
    groups: int
    """Clusters of items: the unit of resampling."""
    events: dict[str, int] | None = None
    """By arm, for rates of rare events: how many there were."""
    trials: dict[str, int] | None = None
    """By arm, for rates of rare events: in how many trials."""
    null: float | None = None
    """What the metric would read if there were nothing to find, where that is not 0."""
    note: str = ""
    """What the reader must know to read the figure."""
