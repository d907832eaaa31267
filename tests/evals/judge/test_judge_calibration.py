"""Correction of a judge's share: unbiased, covering, and silent where it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from evals.judge.calibration import Calibration, alpha, corrected, corrected_difference
from evals.judge.families import families_of


def draw(rng: np.random.Generator, theta: float, n: int, m: int, q0: float, q1: float) -> tuple[list[int], Calibration]:
    good = rng.random(n) < theta
    passes = np.where(good, rng.random(n) < q1, rng.random(n) >= q0).astype(int).tolist()
    return passes, Calibration(m // 2, int(rng.binomial(m // 2, q0)), m // 2, int(rng.binomial(m // 2, q1)))


@pytest.mark.parametrize("theta", [0.3, 0.5, 0.8])
def test_corrected_intervals_cover_the_truth(theta: float) -> None:
    rng = np.random.default_rng(11)
    inside, estimates, runs = 0, [], 1000
    for _ in range(runs):
        passes, calibration = draw(rng, theta, 300, 160, 0.9, 0.85)
        found = corrected(passes, range(300), calibration, 0.95)
        assert found.value is not None and found.low is not None and found.high is not None
        inside += found.low <= theta <= found.high
        estimates.append(found.value)
    assert 0.93 <= inside / runs <= 0.97
    assert abs(np.mean(estimates) - theta) < 0.01


def test_corrected_differences_cover_the_truth_although_the_judge_likes_one_arm() -> None:
    rng = np.random.default_rng(12)
    inside, raw, runs = 0, [], 600
    for _ in range(runs):
        tuned, about_tuned = draw(rng, 0.6, 300, 200, 0.75, 0.95)
        base, about_base = draw(rng, 0.6, 300, 200, 0.9, 0.85)
        found = corrected_difference(tuned, base, range(300), (about_tuned, about_base), 0.95)
        assert found.low is not None and found.high is not None
        inside += found.low <= 0 <= found.high
        raw.append((sum(tuned) - sum(base)) / 300)
    assert 0.93 <= inside / runs <= 0.98
    assert np.mean(raw) > 0.1, "uncorrected, two equal models seem to differ"


def test_correction_is_the_formula() -> None:
    calibration = Calibration(negatives=100, rejected=90, positives=100, passed=80)
    found = corrected([1] * 45 + [0] * 55, range(100), calibration, 0.95)
    assert found.value == pytest.approx((0.45 + 0.9 - 1) / (0.9 + 0.8 - 1))


def test_a_judge_no_better_than_chance_corrects_nothing() -> None:
    for calibration in (Calibration(50, 20, 50, 30), Calibration(0, 0, 50, 50), Calibration(50, 50, 0, 0)):
        assert corrected([1, 0] * 20, range(40), calibration, 0.95).value is None


def test_items_of_one_group_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    calibration = Calibration(100, 90, 100, 85)
    by_group = np.repeat(rng.integers(0, 2, 30), 10).tolist()
    alone = corrected(by_group, range(300), calibration, 0.95)
    grouped = corrected(by_group, [number // 10 for number in range(300)], calibration, 0.95)
    assert grouped.high is not None and alone.high is not None
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)  # type: ignore[operator]


def test_alpha_of_known_cases() -> None:
    assert alpha([["a", "a"], ["b", "b"]]) == 1
    assert alpha([["a", "a"], ["a", "a"]]) is None
    # Two observers, ten units, values 0 and 1: D_o = 4/20, D_e = 2 · 14 · 6 / (20 · 19).
    pairs = [(0, 0)] * 6 + [(1, 1)] * 2 + [(0, 1)] * 2
    observed, expected = 4 / 20, 2 * 14 * 6 / (20 * 19)
    assert alpha([[str(a), str(b)] for a, b in pairs]) == pytest.approx(1 - observed / expected)


def test_families_are_told_by_name() -> None:
    assert families_of("Qwen/Qwen3-32B") == {"qwen"}
    assert families_of("DeepSeek-R1-Distill-Qwen-7B") == {"deepseek", "qwen"}
    assert families_of("01-ai/Yi-34B") == {"yi"} and families_of("merged") == frozenset()
    assert families_of("glm-4-plus") == {"glm"}
