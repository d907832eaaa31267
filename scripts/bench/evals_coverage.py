"""How often a nominal 95 % interval holds the truth, for the sizes that are used (part of evals_metrics.py).

Items are independent, or in clusters of uneven size whose items resemble one another. Of independent scores of 0 and 1
every sample is counted with its probability; other cells are simulated, those near an end of the band for longer. `*`
marks what lies outside 93 to 97 %, and `°` what lies above and cannot be brought down to 97 % (evals_attainable.py says
why). Beside it the interval that another tool would print for the same data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist
from typing import Any

import numpy as np
from evals_attainable import least_coverage_of_mean, least_coverage_of_no_difference, moment

from evals import stability, stats
from evals.stats import Array, Clusters, Interval

# Items of the quickstart's tasks, of small sets, and of a stability profile; 1,076 is what the gate's benchmark plans.
SIZES = (36, 50, 100, 200, 300, 1076)
Z = NormalDist().inv_cdf(0.975)
# Name, mean items a cluster (sizes are uneven, from 1 to twice that less 1), correlation of the items of one.
SHAPES = (("alone", 1, 0.0), ("2 a cluster", 2, 0.4), ("4 a cluster", 4, 0.4))
GOOD = (0.93, 0.97)
# Within three Monte-Carlo errors of an end of the band a cell is simulated six times as long, to tell in from out.
CLOSE, LONGER = 3, 6


def coverage(replicates: int, items: Sequence[int]) -> None:
    """Share of nominal 95 % intervals that hold the truth, for each number of items."""
    error = 100 * math.sqrt(0.95 * 0.05 / replicates)
    print(f"\nCoverage in % of nominal 95 % intervals, {replicates:,} evaluations a cell (MC se {error:.2f})")
    print(f"outside {100 * GOOD[0]:.0f} to {100 * GOOD[1]:.0f} %: *, and ° where that is not attainable")
    sizes = "".join(f"{f'N={n}':>9}" for n in items)
    print(f"{'figure':34} {'items':12}{sizes}   {'peer at each N':29}  the peer's interval")
    within = dict.fromkeys(items, 0)
    cells, outside, unattainable = 0, 0, 0
    for row in _quantities():
        for shape, size, rho in SHAPES:
            shown, others = "", []
            for n in items:
                clusters = clusters_of(n, size)
                ours, peer = _covered(row, clusters, rho, replicates, np.random.default_rng([n, size, len(row.name)]))
                others.append(peer)
                mark = " "
                if not GOOD[0] <= ours <= GOOD[1]:
                    least = row.least(clusters.sizes.astype(int).tolist(), rho) if ours > GOOD[1] and row.least else 0.0
                    mark = "°" if least > GOOD[1] else "*"
                shown += f"{100 * ours:8.1f}{mark}"
                within[n] += mark == " "
                cells, outside, unattainable = cells + 1, outside + (mark != " "), unattainable + (mark == "°")
            peers = " ".join(f"{100 * one:5.1f}" for one in others)
            print(f"{row.name:34} {shape:12}{shown}   {peers}  {row.label}", flush=True)
    print("within: " + ", ".join(f"{count} of {cells // len(items)} at N={n}" for n, count in within.items()))
    print(f"outside: {outside} of {cells} cells; {unattainable} of them not attainable, {outside - unattainable} are")


def _covered(
    row: Quantity, clusters: Clusters, rho: float, replicates: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Coverage of our interval and of the peer's."""

    def hits(data: Any, truth: float) -> bool:
        found = row.interval(data, clusters)
        return found.low <= truth <= found.high

    hit = miss = 0
    for _ in range(replicates):
        truth, data = row.draw(rng, clusters, rho)
        other = row.peer(data)
        hit += hits(data, truth)
        miss += other[0] <= truth <= other[1]
    peer = miss / replicates
    if row.samples is not None and clusters.count == len(clusters.index):
        return sum(chance for chance, data in row.samples(clusters.count) if hits(data, truth)), peer
    close = CLOSE * math.sqrt(0.95 * 0.05 / replicates)
    if min(abs(hit / replicates - end) for end in GOOD) > close:
        return hit / replicates, peer
    for _ in range((LONGER - 1) * replicates):
        truth, data = row.draw(rng, clusters, rho)
        hit += hits(data, truth)
    return hit / (LONGER * replicates), peer


Draw = Callable[[np.random.Generator, Clusters, float], tuple[float, Any]]


@dataclass(frozen=True)
class Quantity:
    """One figure of the coverage table.

    Attributes:
        draw: one simulated evaluation: the truth, and the data.
        label: the peer's interval.
        least: least coverage that is attainable, of cluster sizes and correlation.
        samples: every sample of N independent items with its probability.
    """

    name: str
    draw: Draw
    interval: Callable[[Any, Clusters], Interval]
    peer: Callable[[Any], tuple[float, float]]
    label: str
    least: Callable[[Sequence[int], float], float] | None = None
    samples: Callable[[int], Iterator[tuple[float, Any]]] | None = None


def _quantities() -> Iterator[Quantity]:
    for mean in (0.5, 0.8, 0.95):
        yield Quantity(
            f"binary score, mean {mean:g}",
            _scores(mean, 1, None),
            stats.mean_interval,
            _wald,
            "Wald z, items alone",
            partial(least_coverage_of_mean, mean=mean, runs=1),
            partial(_every_score, mean=mean),
        )
    least = partial(least_coverage_of_mean, mean=0.75, runs=4)
    name = "graded score, mean 0.75"
    yield Quantity(name, _scores(0.75, 4, None), stats.mean_interval, _wald, "Wald z, items alone", least)
    for mean in (0.5, 0.8, 0.95):
        label = "bootstrap SD / √B (lighteval)"
        least = partial(least_coverage_of_mean, mean=mean, runs=8)
        name = f"pass^4 of 8 runs, pass^1 {mean:g}"
        yield Quantity(name, _scores(mean, 8, 4), stats.mean_interval, _shrunk, label, least)
    for discordance, gap in ((0.05, 0.0), (0.1, 0.04), (0.2, 0.05), (0.3, 0.1)):
        yield Quantity(
            f"difference {gap:g}, discordance {discordance:g}",
            pairs(discordance, gap, 1),
            _paired,
            _unpaired,
            "unpaired z (lm-eval)",
            None if gap else partial(least_coverage_of_no_difference, discordance=discordance),
            partial(every_pair, discordance=discordance, gap=gap),
        )
    name = "difference of graded scores 0.05"
    yield Quantity(name, pairs(0.3, 0.05, 4), _paired, _unpaired, "unpaired z (lm-eval)")
    yield Quantity("difference of pass^4", _pass_pairs, _paired, _unpaired, "unpaired z (lm-eval)")
    yield Quantity("pass^4 / pass^1 of 4 runs", _ratio, _share, _percentile, "percentile bootstrap, items alone")


def _every_score(n: int, mean: float) -> Iterator[tuple[float, Array]]:
    for right in range(n + 1):
        chance = math.exp(_ways(right, n - right) + right * math.log(mean) + (n - right) * math.log(1 - mean))
        yield chance, (np.arange(n) < right).astype(float)


def every_pair(n: int, discordance: float, gap: float) -> Iterator[tuple[float, Any]]:
    """Wins, losses and ties, but for outcomes that together have no weight."""
    up, down = (discordance + gap) / 2, (discordance - gap) / 2
    for wins in range(n + 1 if up else 1):
        for losses in range(n + 1 - wins if down else 1):
            ties = n - wins - losses
            of_items = _log_power(up, wins) + _log_power(down, losses) + ties * math.log(1 - discordance)
            chance = math.exp(_ways(wins, losses, ties) + of_items)
            if chance > 1e-10:
                item = np.arange(n)
                base = ((item >= wins) & (item < wins + losses)).astype(float)
                yield chance, (base, (item < wins).astype(float))


def _log_power(chance: float, count: int) -> float:
    return count * math.log(chance) if count else 0.0


def _ways(*counts: int) -> float:
    """Logarithm of the multinomial coefficient."""
    return math.lgamma(sum(counts) + 1) - sum(math.lgamma(count + 1) for count in counts)


def clusters_of(n: int, size: int) -> Clusters:
    rng = np.random.default_rng(n * 7 + size)
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(int(rng.integers(1, 2 * size)) if size > 1 else 1)
    return Clusters.of(np.repeat(np.arange(len(sizes)), sizes)[:n].tolist())


def _shared(rng: np.random.Generator, own: Array, common: Array, clusters: Clusters, rho: float) -> Array:
    """Each item takes its cluster's value with chance √rho."""
    return np.where(rng.random(len(own)) < math.sqrt(rho), common[clusters.index], own)


def _chances(rng: np.random.Generator, clusters: Clusters, rho: float, mean: float) -> Array:
    n = len(clusters.index)
    a, b = 1.0 * mean, 1.0 * (1 - mean)
    return _shared(rng, rng.beta(a, b, n), rng.beta(a, b, clusters.count), clusters, rho)


def _scores(mean: float, runs: int, k: int | None) -> Draw:
    """A score of `runs` runs, or pass^k of them."""
    table = np.array([c / runs if k is None else stability.pass_hat_k(c, runs, k) for c in range(runs + 1)])
    truth = mean if k is None else moment(mean, k)

    def draw(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Array]:
        return truth, table[rng.binomial(runs, _chances(rng, clusters, rho, mean))]

    return draw


def pairs(discordance: float, gap: float, runs: int) -> Draw:
    """Scores of two arms that differ on a share of the items; each is the mean of `runs` like outcomes."""

    def draw(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
        n = len(clusters.index)
        base, tuned = np.zeros(n), np.zeros(n)
        for _ in range(runs):
            kind = _shared(rng, rng.random(n), rng.random(clusters.count), clusters, rho)
            better, worse = kind < (discordance + gap) / 2, kind > 1 - (discordance - gap) / 2
            alike = rng.random(n) < 0.6
            base += np.where(better, 0.0, np.where(worse, 1.0, alike)) / runs
            tuned += np.where(better, 1.0, np.where(worse, 0.0, alike)) / runs
        return gap, (base, tuned)

    return draw


def _pass_pairs(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
    """pass^4 of 8 runs of two arms whose chances go together."""
    table = np.array([stability.pass_hat_k(c, 8, 4) for c in range(9)])
    p = _chances(rng, clusters, rho, 0.6)
    fresh = _chances(rng, clusters, rho, 0.75)
    other = np.where(rng.random(len(p)) < 0.6, p, fresh)
    truth = 0.4 * (moment(0.75, 4) - moment(0.6, 4))
    return truth, (table[rng.binomial(8, p)], table[rng.binomial(8, other)])


def _ratio(rng: np.random.Generator, clusters: Clusters, rho: float) -> tuple[float, Any]:
    c = rng.binomial(4, _chances(rng, clusters, rho, 0.6))
    return moment(0.6, 4) / 0.6, ((c == 4).astype(float), c / 4)


def _paired(data: Any, clusters: Clusters) -> Interval:
    return stats.paired_difference(data[1], data[0], clusters)


def _share(data: Any, clusters: Clusters) -> Interval:
    return stats.share_of_sum_interval(data[0], data[1], clusters)


def _wald(x: Array) -> tuple[float, float]:
    half = Z * x.std(ddof=1) / math.sqrt(len(x))
    return x.mean() - half, x.mean() + half


def _shrunk(x: Array, draws: int = 1000) -> tuple[float, float]:
    """The mean's standard error stands for the bootstrap's, which it equals up to noise."""
    half = Z * x.std(ddof=1) / math.sqrt(len(x)) / math.sqrt(draws)
    return x.mean() - half, x.mean() + half


def _unpaired(data: Any) -> tuple[float, float]:
    gap = data[1].mean() - data[0].mean()
    half = Z * math.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in data))
    return gap - half, gap + half


def _percentile(data: Any) -> tuple[float, float]:
    low, high = np.nanquantile(stats.ratio_of_means(np.vstack(data), _resamples(len(data[0]))), [0.025, 0.975])
    return float(low), float(high)


@cache
def _resamples(n: int, draws: int = 200) -> Array:
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), draws).astype(float)
