"""Confidence intervals of means, of paired differences, and of ratios of sums, over clusters of items.

Which interval for what, by measured coverage (`scripts/bench/evals_metrics.py`):
- a mean of values with bounds (accuracy, pass^k, agreement): Wilson's form with an effective number of trials, since
  Wald's t form falls to 72 % where the mean is near a bound;
- a difference: t, which holds as it is, both ends together. Where hardly an item won or lost, one of its ends misses
  too often and the other too seldom, so a claim that rests on one end alone, "no loss of more than a margin", asks
  Newcombe's interval as well;
- a share of a sum (pass^k / pass^1): Wilson's form on the linearised ratio; the percentile bootstrap falls to 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from evals.stats.clusters import Array, Clusters
from evals.stats.distributions import clopper_pearson, normal_quantile, t_quantile, wilson

# Below this many clusters the t interval is wide and the normal theory behind it is thin: say so.
FEW_GROUPS = 20


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    NaN in `low` and `high` means that the data cannot give an interval (fewer than two groups).

    Attributes:
        degrees: degrees of freedom of a t interval; NaN where it is none.
        newcombe_low: of a difference, the lower end of Newcombe's interval, which misses seldom enough by itself; NaN
            of other figures.
        newcombe_high: its upper end.
    """

    estimate: float
    low: float
    high: float
    se: float
    n: int
    groups: int
    degrees: float = math.nan
    newcombe_low: float = math.nan
    newcombe_high: float = math.nan

    @property
    def few_groups(self) -> bool:
        return self.groups < FEW_GROUPS

    @property
    def least(self) -> float:
        """Of a difference: the smallest that neither interval excludes."""
        return min(self.low, self.newcombe_low)


def clustered_se(values: Sequence[float] | Array, groups: Sequence[Hashable] | Clusters) -> float:
    """Cluster-robust standard error of the mean, sqrt(G/(G-1) · Σ_g (Σ_{i∈g} (x_i − x̄))²) / N.

    Source: Miller, "Adding error bars to evals", arXiv 2411.00640, with the G/(G−1) correction.
    NaN with fewer than two groups. With one item a group it is the usual standard error.
    """
    x, clusters = np.asarray(values, dtype=float), _clusters(groups)
    if clusters.count < 2:
        return math.nan
    return _se(x - x.mean(), clusters) / x.size


def mean_interval(
    values: Sequence[float] | Array,
    groups: Sequence[Hashable] | Clusters,
    confidence: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Mean of values within `bounds`, with Wilson's interval for clustered and graded data.

    The number of trials is the effective one (Korn and Graubard 1998; Dean and Pagano 2015) with the cluster-robust SE
    and the design effect cut at 1 (Parker et al. 2017, NCHS data presentation standards): a sample with few errors,
    no two in one cluster, shows less variance than independent items have.
    - Values of 0 and 1: N / design effect trials at the quantile z t_d / t_{N−1}, which is Korn and Graubard's n* =
      n_e (t_{N−1} / t_d)². The mean gives the variance of an item, and degrees of freedom d are lost only to the
      design effect. For independent items this is Wilson's interval (1927) of N trials.
    - Others: x̄(1 − x̄) / SE² trials at t_d, since their variance is estimated too.

    Where all values are equal the sample shows no variance: then the exact zero-event bound holds (Clopper-Pearson for
    0 of G, the "rule of three"): the share of clusters that differ is at most u = 1 − (α/2)^(1/G), so the mean moves
    by at most u times the range.

    Raises:
        ValueError: a value lies outside `bounds`.
    """
    return _mean_interval(np.asarray(values, dtype=float), _clusters(groups), confidence, bounds, 1.0)


def _mean_interval(
    x: Array, clusters: Clusters, confidence: float, bounds: tuple[float, float], least_effect: float
) -> Interval:
    """`mean_interval` with the design effect cut at `least_effect`."""
    least, most = bounds
    if x.size == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0)
    if x.min() < least - 1e-9 or x.max() > most + 1e-9:
        raise ValueError(f"values from {x.min():g} to {x.max():g} are not within {bounds}")
    mean = float(x.mean())
    if clusters.count < 2 or math.isnan(mean):
        return Interval(mean, math.nan, math.nan, math.nan, x.size, clusters.count)
    se, independent = clustered_se(x, clusters), float(x.std(ddof=1)) / math.sqrt(x.size)
    share, spread = (mean - least) / (most - least), max(se, independent * math.sqrt(least_effect)) / (most - least)
    trials = math.inf if float(np.ptp(x)) == 0.0 else share * (1 - share) / spread**2
    reach = t_quantile(0.5 + confidence / 2, clusters.degrees)
    if bool(np.all(np.minimum(x - least, most - x) <= 1e-9)):
        trials *= x.size / (x.size - 1)
        reach *= normal_quantile(0.5 + confidence / 2) / t_quantile(0.5 + confidence / 2, x.size - 1)
    low, high = _share_bounds(share, trials, reach, clusters, confidence)
    return Interval(mean, least + low * (most - least), least + high * (most - least), se, x.size, clusters.count)


def difference_interval(
    values: Sequence[float] | Array,
    groups: Sequence[Hashable] | Clusters,
    confidence: float = 0.95,
    reach: float = 1.0,
) -> Interval:
    """Mean of per-item differences in [−reach, reach], with a cluster-robust t interval cut there.

    Where the clusters show no variance, because no item differs from another or because all sums over a cluster are
    alike, by the exact zero-event bound as in `mean_interval`.

    With it the ends of Newcombe's interval. Of losses alone, a sample with few has a small variance and a high mean at
    once: of 100 items that lose 3 % in truth, the t interval excludes a loss of 3 % in 15 % of all samples, not in 2.5
    (`scripts/bench/evals_margin.py`).
    """
    x, clusters = np.asarray(values, dtype=float), _clusters(groups)
    if x.size == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0)
    mean = float(x.mean())
    if clusters.count < 2 or math.isnan(mean):
        return Interval(mean, math.nan, math.nan, math.nan, x.size, clusters.count)
    se = clustered_se(x, clusters)
    if se < 1e-12 * reach:
        unseen = _unseen(clusters, confidence)
        low, high = mean - unseen * (mean + reach), mean + unseen * (reach - mean)
    else:
        half = t_quantile(0.5 + confidence / 2, clusters.degrees) * se
        low, high = max(-reach, mean - half), min(reach, mean + half)
    ends = _newcombe(x, clusters, confidence, reach)
    return Interval(mean, low, high, se, x.size, clusters.count, clusters.degrees, *ends)


def _newcombe(x: Array, clusters: Clusters, confidence: float, reach: float) -> tuple[float, float]:
    """Newcombe's interval of a paired difference, for clusters and grades: of what was won less what was lost.

    Each of the two has the interval of a mean, Wilson's for 0/1 scores.
    """
    won, lost = np.maximum(x, 0.0), np.maximum(-x, 0.0)
    above, below = (
        _mean_interval(part, clusters, confidence, (0.0, reach), _cautious_effect(part / reach, clusters))
        for part in (won, lost)
    )
    sums = [clusters.sums(part - part.mean()) for part in (won, lost)]
    low, high = newcombe(
        (above.low, above.estimate, above.high), (below.low, below.estimate, below.high), correlation(*sums)
    )
    return max(-reach, low), min(reach, high)


def newcombe(one: tuple[float, float, float], other: tuple[float, float, float], rho: float) -> tuple[float, float]:
    """Ends of the interval of `one` − `other` from those of both, by recovery of their variances.

    Source: Newcombe 1998, Statist. Med. 17, 2635, method 10; Zou and Donner 2008, Statist. Med. 27, 1693.

    Args:
        one: lower end, estimate, upper end.
        other: the same.
        rho: correlation of the two estimates.
    """

    def together(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a + b * b - 2 * rho * a * b))

    low, mean, high = one
    least, middle, most = other
    difference = mean - middle
    return difference - together(mean - low, most - middle), difference + together(high - mean, middle - least)


def correlation(one: Array, other: Array) -> float:
    """Of two centred sums over the clusters; 0 where one of them does not vary."""
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale > 0 else 0.0


def _cautious_effect(x: Array, clusters: Clusters) -> float:
    """Design effect of values in [0, 1] as if one more cluster, of mean size, had all of them 1.

    Three losses in three clusters cannot show that losses do not come together. The one cluster that did makes little
    of many losses, and nothing of items that are alone.
    """
    centred = x - x.mean()
    size = len(x) / clusters.effective
    return (float(np.sum(clusters.sums(centred) ** 2)) + size**2) / (float(np.sum(centred**2)) + size)


def paired_difference(
    candidate: Sequence[float] | Array,
    base: Sequence[float] | Array,
    groups: Sequence[Hashable] | Clusters,
    confidence: float = 0.95,
) -> Interval:
    """Mean of candidate_i − base_i over the same items, with a cluster-robust t interval.

    Raises:
        ValueError: the two arms do not have the same number of items.
    """
    clusters = _clusters(groups)
    if not len(candidate) == len(base) == len(clusters.index):
        raise ValueError(f"unpaired arms: {len(candidate)} and {len(base)} scores for {len(clusters.index)} items")
    difference = np.asarray(candidate, dtype=float) - np.asarray(base, dtype=float)
    return difference_interval(difference, clusters, confidence)


def share_of_sum_interval(
    part: Sequence[float] | Array,
    whole: Sequence[float] | Array,
    groups: Sequence[Hashable] | Clusters,
    confidence: float = 0.95,
) -> Interval:
    """Σ part_i / Σ whole_i with 0 ≤ part_i ≤ whole_i (pass^k of pass^1): a share, so by Wilson's form.

    SE of the linearised ratio: the cluster-robust SE of part_i − R·whole_i over the mean of `whole`. NaN when the sum
    of `whole` is 0: then the share is not defined.
    """
    y, x, clusters = np.asarray(part, dtype=float), np.asarray(whole, dtype=float), _clusters(groups)
    total = float(x.sum())
    if not total > 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, x.size, clusters.count)
    ratio = float(y.sum()) / total
    if clusters.count < 2:
        return Interval(ratio, math.nan, math.nan, math.nan, x.size, clusters.count)
    residuals = y - ratio * x
    se = _se(residuals, clusters) / total
    # Only clusters with something in the whole say anything about the share.
    telling = Clusters.of(clusters.index[x > 0].tolist())
    constant = bool(np.all(np.abs(residuals) < 1e-12)) or se == 0
    trials = math.inf if constant else ratio * (1 - ratio) / se**2
    low, high = _share_bounds(ratio, trials, t_quantile(0.5 + confidence / 2, telling.degrees), telling, confidence)
    return Interval(ratio, low, high, se, x.size, clusters.count)


def _share_bounds(
    share: float, trials: float, reach: float, clusters: Clusters, confidence: float
) -> tuple[float, float]:
    """Wilson's form, or the exact bound where no cluster differs (infinitely many effective trials)."""
    if math.isinf(trials) or not 0 < share < 1:
        unseen = _unseen(clusters, confidence)
        return share - unseen * share, share + unseen * (1 - share)
    return wilson(share, trials, reach)


def _unseen(clusters: Clusters, confidence: float) -> float:
    """Largest share of clusters that may differ though none of these did."""
    return clopper_pearson(0, clusters.count, confidence)[1]


def _se(centred: Array, clusters: Clusters) -> float:
    """sqrt(G/(G-1) · Σ_g (Σ_{i∈g} e_i)²): the standard error of a sum of `centred` values e."""
    sums = clusters.sums(centred)
    return math.sqrt(clusters.count / (clusters.count - 1) * float(np.sum(sums**2)))


def _clusters(groups: Sequence[Hashable] | Clusters) -> Clusters:
    return groups if isinstance(groups, Clusters) else Clusters.of(groups)
