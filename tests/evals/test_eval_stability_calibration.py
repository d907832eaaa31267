"""Entropy, Brier score, calibration error and selective accuracy."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stability import (
    brier,
    coverage_accuracy_area,
    ece,
    ece_excess,
    reliability_curve,
    semantic_entropy,
    vote_brier,
)


def test_entropy_of_few_runs_is_too_low_and_the_correction_takes_half_of_it_back() -> None:
    """The expectation over all outcomes of five runs, enumerated."""
    p = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}
    truth = -sum(x * math.log(x) for x in p.values())
    plug_in = corrected = 0.0
    for outcome in product(p, repeat=5):
        chance = math.prod(p[answer] for answer in outcome)
        plug_in += chance * semantic_entropy(outcome)
        corrected += chance * semantic_entropy(outcome, corrected=True)
    assert plug_in < truth - 0.2
    assert abs(corrected - truth) < 0.5 * (truth - plug_in)


def test_entropy_counts_each_unreadable_answer_as_its_own_cluster() -> None:
    assert semantic_entropy(["a", "a", "a"]) == 0.0
    assert semantic_entropy([None, None]) == pytest.approx(math.log(2))
    assert semantic_entropy(["a", "b"], corrected=True) == pytest.approx(math.log(2) + 1 / 4)
    assert math.isnan(semantic_entropy([]))


@given(st.lists(st.sampled_from(["gold", "b", "c", None]), min_size=1, max_size=8))
def test_brier_of_votes_is_the_multi_class_score(answers: list[str | None]) -> None:
    classes = ["gold", "b", "c", *(f"?{i}" for i, answer in enumerate(answers) if answer is None)]
    named = [f"?{i}" if answer is None else answer for i, answer in enumerate(answers)]
    shares = np.array([[named.count(one) / len(named) for one in classes]])
    expected = sum((share - (one == "gold")) ** 2 for share, one in zip(shares[0], classes, strict=True))
    assert brier(shares, np.array([0]))[0] == pytest.approx(expected)
    assert vote_brier(answers, [answer == "gold" for answer in answers]) == pytest.approx(expected)


def test_brier_is_proper() -> None:
    truth = np.array([0.6, 0.3, 0.1])

    def expected(forecast: list[float]) -> float:
        return float(sum(truth[k] * brier(np.array([forecast]), np.array([k]))[0] for k in range(3)))

    assert expected([0.6, 0.3, 0.1]) < min(expected([0.7, 0.2, 0.1]), expected([1.0, 0.0, 0.0]), expected([1 / 3] * 3))


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    correct = np.array([0, 0, 1, 0, 1, 1, 0, 1])
    assert ece(confidence, correct, bins=2) == pytest.approx((4 * abs(0.25 - 0.25) + 4 * abs(0.75 - 0.75)) / 8)
    assert ece(confidence, correct, bins=4) == pytest.approx((0.3 + 0.3 + 0.7 + 0.7) / 8)
    curve = reliability_curve(confidence, correct, bins=2)
    assert [(point.confidence, point.accuracy, point.n) for point in curve] == [
        (pytest.approx(0.25), 0.25, 4), (pytest.approx(0.75), 0.75, 4),
    ]  # fmt: skip


def test_items_of_one_confidence_stay_in_one_bin_whatever_their_order() -> None:
    confidence, correct = np.array([0.5] * 6 + [1.0] * 6), np.array([1, 1, 1, 0, 0, 0] + [1] * 5 + [0])
    for order in (np.arange(12), np.arange(12)[::-1]):
        assert ece(confidence[order], correct[order]) == pytest.approx((0 + 1) / 12)
    assert [point.n for point in reliability_curve(confidence, correct)] == [6, 6]


def test_a_calibrated_model_has_no_excess_though_its_ece_is_above_zero() -> None:
    rng = np.random.default_rng(0)
    found = []
    for seed in range(40):
        confidence = rng.random(300)
        found.append(ece_excess(confidence, rng.random(300) < confidence, draws=200, seed=seed))
    excess, null, p = np.mean(found, axis=0)
    assert 0.05 < null < 0.065, "what a perfectly calibrated model reads at 300 items"
    assert abs(excess) < 0.006 and 0.35 < p < 0.65
    excess, _, p = ece_excess(np.full(300, 0.95), np.arange(300) % 2 == 0)
    assert excess > 0.4 and p < 0.002


def test_selective_accuracy_over_all_orders_of_the_tied() -> None:
    confidence, correct = np.array([0.9, 0.5, 0.5, 0.5]), np.array([1.0, 1.0, 0.0, 0.0])
    areas = []
    for order in permutations([1, 2, 3]):
        ranked = correct[[0, *order]]
        areas.append(np.mean(np.cumsum(ranked) / np.arange(1, 5)))
    assert coverage_accuracy_area(confidence, correct) == pytest.approx(np.mean(areas))
    assert coverage_accuracy_area(np.array([0.9, 0.1]), np.array([1.0, 0.0])) == pytest.approx(0.75)
    assert math.isnan(coverage_accuracy_area(np.array([]), np.array([]))) and math.isnan(
        ece(np.array([]), np.array([]))
    )
