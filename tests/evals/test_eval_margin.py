"""Claims that rest on one end of an interval: "no loss of more than a margin" is wrong in one case of forty at most."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from evals.gate.bounds import guardrail
from evals.gate.policy import GuardrailRule
from evals.measures import Estimate, Measure
from evals.safety.rates import Counts, rate_difference
from evals.stats import Clusters, cluster_bootstrap, difference_interval, newcombe, ratio_of_means, wilson
from evals.summary.columns import estimate

LEVEL = 0.025


def samples(n: int, won: float, lost: float) -> Iterator[tuple[float, np.ndarray]]:
    """Every sample of n independent items, with its probability."""
    for wins in range(n + 1 if won else 1):
        for losses in range(n + 1 - wins if lost else 1):
            ways = math.lgamma(n + 1) - math.lgamma(wins + 1) - math.lgamma(losses + 1)
            ways -= math.lgamma(n - wins - losses + 1)
            chance = math.exp(ways + (n - wins - losses) * math.log(1 - won - lost)) * won**wins * lost**losses
            if chance > 1e-9:
                yield chance, np.repeat([1.0, -1.0, 0.0], [wins, losses, n - wins - losses])


def claimed(found: Estimate, margin: float) -> bool:
    measure = Measure(name="score", arms={}, difference=found, n=100, groups=100)
    rule = GuardrailRule(kind="guardrail", metric="score", margin=margin)
    return guardrail(rule, measure, 0.95).verdict == "PROMOTE"


@pytest.mark.parametrize(
    ("n", "won", "lost"), [(36, 0.0, 0.1), (36, 0.05, 0.15), (100, 0.0, 0.05), (100, 0.01, 0.04), (300, 0.0, 0.03)]
)
def test_a_loss_of_the_margin_passes_a_guardrail_no_oftener_than_the_level_says(
    n: int, won: float, lost: float
) -> None:
    passed = by_t = 0.0
    for chance, gains in samples(n, won, lost):
        found = difference_interval(gains, range(n))
        passed += chance * claimed(estimate(found), lost - won)
        by_t += chance * (found.low > won - lost)
    assert passed <= LEVEL
    assert by_t > LEVEL, "the t interval alone would do: the case shows nothing"


@pytest.mark.parametrize(("size", "won", "lost"), [(2, 0.0, 0.03), (4, 0.0, 0.03), (4, 0.05, 0.08)])
def test_nor_where_a_cluster_loses_together(size: int, won: float, lost: float) -> None:
    rng, n = np.random.default_rng(size), 300
    clusters = Clusters.of((np.arange(n) // size).tolist())
    passed = []
    for _ in range(1500):
        kind = np.where(rng.random(n) < 0.63, rng.random(clusters.count)[clusters.index], rng.random(n))
        gains = (kind < won).astype(float) - (kind > 1 - lost)
        passed.append(claimed(estimate(difference_interval(gains, clusters)), lost - won))
    assert np.mean(passed) <= LEVEL + 0.008  # two Monte-Carlo errors


def test_one_item_won_does_not_rule_out_a_loss_that_no_difference_at_all_leaves_open() -> None:
    silent, one_won = np.zeros(36), np.eye(36)[0]
    assert not claimed(estimate(difference_interval(silent, range(36))), 0.05)
    assert not claimed(estimate(difference_interval(one_won, range(36))), 0.05)


def test_of_two_independent_rates_the_ends_are_those_of_the_published_example() -> None:
    # Newcombe 1998, Statist. Med. 17, 873, table II (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    one, other = wilson(56 / 70, 70, 1.959964), wilson(48 / 80, 80, 1.959964)
    low, high = newcombe((one[0], 0.8, one[1]), (other[0], 0.6, other[1]), 0.0)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_a_guardrail_on_rare_events_is_as_careful() -> None:
    """Three events in 100 of the tuned model, none of the base, are not shown to be less than five in 100 more."""
    clean = Counts([0] * 100, [1] * 100)
    three = Counts([1] * 3 + [0] * 97, [1] * 100)
    found = rate_difference(three, clean, range(100), 0.95)
    assert found.newcombe_high is not None and found.high is not None
    assert found.newcombe_high > found.high and found.newcombe_high > 0.08


@pytest.mark.parametrize("must_be_shown", [True, False])
def test_without_an_interval_a_guardrail_does_not_hold(must_be_shown: bool) -> None:
    gains = np.full(40, -1.0)
    found = estimate(difference_interval(gains, [0] * 40))
    measure = Measure(name="score", arms={}, difference=found, n=40, groups=1)
    rule = GuardrailRule(kind="guardrail", metric="score", margin=0.03, must_be_shown=must_be_shown)
    finding = guardrail(rule, measure, 0.95)
    assert finding.verdict == "INCONCLUSIVE" and "no interval" in finding.reason and "more groups" in finding.remedy


def test_resamples_that_all_come_out_alike_give_no_interval() -> None:
    found = cluster_bootstrap(ratio_of_means, [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], range(3))
    assert found.estimate == 1 and math.isnan(found.low) and math.isnan(found.high)
