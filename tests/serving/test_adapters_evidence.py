"""The test that rolls a canary back: seldom without cause, soon with one."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.adapters.evidence import Counts, Evidence, log_evidence
from serving.adapters.settings import CanarySettings
from serving.adapters.sharing import Sharing


def brute_force(counts: Counts, margin: float) -> float:
    """The logarithm of E, with both integrals and the maximum on a grid."""
    grid = [(i + 0.5) / 4000 for i in range(4000)]

    def log_likelihood(bad: int, total: int, p: float) -> float:
        return bad * math.log(p) + (total - bad) * math.log(1 - p)

    def mean(bad: int, total: int) -> float:
        logs = [log_likelihood(bad, total, p) for p in grid]
        weights = [p**-0.5 * (1 - p) ** 4.0 for p in grid]
        top = max(logs)
        return top + math.log(sum(w * math.exp(x - top) for w, x in zip(weights, logs, strict=True)) / sum(weights))

    numerator = mean(counts.canary_bad, counts.canary) + mean(counts.stable_bad, counts.stable)
    edge = [p for p in grid if p + margin < 1]
    null = max(
        log_likelihood(counts.stable_bad, counts.stable, p)
        + log_likelihood(counts.canary_bad, counts.canary, p + margin)
        for p in edge
    )
    return numerator - null


@pytest.mark.parametrize(
    "counts", [Counts(1000, 10, 100, 9), Counts(50, 0, 20, 5), Counts(500, 100, 500, 180), Counts(30, 1, 30, 30)]
)
@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_the_evidence_is_what_its_formula_says(counts: Counts, margin: float) -> None:
    assert log_evidence(counts, margin) == pytest.approx(brute_force(counts, margin), abs=0.05)


def test_the_evidence_is_an_e_value_exactly() -> None:
    """Its mean over every outcome of a few requests is at most one wherever the null holds."""
    for p, extra, margin in itertools.product((0.01, 0.2, 0.5, 0.9), (0.0, -0.005), (0.0, 0.05)):
        q = p + margin + extra
        mean = 0.0
        for j, k in itertools.product(range(9), range(7)):
            chance = math.comb(8, j) * p**j * (1 - p) ** (8 - j) * math.comb(6, k) * q**k * (1 - q) ** (6 - k)
            mean += chance * math.exp(log_evidence(Counts(8, j, 6, k), margin))
        assert mean <= 1


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.floats(0, 0.5))
def test_any_counts_have_an_evidence(a: int, b: int, c: int, d: int, margin: float) -> None:
    counts = Counts(max(a, b), min(a, b), max(c, d), min(c, d))
    assert not math.isnan(log_evidence(counts, margin))


def run(rng: random.Random, stable: float, canary: float, requests: int, share: float = 0.1) -> int | None:
    """Canary requests until it went back, None while it stayed."""
    evidence, given_to_canary = Evidence(CanarySettings()), 0
    for customer in range(requests):
        arm = "canary" if rng.random() < share else "stable"
        given_to_canary += arm == "canary"
        bad = rng.random() < (canary if arm == "canary" else stable)
        if evidence.note(arm, customer, "block" if bad else "allow"):  # type: ignore[arg-type]
            return given_to_canary
    return None


def test_an_equal_canary_stays_and_a_worse_one_goes() -> None:
    rng = random.Random(5)
    assert sum(run(rng, 0.02, 0.02, 3000) is not None for _ in range(60)) == 0
    gone = [run(rng, 0.02, 0.2, 6000) for _ in range(20)]
    assert all(requests is not None and requests < 300 for requests in gone)
    assert run(rng, 0.2, 0.02, 3000) is None


def test_one_customer_who_repeats_a_forbidden_question_does_not_end_a_canary() -> None:
    evidence = Evidence(CanarySettings())
    for customer in range(300):
        assert evidence.note("stable", customer, "allow") == ""
        assert evidence.note("canary", 1000 + customer, "allow") == ""
    assert not any(evidence.note("canary", 7777, "block") for _ in range(200))
    assert evidence.total("guard").canary_bad == 1
    assert any(evidence.note("canary", 8000 + customer, "block") for customer in range(200))


def test_failures_of_the_guard_and_of_the_engine_end_a_canary_at_once() -> None:
    evidence = Evidence(CanarySettings())
    assert [evidence.note("canary", 1, "guard_error") for _ in range(3)][-1] == "the guard failed on 3 of its answers"
    evidence = Evidence(CanarySettings())
    for _ in range(4):
        assert evidence.note("canary", 1, "engine_error") == ""
    assert evidence.note("canary", 2, "allow") == ""
    told = [evidence.note("canary", 1, "engine_error") for _ in range(5)]
    assert told[3] == "" and told[4] == "its engine failed 5 requests in a row"
    stable = Evidence(CanarySettings())
    assert not any(stable.note("stable", i, "guard_error") for i in range(50))


def test_what_tells_nothing_counts_for_nothing() -> None:
    evidence = Evidence(CanarySettings())
    for customer in range(100):
        evidence.note("canary", customer, "none")
    assert evidence.total("guard").canary == 0


def test_gateways_add_up_their_counts(tmp_path: Path) -> None:
    views = [(Sharing(tmp_path), Evidence(CanarySettings())) for _ in range(3)]
    for number, (_, evidence) in enumerate(views):
        for customer in range(10):
            evidence.note("canary", customer, "block" if customer < number else "allow")
        evidence.note("canary", 99, "guard_error")
    for _ in range(2):
        for sharing, evidence in views:
            sharing.exchange("t1", evidence)
    for _, evidence in views:
        total = evidence.total("guard")
        assert (total.canary, total.canary_bad) == (33, 6)
        assert evidence.verdict() == "the guard failed on 3 of its answers"
    views[0][0].forget([])
    assert not list(tmp_path.iterdir())
