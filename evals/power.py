"""Before a run: how many items show which difference, at which cost. (`evals.plan` is the plan of the requests.)

One paired difference per item, d_i = tuned − base in [−1, 1], of variance ω² + σ²/K with K runs an arm (Miller,
arXiv 2411.00640): ω² between items, σ² = σ²_base + σ²_tuned within them. Repeats shrink only the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evals.errors import EvalError
from evals.stats import Array, Clusters, difference_interval

SIMULATIONS = 1000


@dataclass(frozen=True)
class Design:
    """What is assumed, or was measured in a pilot, of one task.

    Attributes:
        discordance: mean squared difference of single runs; for 0/1 scores the share of items where the arms differ.
        within: σ², the part of it that repeats would average out (seed noise of both arms together).
        icc: intra-cluster correlation of the single-run differences.
        cluster_size: items per cluster (Kish: Σ m² / N).
        repeats: K, runs per item and arm that the score of an item is the mean of; accuracy is greedy, so 1.
    """

    discordance: float
    within: float = 0.0
    icc: float = 0.0
    cluster_size: float = 1.0
    repeats: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.discordance <= 1:
            raise EvalError(
                f"discordance {self.discordance:g} is not above 0 and at most 1",
                "give the share of items that you expect the two models to answer differently, such as 0.2",
            )
        if not 0 <= self.icc <= 1 or self.cluster_size < 1 or self.repeats < 1 or self.within < 0:
            raise EvalError(
                f"no such design: {self}", "the correlation is from 0 to 1, cluster size and repeats are at least 1"
            )

    def parts(self, difference: float) -> tuple[float, float]:
        """ω² and σ² at a true difference.

        σ² gives way where the two cannot stand together: what the difference needs is no noise within items, and noise
        of 0/1 scores makes items differ in half of the runs at most.

        Raises:
            EvalError: the difference exceeds the discordance.
        """
        if abs(difference) > self.discordance:
            raise EvalError(
                f"a difference of {difference:g} needs a discordance of at least as much, not {self.discordance:g}",
                "items that only one arm gets right are all that makes a difference: raise --discordance",
            )
        within = min(self.within, self.discordance - abs(difference), 1 - self.discordance)
        return self.discordance - difference**2 - within, within

    def variance(self, difference: float) -> float:
        """Variance of the mean difference times the number of items, clusters counted."""
        between, within = self.parts(difference)
        shared = min(self.icc * (between + within), between)
        return between + within / self.repeats + (self.cluster_size - 1) * shared


def items_needed(design: Design, difference: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Items that show a true `difference` with `power` at two-sided `alpha`: (z_{1−α/2} + z_power)² V / δ²."""
    return math.ceil(_z_sum(power, alpha) ** 2 * design.variance(difference) / difference**2)


def items_for_margin(design: Design, margin: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Items that exclude a loss of more than `margin` with `power` when the models are equal in truth."""
    return math.ceil(_z_sum(power, alpha) ** 2 * design.variance(0.0) / margin**2)


def detectable(design: Design, items: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true difference that `items` show with `power`; NaN when none up to the discordance is."""
    low, high = 0.0, design.discordance
    if items < 1 or items_needed(design, high, power, alpha) > items:
        return math.nan
    for _ in range(60):
        middle = (low + high) / 2
        if middle and _z_sum(power, alpha) ** 2 * design.variance(middle) / middle**2 <= items:
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True)
class Power:
    """Shares of simulated evaluations, each decided by the interval that the gate reads.

    Attributes:
        better: the interval of the difference is above 0.
        no_loss: the interval excludes a loss of more than the margin.
        loss: the whole interval lies below minus the margin.
    """

    better: float
    no_loss: float
    loss: float


def simulate(
    design: Design,
    items: int,
    difference: float,
    margin: float = 0.0,
    confidence: float = 0.95,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Power:
    """Power by simulation, with the discreteness of the scores and the few clusters that a formula leaves out.

    Items are decided (both arms always answer alike, or one is always right and the other never) or undecided (each
    run of each arm is right with chance 1/2); the shares are those that give the design's discordance, within-item
    variance and difference. Items of a cluster share their kind as often as the intra-cluster correlation asks.
    """
    rng = np.random.default_rng(seed)
    clusters = Clusters.of((np.arange(items) / design.cluster_size).astype(int).tolist())
    better = no_loss = loss = 0
    for _ in range(simulations):
        found = difference_interval(_differences(design, difference, clusters, rng), clusters, confidence)
        if math.isnan(found.low):
            continue
        better += found.low > 0
        no_loss += found.least > -margin
        loss += found.high < -margin
    return Power(better / simulations, no_loss / simulations, loss / simulations)


@dataclass(frozen=True)
class Row:
    """One number of items: what it shows and what it takes.

    Attributes:
        power: chance to show each of the differences asked about.
        no_loss: chance to exclude a loss of more than the margin when the models are equal in truth.
        detectable: smallest difference shown with 80 % power.
        requests: of all arms and tasks.
        seconds: of the requests, from the pilot's latency; None without a pilot.
    """

    items: int
    clusters: int
    power: tuple[float, ...]
    no_loss: float
    detectable: float
    requests: int
    seconds: float | None


@dataclass(frozen=True)
class Load:
    """What one item costs.

    Attributes:
        arms: how many models are asked.
        per_item: requests of each item and arm.
        per_stability_item: further requests of each item that is repeated and varied.
        stability_items: how many of the items are.
        tasks: how many tasks have so many items.
        latency_s: mean seconds a request took in the pilot; None without one.
        concurrency: requests in flight.
    """

    arms: int = 2
    per_item: float = 1.0
    per_stability_item: float = 0.0
    stability_items: int = 0
    tasks: int = 1
    latency_s: float | None = None
    concurrency: int = 1

    def requests(self, items: int) -> int:
        stable = min(items, self.stability_items)
        return self.tasks * self.arms * round(items * self.per_item + stable * self.per_stability_item)

    def seconds(self, items: int) -> float | None:
        return None if self.latency_s is None else self.requests(items) * self.latency_s / self.concurrency


def table(
    design: Design,
    items: Sequence[int],
    differences: Sequence[float],
    margin: float,
    load: Load,
    confidence: float = 0.95,
    simulations: int = SIMULATIONS,
    seed: int = 0,
) -> list[Row]:
    """Items by difference by power."""
    alpha = 1 - confidence
    rows = []
    for count in items:
        cells = [simulate(design, count, one, margin, confidence, simulations, seed).better for one in differences]
        rows.append(
            Row(
                items=count,
                clusters=math.ceil(count / design.cluster_size),
                power=tuple(cells),
                no_loss=simulate(design, count, 0.0, margin, confidence, simulations, seed).no_loss,
                detectable=detectable(design, count, alpha=alpha),
                requests=load.requests(count),
                seconds=load.seconds(count),
            )
        )
    return rows


def _differences(design: Design, difference: float, clusters: Clusters, rng: np.random.Generator) -> Array:
    """(N,) simulated paired differences."""
    between, within = design.parts(difference)
    decided = design.discordance - within  # what undecided items leave of the discordance: they give σ² of it
    up, down = (decided + difference) / 2, (decided - difference) / 2
    n = len(clusters.index)
    # Items of a cluster take its draw with chance √c each, so two of them share it with chance c.
    sharing = min(1.0, design.icc * (between + within) / between) if between > 0 else 0.0
    own, common = rng.random(n), rng.random(clusters.count)[clusters.index]
    kind = np.where(rng.random(n) < math.sqrt(sharing), common, own)
    undecided = (kind >= up + down) & (kind < up + down + 2 * within)
    wins = rng.binomial(design.repeats, 0.5, (2, n)) / design.repeats
    return np.asarray(
        np.where(kind < up, 1.0, np.where(kind < up + down, -1.0, np.where(undecided, wins[1] - wins[0], 0.0)))
    )


def _z_sum(power: float, alpha: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
