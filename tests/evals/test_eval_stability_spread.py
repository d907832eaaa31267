"""Worst case, spread over conditions, flips and batch determinism."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest

from evals.stability import (
    all_conditions_success,
    batch_determinism,
    correctness_flips,
    crossfit_gaps,
    crossfit_interval,
    first_divergence,
    instance_worst_case,
    performance_drop_rate,
    prompt_spread,
    sampled_flips,
    worst_prompt,
)
from evals.stats import difference_interval


def test_the_worst_case_depends_on_what_is_better() -> None:
    """HELM takes the minimum even where lower is better."""
    grid = np.array([[0.2, 0.9], [0.5, 0.4]])
    assert instance_worst_case(grid).tolist() == [0.2, 0.4]
    assert instance_worst_case(grid, better="lower").tolist() == [0.9, 0.5]


def test_all_conditions_success_is_the_chance_of_one_draw_each() -> None:
    runs = [[1, 0, 1], [1, 1, 0], [0, 1, 1, 1]]
    shares = np.array([[sum(row) / len(row) for row in runs]])
    draws = list(product(*runs))
    assert all_conditions_success(shares)[0] == pytest.approx(sum(map(all, draws)) / len(draws))


def test_the_null_of_the_worst_prompt_is_that_of_all_relabellings() -> None:
    grid = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    relabelled = [np.array(rows).mean(axis=0) for rows in product(*(list(permutations(row)) for row in grid))]
    worst = [means.min() for means in relabelled]
    spread = [np.ptp(means) for means in relabelled]
    found = worst_prompt(grid, range(4), draws=20_000)
    assert found.worst == pytest.approx(0.5) and found.range == pytest.approx(0.25) and found.conditions == 3
    assert found.null_worst == pytest.approx(np.mean(worst), abs=0.005)
    assert found.null_range == pytest.approx(np.mean(spread), abs=0.005)
    assert found.p_worst == pytest.approx(np.mean(np.array(worst) <= 0.5 + 1e-12), abs=0.015)
    assert found.p_range == pytest.approx(np.mean(np.array(spread) >= 0.25 - 1e-12), abs=0.015)


def test_identical_prompts_have_a_worst_one_and_the_null_says_so() -> None:
    """Ten prompts without any effect on 200 items: the worst reads 4 points low, and none of it is real."""
    rng = np.random.default_rng(4)
    gaps, crossfit, p = [], [], []
    for seed in range(60):
        grid = (rng.random((200, 10)) < 0.7).astype(float)
        found = worst_prompt(grid, range(200), draws=200, seed=seed)
        gaps.append(0.7 - found.worst)
        crossfit.append(crossfit_interval(crossfit_gaps(grid, range(200), seed), range(200)).estimate)
        p.append(found.p_worst)
    assert np.mean(gaps) > 0.04
    assert abs(np.mean(crossfit)) < 0.012
    assert 0.35 < np.mean(p) < 0.65


def test_a_prompt_that_is_really_worse_is_found() -> None:
    rng = np.random.default_rng(5)
    grid = (rng.random((200, 6)) < [0.7, 0.7, 0.7, 0.4, 0.7, 0.7]).astype(float)
    found = worst_prompt(grid, range(200))
    assert found.p_worst < 0.01 and found.p_range < 0.01
    assert found.crossfit_worst == pytest.approx(0.4, abs=0.08)
    assert found.crossfit_range == pytest.approx(0.3, abs=0.1)
    gap = crossfit_interval(crossfit_gaps(grid, range(200)), range(200))
    assert gap.estimate == pytest.approx(0.25, abs=0.08) and 0.1 < gap.low < gap.estimate < gap.high < 0.4


def test_the_interval_of_the_gap_knows_that_the_worst_was_chosen() -> None:
    """Without an effect 0 must be covered; the t interval of the pooled folds holds it in 80 % of the cases."""
    groups = [index // 2 for index in range(100)]
    covered = naive = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        grid = (rng.random((100, 6)) < rng.beta(1, 1, 100)[:, None]).astype(float)
        gaps = crossfit_gaps(grid, groups, seed)
        found = crossfit_interval(gaps, groups)
        covered += found.low <= 0 <= found.high
        pooled = difference_interval(np.nanmean(gaps, axis=0), groups)
        naive += pooled.low <= 0 <= pooled.high
    assert covered / 150 > 0.92 > 0.87 > naive / 150


def test_multi_prompt_means() -> None:
    found = prompt_spread([0.5, 0.7, 0.6])
    assert (found.average, found.maximum) == pytest.approx((0.6, 0.7))
    assert (found.saturation, found.combined) == pytest.approx((0.9, 0.63))


def test_the_drop_rate_is_a_ratio_of_sums_and_resampled_jointly() -> None:
    original = [1.0, 1.0, 0.0, 1.0] * 25
    perturbed = [1.0, 0.0, 0.0, 1.0] * 25
    found = performance_drop_rate(perturbed, original, range(100), draws=500)
    assert found.estimate == pytest.approx(1 - 50 / 75)
    assert 0.2 < found.low < found.estimate < found.high < 0.5
    assert performance_drop_rate([1.0, 1.0], [1.0, 0.0], range(2)).estimate == -1.0, "better when perturbed"
    assert math.isnan(performance_drop_rate([0.0, 1.0], [0.0, 0.0], range(2)).estimate)
    assert math.isnan(performance_drop_rate([], [], []).estimate)


def test_flips_of_single_runs_and_of_repeats() -> None:
    base, candidate = np.array([1.0, 1.0, 0.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    negative, positive = correctness_flips(base, candidate)
    assert (negative.sum(), positive.sum()) == (2, 1)
    assert positive.mean() - negative.mean() == pytest.approx((candidate - base).mean())
    base_runs, candidate_runs = [1, 1, 0, 1], [0, 1, 0, 0]
    pairs = [(b, c) for (r, b), (s, c) in product(enumerate(base_runs), enumerate(candidate_runs)) if r != s]
    lost, won = sampled_flips(base_runs, candidate_runs)
    assert lost == pytest.approx(sum(b and not c for b, c in pairs) / len(pairs))
    assert won == pytest.approx(sum(c and not b for b, c in pairs) / len(pairs))
    assert sampled_flips([1], [0]) == (1, 0)


def test_a_model_against_itself_flips_as_often_as_its_runs_do_though_equal_seeds_make_them_alike() -> None:
    rng = np.random.default_rng(5)
    runs = rng.random((20_000, 4)) < 0.5
    lost = np.mean([sampled_flips(row, row)[0] for row in runs.astype(float).tolist()])
    assert lost == pytest.approx(0.25, abs=0.005)


def test_batch_determinism_wants_every_size_alike() -> None:
    assert batch_determinism({"1": "abc", "8": "abc", "32": "abc"}) == 1.0
    assert batch_determinism({"1": "abc", "8": "abc", "32": "abd"}) == 0.0
    assert batch_determinism({"1": None, "8": None}) == 0.0, "failed requests are not alike"
    assert math.isnan(batch_determinism({"1": "abc"}))


def test_first_divergence() -> None:
    assert first_divergence("abcd", "abXd") == 2
    assert first_divergence([5, 6, 7], [5, 6]) == 2
    assert first_divergence("same", "same") is None
