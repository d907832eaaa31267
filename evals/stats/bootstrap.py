"""Cluster bootstrap of any statistic that can be written with item weights, vectorised over the resamples.

A resample of clusters with replacement is a vector of weights (how often each item's cluster was drawn), so one call
of the statistic gives many resamples, and the jackknife of BCa is one more such call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import numpy as np

from evals.stats.clusters import Array, Clusters
from evals.stats.distributions import normal_cdf, normal_quantile
from evals.stats.intervals import Interval

Statistic = Callable[[Array, Array], Array]
"""From columns (C, N) and weights (B, N) to (B,) values; NaN where a resample does not define it."""

_CELLS = 4_000_000  # weights held at once, so that memory stays flat whatever B and N


def cluster_bootstrap(
    statistic: Statistic,
    columns: Sequence[Sequence[float] | Array] | Array,
    groups: Sequence[Hashable] | Clusters,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    method: Literal["bca", "percentile"] = "bca",
) -> Interval:
    """Interval of any statistic by resampling whole clusters, with a fixed seed.

    Draws that all come out alike show no variance, and so no interval: NaN.

    `bca` corrects the percentiles for bias and skewness (Efron 1987), with the acceleration from the jackknife over
    clusters. Draws that the statistic does not define (a ratio whose denominator is 0 in that resample) are left out.

    Args:
        columns: C sequences of one number per item.
    """
    data = np.asarray(columns, dtype=float)
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    n, count = data.shape[1], clusters.count
    point = float(statistic(data, np.ones((1, n)))[0]) if n else math.nan
    if count < 2 or math.isnan(point):
        return Interval(point, math.nan, math.nan, math.nan, n, count)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // n)
    values = np.concatenate(
        [statistic(data, _resamples(rng, count, size)[:, clusters.index]) for size in _chunks(draws, step)]
    )
    values = values[~np.isnan(values)]
    if values.size < 2:
        return Interval(point, math.nan, math.nan, math.nan, n, count)
    levels = np.array([0.5 - confidence / 2, 0.5 + confidence / 2])
    if method == "bca":
        levels = _corrected(levels, values, point, _jackknife(statistic, data, clusters, step))
    low, high = (float(end) for end in np.quantile(values, levels))
    if low == high:
        low = high = math.nan
    # The standard error is the standard deviation of the draws; dividing it by √B again would shrink it for nothing.
    return Interval(point, low, high, float(values.std(ddof=1)), n, count)


def mean_of(columns: Array, weights: Array) -> Array:
    """Weighted mean of row 0."""
    return np.asarray(weights @ columns[0] / weights.sum(axis=1))


def ratio_of_means(columns: Array, weights: Array) -> Array:
    """mean(row 0) / mean(row 1): a ratio of sums, never a mean of ratios. NaN where the second is 0."""
    upper, lower = weights @ columns[0], weights @ columns[1]
    return np.divide(upper, lower, out=np.full_like(upper, math.nan), where=lower != 0)


def relative_loss(columns: Array, weights: Array) -> Array:
    """1 − Σ row 0 / Σ row 1: the performance drop rate of a perturbed against the original condition."""
    return np.asarray(1 - ratio_of_means(columns, weights))


def _chunks(total: int, step: int) -> list[int]:
    return [min(step, total - start) for start in range(0, total, step)]


def _resamples(rng: np.random.Generator, count: int, size: int) -> Array:
    """(size, G) how often each of G clusters is drawn in G draws with replacement. Counted, for speed, in one go."""
    drawn = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(float)


def _jackknife(statistic: Statistic, data: Array, clusters: Clusters, step: int) -> Array:
    """(G,) the statistic without each cluster in turn."""
    found = []
    for start in range(0, clusters.count, step):
        left_out = np.arange(start, min(start + step, clusters.count))
        found.append(statistic(data, (clusters.index[None, :] != left_out[:, None]).astype(float)))
    return np.concatenate(found)


def _corrected(levels: Array, values: Array, point: float, jackknife: Array) -> Array:
    """Percentile levels moved by the bias z0 and the acceleration a."""
    below = (np.mean(values < point) + np.mean(values <= point)) / 2  # ties count half
    edge = 1 / (2 * values.size)
    bias = normal_quantile(float(np.clip(below, edge, 1 - edge)))
    offsets = jackknife.mean() - jackknife
    spread = float(np.sum(offsets**2)) ** 1.5
    acceleration = float(np.sum(offsets**3)) / (6 * spread) if spread > 0 and math.isfinite(spread) else 0.0
    moved = []
    for level in levels:
        z = bias + normal_quantile(float(level))
        moved.append(normal_cdf(bias + z / (1 - acceleration * z)))
    return np.asarray(moved)
