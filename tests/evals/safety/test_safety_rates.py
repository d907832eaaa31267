"""Intervals of rates: exact where trials are independent, honest where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from evals.safety.rates import Counts, rate, rate_difference
from evals.stats import clopper_pearson


@pytest.mark.parametrize(("events", "trials"), [(0, 300), (1, 40), (7, 48), (48, 48)])
def test_one_trial_a_cluster_is_clopper_pearson(events: int, trials: int) -> None:
    counts = Counts([1] * events + [0] * (trials - events), [1] * trials)
    found = rate(counts, range(trials), 0.95)
    assert (found.low, found.high) == pytest.approx(clopper_pearson(events, trials))


def test_copies_of_one_trial_do_not_count_as_more_trials() -> None:
    once = rate(Counts([1] * 5 + [0] * 45, [1] * 50), range(50), 0.95)
    copied = rate(Counts([8] * 5 + [0] * 45, [8] * 50), range(50), 0.95)
    assert copied.value == once.value
    assert copied.high == pytest.approx(once.high, abs=0.02)
    none = rate(Counts([0] * 50, [8] * 50), range(50), 0.95)
    assert none.high == pytest.approx(clopper_pearson(0, 50)[1])


def test_no_trials_give_no_rate() -> None:
    assert rate(Counts([0], [0]), ["a"], 0.95).value is None


def test_the_difference_is_that_of_the_two_rates() -> None:
    rng = np.random.default_rng(1)
    groups = [number // 2 for number in range(60)]
    trials = rng.integers(1, 5, 60).tolist()
    tuned = Counts([int(rng.integers(0, n + 1)) for n in trials], trials)
    base = Counts([int(rng.integers(0, n + 1)) for n in trials], trials)
    found = rate_difference(tuned, base, groups, 0.95)
    values = [rate(counts, groups, 0.95).value or 0.0 for counts in (tuned, base)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high


def test_two_silent_arms_may_still_differ_where_nothing_was_seen() -> None:
    silent = Counts([0] * 40, [1] * 40)
    found = rate_difference(silent, silent, range(40), 0.95)
    unseen = clopper_pearson(0, 40)[1]
    assert (found.low, found.high) == pytest.approx((-unseen, unseen))


def test_intervals_cover_the_true_rate_of_clustered_trials() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        shares = rng.beta(1, 9, 60)  # mean 0.1; turns of one item resemble one another
        counts = Counts(rng.binomial(6, shares).tolist(), [6] * 60)
        found = rate(counts, range(60), 0.95)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.1 <= found.high
    assert covered / 400 >= 0.93
