from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stability import (
    ceil_share,
    flip_rate,
    g_pass_at_k,
    mean,
    mg_pass_at_k,
    pairwise_agreement,
    pass_at_k,
    pass_hat_k,
    tar_at_k,
    within_between,
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 12))
    return draw(st.integers(0, n)), n, draw(st.integers(1, n))


@given(runs())
def test_identities_of_the_pass_family(case: tuple[int, int, int]) -> None:
    c, n, k = case
    assert pass_hat_k(c, n, 1) == c / n
    assert math.isclose(pass_at_k(c, n, 1), c / n)
    assert math.isclose(g_pass_at_k(c, n, k, 1.0), pass_hat_k(c, n, k))
    assert math.isclose(g_pass_at_k(c, n, k, Fraction(1, 10**9)), pass_at_k(c, n, k), abs_tol=1e-12)
    curve = [pass_hat_k(c, n, j) for j in range(1, k + 1)]
    assert curve == sorted(curve, reverse=True)


@given(runs())
def test_pass_hat_k_counts_the_subsets_of_runs_that_are_all_right(case: tuple[int, int, int]) -> None:
    c, n, k = case
    outcomes = [True] * c + [False] * (n - c)
    subsets = list(combinations(outcomes, k))
    assert math.isclose(pass_hat_k(c, n, k), sum(map(all, subsets)) / len(subsets))
    assert math.isclose(pass_at_k(c, n, k), sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(
    ("k", "tau", "needed"), [(50, 0.14, 7), (50, 0.28, 14), (100, 0.07, 7), (4, 0.0, 1), (4, 0.6, 3)]
)
def test_the_share_of_k_is_rounded_up_exactly(k: int, tau: float, needed: int) -> None:
    assert ceil_share(k, tau) == needed
    assert ceil_share(k, str(tau)) == needed


def test_floats_would_have_rounded_wrongly() -> None:
    assert math.ceil(50 * 0.14) == 8
    assert g_pass_at_k(7, 50, 50, 0.14) == 1.0


def test_too_few_runs_are_undefined_not_zero() -> None:
    assert math.isnan(pass_hat_k(2, 2, 3))
    assert math.isnan(pass_at_k(2, 2, 3))
    assert math.isnan(g_pass_at_k(2, 2, 3, 0.5))
    assert math.isnan(mg_pass_at_k(2, 2, 3))
    assert math.isnan(pairwise_agreement(["a"]))
    assert math.isnan(tar_at_k(["a", "a"], 3))
    assert math.isnan(mean([1.0, math.nan]))
    assert math.isnan(mean([]))


def test_mean_g_pass_averages_the_stricter_half() -> None:
    assert mg_pass_at_k(8, 8, 8) == pytest.approx(1.0)
    expected = 2 / 4 * (g_pass_at_k(5, 8, 4, Fraction(3, 4)) + g_pass_at_k(5, 8, 4, 1))
    assert mg_pass_at_k(5, 8, 4) == pytest.approx(expected)


def test_pass_hat_k_is_unbiased_where_the_plug_in_is_optimistic() -> None:
    """Over items of mixed difficulty the plug-in (c/n)^4 at n = 4 reads far above the truth."""
    rng = random.Random(2)
    chances = [rng.betavariate(1.0, 1.0) for _ in range(4000)]
    truth = mean([p**4 for p in chances])
    counts = [sum(rng.random() < p for _ in range(4)) for p in chances]
    unbiased = mean([pass_hat_k(c, 4, 4) for c in counts])
    plug_in = mean([(c / 4) ** 4 for c in counts])
    assert unbiased == pytest.approx(truth, abs=0.02)
    assert plug_in > truth + 0.04


def test_agreement_of_answers() -> None:
    assert pairwise_agreement(["a", "a", "a", "b"]) == pytest.approx(0.5)
    assert tar_at_k(["a", "a", "a", "b"], 3) == pytest.approx(0.25)
    assert tar_at_k(["a"] * 4, 4) == 1.0
    assert pairwise_agreement([None, None, None]) == 0.0  # unreadable agrees with nothing, not even itself
    assert pairwise_agreement(["a", "a", None]) == pytest.approx(1 / 3)


@given(st.lists(st.sampled_from(["right", "wrong", "other", None]), min_size=2, max_size=10), st.integers(1, 10))
def test_answers_that_are_all_right_are_all_the_same(answers: list[str | None], k: int) -> None:
    assert tar_at_k(answers, 2) == pairwise_agreement(answers)
    if k <= len(answers):
        assert pass_hat_k(answers.count("right"), len(answers), k) <= tar_at_k(answers, k) + 1e-12


def test_within_and_between_tell_seed_noise_from_wording() -> None:
    assert within_between([["a", "a"], ["b", "b"]]) == (1.0, 0.0)
    assert within_between([["a", "a"], ["a", "a"], ["a", "a"]]) == (1.0, 1.0)
    within, between = within_between([["a"], ["a"], ["b"]])
    assert math.isnan(within)
    assert between == pytest.approx(1 / 3)


def test_excess_sensitivity_is_unbiased() -> None:
    """E[W − B] is half the squared distance of the two conditions' answer distributions: here 0.25."""
    rng = random.Random(5)
    gaps = []
    for _ in range(4000):
        first = rng.choices(["a", "b"], [0.75, 0.25], k=4)
        second = rng.choices(["a", "b"], [0.25, 0.75], k=4)
        within, between = within_between([first, second])
        gaps.append(within - between)
    assert mean(gaps) == pytest.approx(0.25, abs=0.02)


def test_flips_count_against_the_first_answer() -> None:
    assert flip_rate(["a", "a", "b", None]) == pytest.approx(2 / 3)
    assert flip_rate([None, None]) == 1.0
