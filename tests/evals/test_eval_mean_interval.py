"""The interval of a mean against published examples, the formula worked out anew, and coverage counted exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np
import pytest

from evals.stats import Clusters, clustered_se, design_effect, mean_interval, t_quantile, wilson

Z = NormalDist().inv_cdf(0.975)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), "Two-sided confidence intervals for the single proportion": score.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_independent_binary_scores_is_wilsons(right: int, n: int, low: float, high: float) -> None:
    values = [1.0] * right + [0.0] * (n - right)
    found = mean_interval(values, range(n))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.se == pytest.approx(clustered_se(values, range(n)))
    turned = mean_interval([1 - value for value in values], range(n))
    assert (1 - turned.high, 1 - turned.low) == pytest.approx((found.low, found.high))


def test_clustered_binary_scores_use_korn_and_graubards_number_of_trials() -> None:
    """The score equation (p̂ − p)² = z² p(1 − p)/n* solved by its roots, n* from sums over the items."""
    sizes, right = [1, 3, 5, 2, 4, 4, 1, 6, 3, 3, 2, 4], [1, 3, 5, 0, 4, 2, 1, 6, 3, 2, 2, 4]
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    values = [float(number < hits) for size, hits in zip(sizes, right, strict=True) for number in range(size)]
    n, mean, count = sum(sizes), sum(right) / sum(sizes), len(sizes)
    sums = [hits - size * mean for size, hits in zip(sizes, right, strict=True)]
    variance = count / (count - 1) * sum(one**2 for one in sums) / n**2
    effect = variance / (mean * (1 - mean) / (n - 1))
    degrees = n**2 / sum(size**2 for size in sizes) - 1
    trials = n / effect * (t_quantile(0.975, n - 1) / t_quantile(0.975, degrees)) ** 2
    roots = np.roots([1 + Z**2 / trials, -2 * mean - Z**2 / trials, mean**2])
    found = mean_interval(values, groups)
    assert effect > 1
    assert (found.low, found.high) == pytest.approx(sorted(roots))


def test_graded_scores_pay_for_their_own_variance() -> None:
    values = [1.0, 0.5, 0.75, 1.0, 0.25, 1.0, 0.5, 1.0]
    mean, variance = float(np.mean(values)), float(np.var(values, ddof=1)) / 8
    found = mean_interval(values, range(8))
    expected = wilson(mean, mean * (1 - mean) / variance, t_quantile(0.975, 7))
    assert (found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_errors_that_fall_into_different_clusters_do_not_make_items_better_than_independent(error: float) -> None:
    values, groups = np.ones(40), [index // 2 for index in range(40)]
    values[[0, 8, 20, 36]] = error
    alone = float(np.var(values, ddof=1)) / 40
    assert clustered_se(values, groups) ** 2 < alone and design_effect(values, groups) == 1.0
    mean, reach = float(values.mean()), t_quantile(0.975, 19)
    trials = mean * (1 - mean) / alone
    if error == 0:
        trials, reach = 40, Z * reach / t_quantile(0.975, 39)
    found = mean_interval(values, groups)
    assert (found.low, found.high) == pytest.approx(wilson(mean, trials, reach))


def test_clusters_that_are_all_alike_inside_do_not_make_the_mean_certain() -> None:
    found = mean_interval([0.0, 1.0] * 10, [index // 2 for index in range(20)])
    assert found.se == 0 and found.low < 0.3 and found.high > 0.7
    equal = mean_interval([0.1] * 30, range(30))
    assert equal.low < 0.1 < equal.high and equal.high - equal.low > 0.1, "rounding is no variance"


@pytest.mark.parametrize("n", [43, 64, 90, 170])
def test_independent_binary_scores_are_covered_on_average_as_claimed(n: int) -> None:
    """Coverage of Wilson's interval swings with p, as outcomes are whole numbers; its mean over p does not."""
    shares = np.linspace(0.03, 0.97, 95)
    right = np.arange(n + 1)
    ways = np.array([math.comb(n, int(k)) for k in right], dtype=float)
    intervals = [mean_interval((np.arange(n) < k).astype(float), range(n)) for k in right]
    low, high = np.array([one.low for one in intervals]), np.array([one.high for one in intervals])
    covered = [
        float(np.sum(ways * p**right * (1 - p) ** (n - right) * ((low <= p) & (p <= high)))) for p in map(float, shares)
    ]
    assert 0.945 < np.mean(covered) < 0.958
    assert min(covered) > 0.9


@pytest.mark.parametrize(("clusters", "size", "mean"), [(14, 3, 0.75), (22, 3, 0.85), (30, 2, 0.7), (40, 2, 0.9)])
def test_clustered_binary_scores_are_covered_as_claimed(clusters: int, size: int, mean: float) -> None:
    """Exact: every number of clusters with 0, 1, …, m right, weighted by its probability (beta-binomial, ρ = 0.4)."""
    chances = _beta_binomial(size, mean, 0.4)
    partition = Clusters.of([index // size for index in range(clusters * size)])
    covered = total = 0.0
    for counts in _compositions(clusters, size + 1):
        chance = _multinomial(counts, chances)
        if chance < 1e-9:
            continue
        values = [float(j < right) for right, times in enumerate(counts) for _ in range(times) for j in range(size)]
        found = mean_interval(values, partition)
        total += chance
        covered += chance * (found.low <= mean <= found.high)
    assert total == pytest.approx(1, abs=1e-4)
    assert 0.93 < covered < 0.97


def _beta_binomial(size: int, mean: float, rho: float) -> list[float]:
    a, b = mean * (1 / rho - 1), (1 - mean) * (1 / rho - 1)

    def beta(x: float, y: float) -> float:
        return math.exp(math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y))

    return [math.comb(size, k) * beta(k + a, size - k + b) / beta(a, b) for k in range(size + 1)]


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)


def _multinomial(counts: Sequence[int], chances: Sequence[float]) -> float:
    logs = math.lgamma(sum(counts) + 1) - sum(math.lgamma(count + 1) for count in counts)
    return math.exp(logs + sum(count * math.log(chance) for count, chance in zip(counts, chances, strict=True)))
