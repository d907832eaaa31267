from __future__ import annotations

import math

import numpy as np
import pytest

from evals.stats import (
    clopper_pearson,
    cluster_bootstrap,
    clustered_se,
    incomplete_beta,
    mcnemar_exact,
    mean_interval,
    mean_of,
    minimum_detectable_effect,
    paired_difference,
    ratio_of_means,
    sample_size,
    t_quantile,
)


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        # Published table of Student's t.
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 5, 2.57058),
        (0.975, 10, 2.22814),
        (0.975, 30, 2.04227),
        (0.975, 120, 1.97993),
        (0.995, 10, 3.16927),
        (0.95, 4, 2.13185),
        (0.90, 60, 1.29582),
        (0.975, 1e6, 1.95997),
    ],
)
def test_t_quantiles_match_the_published_table(probability: float, degrees: float, expected: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-5)
    assert t_quantile(1 - probability, degrees) == pytest.approx(-expected, rel=1e-5)


def test_t_quantile_at_the_median_is_zero_and_refuses_nonsense() -> None:
    assert t_quantile(0.5, 7) == pytest.approx(0, abs=1e-7)
    with pytest.raises(ValueError):
        t_quantile(1.0, 7)
    with pytest.raises(ValueError):
        t_quantile(0.9, 0)


def test_incomplete_beta_closed_forms() -> None:
    assert incomplete_beta(0.3, 1, 1) == pytest.approx(0.3)
    assert incomplete_beta(0.3, 2, 1) == pytest.approx(0.09)
    assert incomplete_beta(0.3, 1, 3) == pytest.approx(1 - 0.7**3)
    assert incomplete_beta(0.4, 2.5, 4) == pytest.approx(1 - incomplete_beta(0.6, 4, 2.5))


def test_clopper_pearson_known_values_and_rule_of_three() -> None:
    assert clopper_pearson(0, 300)[1] == pytest.approx(1 - 0.025 ** (1 / 300), rel=1e-9)
    assert clopper_pearson(0, 300, confidence=0.9)[1] == pytest.approx(0.00994, abs=1e-4)  # 0 of 300: at most 1 %
    assert clopper_pearson(5, 10) == pytest.approx((0.18709, 0.81291), abs=1e-5)
    assert clopper_pearson(1, 20) == pytest.approx((0.00127, 0.24873), abs=1e-5)
    assert clopper_pearson(20, 20)[1] == 1.0
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_clustered_se_with_one_item_a_group_is_the_usual_standard_error() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.5]
    usual = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    assert clustered_se(values, range(6)) == pytest.approx(usual)


def test_copies_of_an_item_in_one_group_add_no_evidence() -> None:
    values, groups = [0.0, 1.0, 1.0, 0.0], ["a", "b", "c", "d"]
    assert clustered_se(values * 3, groups * 3) == pytest.approx(clustered_se(values, groups))
    assert math.isnan(clustered_se([1.0, 0.0], ["a", "a"]))


def test_clustered_interval_covers_where_the_naive_one_does_not() -> None:
    """Clusters that share their difficulty: nominal 95 % must be near 95 %, ignoring clusters is far below."""
    rng = np.random.default_rng(1)
    truth, covered, naive = 0.5, 0, 0
    for _ in range(300):
        sizes = rng.integers(1, 7, 40)
        groups = np.repeat(np.arange(40), sizes)
        values = (rng.random(groups.size) < rng.beta(0.8, 0.8, 40)[groups]).astype(float)
        interval = mean_interval(values.tolist(), groups.tolist())
        covered += interval.low <= truth <= interval.high
        alone = mean_interval(values.tolist(), list(range(groups.size)))
        naive += alone.low <= truth <= alone.high
    assert 0.92 <= covered / 300 <= 0.98
    assert naive / 300 < 0.88


def test_no_variance_gives_the_exact_bound_instead_of_no_width() -> None:
    nothing = paired_difference([0.0] * 20, [0.0] * 20, range(20))
    bound = 1 - 0.025 ** (1 / 20)
    assert (nothing.estimate, nothing.low, nothing.high) == pytest.approx((0, -bound, bound))
    # One gain in each of two documents: the items differ, their sums do not.
    alike = paired_difference([1.0, 0.0, 0.0, 1.0], [0.0] * 4, [1, 1, 2, 2])
    bound = 1 - 0.025 ** (1 / 2)
    assert (alike.estimate, alike.low, alike.high) == pytest.approx((0.5, 0.5 - 1.5 * bound, 0.5 + 0.5 * bound))
    bound = 1 - 0.025 ** (1 / 20)
    everything = mean_interval([1.0] * 20, range(20))
    assert (everything.low, everything.high) == pytest.approx((1 - bound, 1.0))


def test_paired_difference_is_narrower_than_the_arms_are_apart() -> None:
    base = [float(index % 2) for index in range(40)]
    candidate = [1.0 if index % 10 == 0 else value for index, value in enumerate(base)]
    result = paired_difference(candidate, base, range(40))
    assert result.estimate == pytest.approx(0.1)
    assert result.low > 0
    assert mean_interval(candidate, range(40)).low < mean_interval(base, range(40)).high
    with pytest.raises(ValueError, match="unpaired"):
        paired_difference([1.0], [1.0, 0.0], range(2))


def test_one_group_gives_no_interval() -> None:
    interval = mean_interval([1.0, 0.0, 1.0], ["a", "a", "a"])
    assert interval.estimate == pytest.approx(2 / 3)
    assert math.isnan(interval.low) and math.isnan(interval.high)
    assert interval.few_groups


def test_bootstrap_is_reproducible_and_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 3)
    values = (rng.random(180) < rng.beta(1, 1, 60)[groups]).astype(float).tolist()

    one = cluster_bootstrap(mean_of, [values], groups.tolist(), draws=1000, seed=7)
    again = cluster_bootstrap(mean_of, [values], groups.tolist(), draws=1000, seed=7)
    assert one == again
    assert one.se == pytest.approx(clustered_se(values, groups.tolist()), rel=0.1)
    assert one.low < one.estimate < one.high


def test_ratio_of_means_is_a_ratio_of_sums() -> None:
    columns = np.array([[0.0, 1.0], [1.0, 3.0]])
    assert ratio_of_means(columns, np.array([[1.0, 1.0], [2.0, 1.0]])).tolist() == [0.25, 0.2]
    assert math.isnan(ratio_of_means(np.zeros((2, 3)), np.ones((1, 3)))[0])


def test_mcnemar_exact() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == 1.0
    assert mcnemar_exact(8, 0) == pytest.approx(2 / 2**8)
    assert mcnemar_exact(9, 1) == mcnemar_exact(1, 9) == pytest.approx(2 * 11 / 2**10)


@pytest.mark.parametrize(
    ("delta", "discordance", "items"),
    [
        (0.01, 0.05, 3917),
        (0.01, 0.10, 7842),
        (0.02, 0.20, 3917),
        (0.03, 0.10, 865),
        (0.05, 0.10, 307),
        (0.05, 0.20, 621),
    ],
)
def test_sample_sizes_and_the_detectable_effect_are_each_others_inverse(
    delta: float, discordance: float, items: int
) -> None:
    assert math.ceil(sample_size(delta, discordance)) == pytest.approx(items, abs=1)
    assert minimum_detectable_effect(discordance, items) == pytest.approx(delta, rel=2e-3)


def test_clusters_and_silence_in_the_detectable_effect() -> None:
    assert minimum_detectable_effect(0.1, 300, design_effect=2) == minimum_detectable_effect(0.1, 150)
    assert math.isnan(minimum_detectable_effect(0.0, 300))
