"""Agreement, majority and the pass family against plain enumeration."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stability import (
    g_pass_at_k,
    krippendorff_alpha,
    maj_gain,
    majority,
    mean,
    mg_pass_at_k,
    pairwise_agreement,
    reliability_gap,
    tar_at_k,
    vote_confidence,
    within_between,
)

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7)


@given(st.integers(0, 8), st.integers(1, 8), st.integers(1, 8), st.fractions(0, 1, max_denominator=20))
def test_g_pass_counts_the_subsets_with_enough_right_runs(c: int, n: int, k: int, tau: Fraction) -> None:
    if c > n or k > n:
        return
    subsets = list(combinations([1] * c + [0] * (n - c), k))
    enough = [sum(subset) >= max(Fraction(1), tau * k) for subset in subsets]
    assert math.isclose(g_pass_at_k(c, n, k, tau), sum(enough) / len(subsets))
    strict = [i for i in range(1, k + 1) if i > math.ceil(k / 2)]
    expected = 2 / k * sum(sum(sum(subset) >= i for subset in subsets) / len(subsets) for i in strict)
    assert math.isclose(mg_pass_at_k(c, n, k), expected, abs_tol=1e-12)
    gap = sum(map(sum, subsets)) / k / len(subsets) - sum(map(all, subsets)) / len(subsets)
    assert math.isclose(reliability_gap(c, n, k), gap, abs_tol=1e-12)


@given(ANSWERS, st.integers(1, 7))
def test_tar_counts_the_subsets_of_one_answer(answers: list[str | None], k: int) -> None:
    if k > len(answers):
        assert math.isnan(tar_at_k(answers, k))
        return
    subsets = list(combinations(answers, k))
    same = [subset[0] is not None and len(set(subset)) == 1 for subset in subsets]
    assert math.isclose(tar_at_k(answers, k), sum(same) / len(subsets))


@given(ANSWERS)
def test_agreement_counts_each_pair_once_and_is_a_share(answers: list[str | None]) -> None:
    """The formula of SCORE's README divides ordered pairs by unordered ones and so reads up to 2."""
    if len(answers) < 2:
        return
    pairs = list(combinations(answers, 2))
    agreeing = sum(one is not None and one == other for one, other in pairs)
    assert math.isclose(pairwise_agreement(answers), agreeing / len(pairs))
    assert pairwise_agreement(["a"] * 5) == 1.0


@given(st.lists(st.lists(st.sampled_from(["a", "b", None]), min_size=2, max_size=4), min_size=2, max_size=4))
def test_within_and_between_count_all_pairs_of_runs(conditions: list[list[str | None]]) -> None:
    within, between = within_between(conditions)
    inside = [mean([float(x is not None and x == y) for x, y in combinations(runs, 2)]) for runs in conditions]
    across = [
        mean([float(x is not None and x == y) for x, y in product(one, other)])
        for one, other in combinations(conditions, 2)
    ]
    assert math.isclose(within, mean(inside)) and math.isclose(between, mean(across))


@given(ANSWERS)
def test_the_majority_vote_is_drawn_by_lot_among_the_tied(answers: list[str | None]) -> None:
    right = [answer == "a" for answer in answers]
    counts = Counter(answer for answer in answers if answer is not None)
    winners = [answer for answer in counts if counts[answer] == max(counts.values())]
    expected = mean([float(winner == "a") for winner in winners]) if winners else 0.0
    assert sorted(majority(answers)) == sorted(winners)
    confidence, correct = vote_confidence(answers, right)
    assert confidence == max(counts.values(), default=0) / len(answers) and math.isclose(correct, expected)
    assert math.isclose(maj_gain(answers, right), expected - mean([float(hit) for hit in right]), abs_tol=1e-12)


def test_voting_helps_where_the_right_answer_is_likeliest() -> None:
    rng = random.Random(1)
    gains = []
    for _ in range(2000):
        answers = rng.choices(["a", "b", "c"], [0.5, 0.25, 0.25], k=9)
        gains.append(maj_gain(answers, [answer == "a" for answer in answers]))
    assert mean(gains) > 0.15
    assert math.isnan(maj_gain([], []))


def test_krippendorff_alpha_of_the_published_example() -> None:
    """Krippendorff, "Computing Krippendorff's alpha-reliability" (2011): nominal, four observers, α = 0.743."""
    units = "111 2232 3333 3333 2222 1234 4444 1121 2222 555 11 3".split()
    assert krippendorff_alpha([list(unit) for unit in units]) == pytest.approx(0.743, abs=5e-4)


@given(st.lists(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=4), min_size=1, max_size=5))
def test_krippendorff_alpha_by_the_matrix_of_coincidences(units: list[list[str | None]]) -> None:
    # Each unreadable answer is a value of its own.
    values = [[f"?{i}.{j}" if a is None else a for j, a in enumerate(unit)] for i, unit in enumerate(units)]
    weights: dict[tuple[str, str], Fraction] = {}
    for unit in values:
        for i, j in product(range(len(unit)), repeat=2):
            if i != j:
                pair = unit[i], unit[j]
                weights[pair] = weights.get(pair, Fraction(0)) + Fraction(1, len(unit) - 1)
    totals: dict[str, Fraction] = {}
    for (one, _), weight in weights.items():
        totals[one] = totals.get(one, Fraction(0)) + weight
    n = sum(totals.values())
    expected = sum(totals[a] * totals[b] for a, b in product(totals, repeat=2) if a != b)
    found = krippendorff_alpha(units)
    if not expected:
        assert math.isnan(found)
        return
    observed = sum(weight for (a, b), weight in weights.items() if a != b)
    assert found == pytest.approx(float(1 - (n - 1) * observed / expected), abs=1e-9)
