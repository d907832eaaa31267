"""The worst case and the spread over conditions: a grid of items by conditions, each with a success in [0, 1].

Shapes: N items, V conditions. V is fixed and part of the figure: a worst of ten is lower than a worst of three.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evals.stats import Array, Clusters, Interval, cluster_bootstrap, difference_interval, relative_loss

Better = Literal["higher", "lower"]
_CELLS = 4_000_000


def instance_worst_case(scores_NV: Array, better: Better = "higher") -> Array:
    """(N,) each item's worst score over its conditions, the original among them (HELM, arXiv 2211.09110).

    For a metric where lower is better the worst is the largest. Of means over repeats it is biased towards the worse:
    use `all_conditions_success` there.
    """
    grid = np.asarray(scores_NV, dtype=float)
    return np.asarray(grid.min(axis=1) if better == "higher" else grid.max(axis=1))


def all_conditions_success(success_NV: Array) -> Array:
    """(N,) Π_v c_iv / n_iv: the chance that the item is right under every condition, one run each.

    Unbiased, since the conditions are independent draws.
    """
    return np.asarray(np.prod(np.asarray(success_NV, dtype=float), axis=1))


@dataclass(frozen=True)
class WorstPrompt:
    """Worst condition and range, beside what V conditions without any effect would read.

    Attributes:
        conditions: V.
        worst: min over conditions of the mean score, biased downward by having been chosen as the worst.
        range: max − min of the condition means, biased upward.
        null_worst, null_range: their means when condition labels are permuted within items.
        p_worst, p_range: share of permutations at least as extreme, (1 + hits) / (1 + draws).
        crossfit_worst: mean score, on the clusters not used to choose it, of the condition that is worst on the others.
        crossfit_range: the same for the best minus the worst condition, both chosen on the others.
    """

    conditions: int
    worst: float
    range: float
    null_worst: float
    null_range: float
    p_worst: float
    p_range: float
    crossfit_worst: float
    crossfit_range: float


def worst_prompt(
    scores_NV: Array, groups: Sequence[Hashable] | Clusters, draws: int = 1000, seed: int = 0
) -> WorstPrompt:
    """Worst-prompt accuracy and accuracy range (SCORE, arXiv 2503.00137) with permutation null and cross-fitted value.

    Halves of the clusters are drawn 20 times; in each, the worst condition of one half is scored on the other, both
    ways round: 40 folds.
    """
    grid = np.asarray(scores_NV, dtype=float)
    n, v = grid.shape
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    means = grid.mean(axis=0)
    worst, spread = float(means.min()), float(np.ptp(means))
    rng = np.random.default_rng(seed)
    null_worst, null_spread = np.empty(draws), np.empty(draws)
    # Where an item scores the same under all conditions, relabelling them changes nothing.
    varied = grid[np.ptp(grid, axis=1) > 0]
    constant = grid.sum(axis=0) - varied.sum(axis=0)
    step = max(1, _CELLS // max(1, varied.size))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        shuffled = rng.permuted(np.broadcast_to(varied, (size, *varied.shape)), axis=2).sum(axis=1)
        shuffled = (shuffled + constant) / n
        null_worst[start : start + size] = shuffled.min(axis=1)
        null_spread[start : start + size] = np.ptp(shuffled, axis=1)
    lowest, highest = _crossfitted(grid, clusters, seed)
    return WorstPrompt(
        conditions=v,
        worst=worst,
        range=spread,
        null_worst=float(null_worst.mean()),
        null_range=float(null_spread.mean()),
        p_worst=(1 + int(np.sum(null_worst <= worst + 1e-12))) / (1 + draws),
        p_range=(1 + int(np.sum(null_spread >= spread - 1e-12))) / (1 + draws),
        crossfit_worst=_mean_of_folds(lowest),
        crossfit_range=_mean_of_folds(highest - lowest),
    )


@dataclass(frozen=True)
class PromptSpread:
    """Mizrahi et al., arXiv 2401.00595: AvgP, MaxP, saturation 1 − (MaxP − AvgP), and CPS = Sat · MaxP."""

    average: float
    maximum: float
    saturation: float
    combined: float


def prompt_spread(condition_means: Sequence[float]) -> PromptSpread:
    """Multi-prompt means of a model over the means of its conditions."""
    average, maximum = sum(condition_means) / len(condition_means), max(condition_means)
    saturation = 1 - (maximum - average)
    return PromptSpread(average, maximum, saturation, saturation * maximum)


def performance_drop_rate(
    perturbed: Sequence[float],
    original: Sequence[float],
    groups: Sequence[Hashable] | Clusters,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """1 − Σ perturbed_i / Σ original_i over the same items (PromptRobust), with a joint cluster bootstrap.

    A ratio of paired sums, never a mean of ratios. NaN when the original scores sum to 0; negative when the perturbed
    condition does better.
    """
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    if not clusters.count:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, 0)
    # Of sums the clusters' sums are all that matters.
    sums = [clusters.sums(perturbed), clusters.sums(original)]
    found = cluster_bootstrap(relative_loss, sums, range(clusters.count), draws, seed, confidence)
    return replace(found, n=len(clusters.index))


def crossfit_gaps(scores_NV: Array, groups: Sequence[Hashable] | Clusters, seed: int = 0) -> Array:
    """(40, N) each item's mean over conditions minus its score under the condition chosen as worst without it.

    One row a fold, NaN for the items that chose. The mean over items and folds estimates the loss under the worst
    condition without the bias of the choice: 0 where there is no effect. The same clusters and seed give the same
    folds, so the gaps of two models over the same items can be subtracted.
    """
    grid = np.asarray(scores_NV, dtype=float)
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    return np.asarray(grid.mean(axis=1) - _crossfitted(grid, clusters, seed)[0])


def crossfit_interval(gaps_FN: Array, groups: Sequence[Hashable] | Clusters, confidence: float = 0.95) -> Interval:
    """Mean over folds with the mean of the folds' half-widths.

    In a fold the choice is fixed, so its t interval is valid there. The folds depend on one another in ways that are
    not known, but the standard deviation of their mean is at most the mean of their standard deviations.
    """
    clusters = groups if isinstance(groups, Clusters) else Clusters.of(groups)
    found = []
    for row in gaps_FN:
        here = ~np.isnan(row)
        found.append(difference_interval(row[here], Clusters.of(clusters.index[here].tolist()), confidence))
    estimate = float(np.mean([one.estimate for one in found]))
    half = float(np.mean([(one.high - one.low) / 2 for one in found]))
    se = float(np.mean([one.se for one in found]))
    low, high = max(-1.0, estimate - half), min(1.0, estimate + half)
    return Interval(estimate, low, high, se, len(clusters.index), clusters.count)


def _crossfitted(grid: Array, clusters: Clusters, seed: int, halvings: int = 20) -> tuple[Array, Array]:
    """(2·halvings, N) scores under the conditions worst and best on the other half; NaN on the half that chose."""
    rng = np.random.default_rng(seed)
    shape = 2 * halvings, len(grid)
    lowest, highest = np.full(shape, math.nan), np.full(shape, math.nan)
    if clusters.count < 2:
        return lowest, highest
    for number in range(halvings):
        side = rng.permutation(clusters.count)[clusters.index] < clusters.count // 2
        for fold, half in ((2 * number, side), (2 * number + 1, ~side)):
            means = grid[~half].mean(axis=0)
            lowest[fold, half] = grid[half, int(np.argmin(means))]
            highest[fold, half] = grid[half, int(np.argmax(means))]
    return lowest, highest


def _mean_of_folds(values_FN: Array) -> float:
    """Mean over folds of the means over the items scored in them."""
    scored = ~np.isnan(values_FN)
    if not scored.any():
        return math.nan
    return float((np.where(scored, values_FN, 0.0).sum(axis=1) / scored.sum(axis=1)).mean())
