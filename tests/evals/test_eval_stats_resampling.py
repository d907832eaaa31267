"""Bootstrap, permutation, Wilson's interval for clustered data, and corrections for many tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import (
    Array,
    Clusters,
    Statistic,
    benjamini_hochberg,
    cluster_bootstrap,
    clustered_se,
    design_effect,
    difference_interval,
    holm,
    mcnemar_exact,
    mean_interval,
    mean_of,
    ratio_of_means,
    share_of_sum_interval,
    sign_flip_test,
    t_quantile,
    t_tail,
    wilson,
)


def test_wilson_known_values() -> None:
    assert wilson(0.5, 10, 1.959964) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert wilson(0.1, 20, 1.959964) == pytest.approx((0.02787, 0.30103), abs=1e-5)
    assert wilson(1.0, 10, 1.959964) == pytest.approx((0.72247, 1.0), abs=1e-5)


def test_an_interval_near_a_bound_stays_inside_it_and_is_not_empty() -> None:
    found = mean_interval([1.0] * 49 + [0.0], range(50))
    assert 0.85 < found.low < 0.98 < found.high < 1.0
    entropy = mean_interval([0.0] * 49 + [1.1], range(50), bounds=(0.0, math.log(4)))
    assert 0 < entropy.low < entropy.estimate < entropy.high < 0.2


def test_values_outside_their_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="not within"):
        mean_interval([0.5, 1.5], range(2))


def test_few_large_clusters_cost_degrees_of_freedom() -> None:
    even, uneven = Clusters.of([i // 4 for i in range(40)]), Clusters.of([0] * 31 + list(range(1, 10)))
    assert even.degrees == pytest.approx(9) and even.count == uneven.count == 10
    assert uneven.degrees == 1.0, "nearly all items are one cluster's"
    assert Clusters.of(list("aabbc")).sums([1, 2, 3, 4, 5]).tolist() == [3, 7, 5]


def test_a_share_of_a_sum_stays_a_share() -> None:
    part, whole = [0.0, 1.0, 0.2, 0.0, 1.0, 1.0] * 6, [0.5, 1.0, 0.75, 0.0, 1.0, 1.0] * 6
    found = share_of_sum_interval(part, whole, range(36))
    assert found.estimate == pytest.approx(sum(part) / sum(whole))
    assert 0 < found.low < found.estimate < found.high < 1
    boot = cluster_bootstrap(ratio_of_means, [part, whole], range(36))
    assert found.se == pytest.approx(boot.se, rel=0.1)
    everything = share_of_sum_interval([1.0] * 10, [1.0] * 10, range(10))
    assert everything.high == 1.0 and everything.low == pytest.approx(0.025 ** (1 / 10))
    assert math.isnan(share_of_sum_interval([0.0] * 5, [0.0] * 5, range(5)).estimate)
    assert math.isnan(share_of_sum_interval([math.nan], [1.0], range(1)).estimate)


def test_the_bootstrap_error_is_not_divided_by_the_number_of_draws() -> None:
    """lighteval takes the standard error of the bootstrap values: too small by √B."""
    values = (np.arange(100) % 10 < 7).astype(float)
    true = math.sqrt(0.7 * 0.3 / 99)
    few, many = (cluster_bootstrap(mean_of, [values], range(100), draws=draws) for draws in (500, 4000))
    assert few.se == pytest.approx(true, rel=0.1) and many.se == pytest.approx(true, rel=0.05)


def spread_of(columns: Array, weights: Array) -> Array:
    """Population variance of row 0: biased in a resample, which BCa must notice."""
    centre = mean_of(columns, weights)
    return np.asarray(mean_of(columns**2, weights) - centre**2)


@pytest.mark.parametrize(("statistic", "plain"), [(mean_of, np.mean), (spread_of, np.var)])
def test_bootstrap_is_the_enumerated_one(statistic: Statistic, plain: Callable[[Array], float]) -> None:
    """Five clusters of uneven size have 5^5 resamples: percentile bounds, and BCa's by the textbook formula."""
    groups, values = [0, 0, 1, 2, 2, 3, 4], np.array([0.0, 1.0, 0.5, 1.0, 0.9, 0.2, 0.1])
    members = [[0, 1], [2], [3, 4], [5], [6]]
    every = np.array(
        [plain(values[[row for one in chosen for row in members[one]]]) for chosen in product(range(5), repeat=5)]
    )
    found = cluster_bootstrap(statistic, [values], groups, draws=40_000, method="percentile")
    assert found.estimate == pytest.approx(plain(values))
    assert (found.low, found.high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.01)
    assert found.se == pytest.approx(np.std(every), rel=0.02)
    normal, ties = NormalDist(), 1e-12
    below = (np.mean(every < plain(values) - ties) + np.mean(every <= plain(values) + ties)) / 2
    bias = normal.inv_cdf(float(below))
    left_out = np.array([plain(np.delete(values, rows)) for rows in members])
    offsets = left_out.mean() - left_out
    a = np.sum(offsets**3) / (6 * np.sum(offsets**2) ** 1.5)
    levels = [normal.cdf(bias + (bias + z) / (1 - a * (bias + z))) for z in (-1.959964, 1.959964)]
    corrected = cluster_bootstrap(statistic, [values], groups, draws=40_000)
    assert (corrected.low, corrected.high) == pytest.approx(np.quantile(every, levels), abs=0.01)


def test_resampling_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.random(60), np.repeat(np.arange(20), 3).tolist()
    whole = cluster_bootstrap(mean_of, [values], groups, draws=300)
    monkeypatch.setattr("evals.stats.bootstrap._CELLS", 60 * 7)
    chunked = cluster_bootstrap(mean_of, [values], groups, draws=300)
    assert chunked.low == pytest.approx(whole.low, abs=0.02) and chunked.estimate == whole.estimate


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=9))
def test_sign_flips_are_enumerated_for_few_clusters(values: list[float]) -> None:
    groups = [index // 2 for index in range(len(values))]
    sums = [sum(v for v, g in zip(values, groups, strict=True) if g == group) for group in sorted(set(groups))]
    flipped = [
        abs(sum(s * x for s, x in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=len(sums))
    ]
    expected = np.mean([value >= abs(sum(sums)) - 1e-9 for value in flipped])
    assert sign_flip_test(values, groups) == pytest.approx(expected)


def test_sign_flips_of_single_binary_items_are_mcnemars_test() -> None:
    assert sign_flip_test([1.0] * 8 + [0.0] * 50 + [-1.0] * 2, range(60)) == pytest.approx(mcnemar_exact(8, 2))
    many = sign_flip_test([1.0] * 40 + [-1.0] * 20, range(60), draws=40_000)
    assert many == pytest.approx(mcnemar_exact(40, 20), abs=0.003)
    assert sign_flip_test([0.0] * 5, range(5)) == 1.0 and math.isnan(sign_flip_test([], []))


def test_pairing_finds_what_an_unpaired_test_of_the_same_answers_does_not() -> None:
    """lm-eval compares two runs over the same items with a z-test for independent samples."""
    base = [1.0] * 120 + [0.0] * 80
    candidate = [1.0] * 118 + [0.0] * 2 + [1.0] * 14 + [0.0] * 66
    errors = [clustered_se(arm, range(200)) for arm in (base, candidate)]
    z = (np.mean(candidate) - np.mean(base)) / math.hypot(*errors)
    assert 2 * (1 - NormalDist().cdf(float(z))) > 0.2
    assert mcnemar_exact(14, 2) < 0.005
    assert difference_interval(np.subtract(candidate, base), range(200)).low > 0


def test_t_tail_is_the_inverse_of_the_quantile() -> None:
    for degrees in (1.0, 7.5, 40.0):
        assert t_tail(t_quantile(0.975, degrees), degrees) == pytest.approx(0.05, rel=1e-6)


def test_holm_and_benjamini_hochberg() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([]) == [] and holm([0.6, 0.9]) == [1.0, 1.0]


def test_design_effect_counts_copies() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0] * 5
    assert design_effect(values, range(30)) == pytest.approx(1.0)
    assert design_effect([v for v in values for _ in range(3)], [i // 3 for i in range(90)]) == pytest.approx(
        3, rel=0.05
    )
    assert design_effect([1.0, 1.0], range(2)) == 1.0
