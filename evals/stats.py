"""Intervals and tests for evaluation scores: pure functions of arrays.

The unit of resampling is the cluster (`groups`: a customer, a source document), never a single row:
items of one customer share wording and circumstances. Every function takes one number per item.
Shapes: N items, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Below this many clusters the t interval is wide and the normal theory behind it is thin: say so.
FEW_GROUPS = 20


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    NaN in `low` and `high` means that the data cannot give an interval (fewer than two groups).
    """

    estimate: float
    low: float
    high: float
    se: float
    n: int
    groups: int

    @property
    def few_groups(self) -> bool:
        return self.groups < FEW_GROUPS


def clustered_se(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Cluster-robust standard error of the mean, sqrt(G/(G-1) · Σ_g (Σ_{i∈g} (x_i − x̄))²) / N.

    Source: Miller, "Adding error bars to evals", arXiv 2411.00640, with the G/(G−1) correction.
    NaN with fewer than two groups. With one item a group it is the usual standard error.
    """
    x = np.asarray(values, dtype=float)
    sums = _group_sums(x - x.mean(), groups) if x.size else np.empty(0)
    count = len(sums)
    if count < 2:
        return math.nan
    return math.sqrt(count / (count - 1) * float(np.sum(sums**2))) / x.size


def mean_interval(
    values: Sequence[float],
    groups: Sequence[Hashable],
    confidence: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Mean with a cluster-robust t interval, t with G−1 degrees of freedom, cut at `bounds`.

    Where all values are equal the sample shows no variance at all and a t interval would have no
    width. Then the exact zero-event bound holds (Clopper-Pearson for 0 of G, the "rule of three"): the share of
    clusters that differ is at most u = 1 − (α/2)^(1/G), so the mean moves by at most u times the range.
    """
    x = np.asarray(values, dtype=float)
    count = len(set(groups))
    if x.size == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0)
    mean = float(x.mean())
    if count < 2:
        return Interval(mean, math.nan, math.nan, math.nan, x.size, count)
    se = clustered_se(x.tolist(), groups)
    if float(np.ptp(x)) == 0.0:
        unseen = clopper_pearson(0, count, confidence)[1]
        down, up = unseen * (mean - bounds[0]), unseen * (bounds[1] - mean)
        return Interval(mean, mean - down, mean + up, se, x.size, count)
    reach = t_quantile(0.5 + confidence / 2, count - 1) * se
    return Interval(mean, max(bounds[0], mean - reach), min(bounds[1], mean + reach), se, x.size, count)


def paired_difference(
    candidate: Sequence[float], base: Sequence[float], groups: Sequence[Hashable], confidence: float = 0.95
) -> Interval:
    """Mean of candidate_i − base_i over the same items, with a cluster-robust t interval.

    Raises:
        ValueError: the two arms do not have the same number of items.
    """
    if not len(candidate) == len(base) == len(groups):
        raise ValueError(f"unpaired arms: {len(candidate)} and {len(base)} scores for {len(groups)} items")
    difference = np.asarray(candidate, dtype=float) - np.asarray(base, dtype=float)
    return mean_interval(difference.tolist(), groups, confidence, bounds=(-1.0, 1.0))


def cluster_bootstrap(
    statistic: Callable[[Array], float],
    columns: Sequence[Sequence[float]],
    groups: Sequence[Hashable],
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of any statistic by resampling whole clusters, with a fixed seed.

    Args:
        statistic: maps an array (C columns, items of the resample) to a number; NaN draws (for example
            a ratio whose denominator is 0 in that resample) are left out.
        columns: C sequences of one number per item.
    """
    data = np.asarray(columns, dtype=float)
    members = _members(groups)
    count = len(members)
    point = statistic(data) if data.shape[1] else math.nan
    if count < 2:
        return Interval(point, math.nan, math.nan, math.nan, data.shape[1], count)
    rng = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        chosen = np.concatenate([members[index] for index in rng.integers(0, count, count)])
        values[draw] = statistic(data[:, chosen])
    values = values[~np.isnan(values)]
    if values.size == 0:
        return Interval(point, math.nan, math.nan, math.nan, data.shape[1], count)
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(point, float(low), float(high), float(values.std(ddof=1)), data.shape[1], count)


def ratio_of_means(columns: Array) -> float:
    """mean(row 0) / mean(row 1): a ratio of sums, never a mean of ratios. NaN when the second is 0."""
    denominator = float(columns[1].sum())
    return float(columns[0].sum()) / denominator if denominator else math.nan


def mcnemar_exact(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p-value on the discordant pairs: binomial(wins + losses, 1/2).

    Treats items as independent; the clustered interval of `paired_difference` is the headline.
    """
    discordant = wins + losses
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, index) for index in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def sample_size(delta: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Paired items needed to see `delta`: (z_{1−α/2} + z_power)² (disc − δ²) / δ²."""
    return _z_sum(alpha, power) ** 2 * (discordance - delta**2) / delta**2


def minimum_detectable_effect(
    discordance: float, n: int, design_effect: float = 1.0, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true difference that n paired items find with `power`: `sample_size` solved for δ.

    NaN without items, or when no item differs: then the sample says nothing about discordance.

    Args:
        discordance: mean squared difference per item; for 0/1 scores the share of items that differ.
        design_effect: clustered variance over independent variance (≥ 1); n counts as n / design_effect.
    """
    if n == 0 or discordance == 0:
        return math.nan
    squared = _z_sum(alpha, power) ** 2
    return math.sqrt(squared * discordance / (n / design_effect + squared))


def clopper_pearson(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval for a rate (Clopper and Pearson 1934). (0, 1) when there are no trials."""
    if trials == 0:
        return 0.0, 1.0
    alpha = 1 - confidence
    low = 0.0 if events == 0 else _beta_quantile(alpha / 2, events, trials - events + 1)
    high = 1.0 if events == trials else _beta_quantile(1 - alpha / 2, events + 1, trials - events)
    return low, high


def t_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t, by inverting the regularised incomplete beta function.

    For p > 1/2: P(T > t) = I_{ν/(ν+t²)}(ν/2, 1/2) / 2, so with x its inverse at 2(1 − p), t = sqrt(ν(1 − x)/x).
    """
    if not 0 < probability < 1 or degrees <= 0:
        raise ValueError(f"no t quantile for probability {probability} and {degrees} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    x = _beta_quantile(2 * (1 - probability), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x)


def _z_sum(alpha: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)


def _members(groups: Sequence[Hashable]) -> list[NDArray[np.intp]]:
    """Row numbers of each group, groups in order of first appearance."""
    rows: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        rows.setdefault(group, []).append(index)
    return [np.asarray(indices, dtype=np.intp) for indices in rows.values()]


def _group_sums(values: Array, groups: Sequence[Hashable]) -> Array:
    return np.asarray([values[rows].sum() for rows in _members(groups)])


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """x with I_x(a, b) = probability, by bisection to the last bit that matters (I is monotone in x)."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if incomplete_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta I_x(a, b): continued fraction, modified Lentz (Numerical Recipes 6.4)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 1000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result
