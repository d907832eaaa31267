"""Is the canary worse? Two arms' outcomes, and a test that may be looked at after every one of them.

For each kind of bad outcome the null hypothesis is p_canary ≤ p_stable + margin. The evidence against it is

    E = ∫∫ L(p, q) dBeta(p) dBeta(q)  /  max over the null of L(p, q)

with L the likelihood of the outcomes seen. The numerator is a product of predictions that each use only the past, so
under any (p, q) of the null E never exceeds a non-negative martingale that starts at 1, whatever the shares are and
however they change; by Ville's inequality it ever reaches 1/alpha with probability alpha at most (universal inference:
Wasserman, Ramdas and Balakrishnan 2020, PNAS 117, 16880). E hangs on the counts alone, so counts of several gateways
are added up.

The test takes a request's chance of a bad outcome to be the arm's own. Requests of one customer resemble each other,
and one who repeats a forbidden question makes many bad ones; so a customer counts until the first bad outcome, as in
an analysis of survival, and not after.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from serving.adapters.base import Outcome
from serving.adapters.settings import CanarySettings

Arm = Literal["stable", "canary"]
Rate = Literal["guard", "engine"]
RATES: tuple[Rate, ...] = ("guard", "engine")
ENGINE_OUTCOMES = frozenset(("engine_error",))
# Bad outcomes are rare: as many prior successes as failures would tell of rates around a half.
_PRIOR_BAD, _PRIOR_GOOD = 0.5, 5.0
# Customers with a bad outcome that are remembered; more than this many end any canary.
_MAX_REMEMBERED = 1 << 20


@dataclass
class Counts:
    """Outcomes of one kind in both arms: requests counted, and bad ones among them."""

    stable: int = 0
    stable_bad: int = 0
    canary: int = 0
    canary_bad: int = 0

    def add(self, arm: Arm, bad: bool) -> None:
        if arm == "stable":
            self.stable += 1
            self.stable_bad += bad
        else:
            self.canary += 1
            self.canary_bad += bad

    def plus(self, others: Iterable[Counts]) -> Counts:
        """The sum; nothing is changed."""
        total = Counts(self.stable, self.stable_bad, self.canary, self.canary_bad)
        for other in others:
            total.stable += other.stable
            total.stable_bad += other.stable_bad
            total.canary += other.canary
            total.canary_bad += other.canary_bad
        return total


@dataclass
class Evidence:
    """What one gateway has seen of one canary.

    Attributes:
        others: the counts of other gateways, as they last wrote them down.
        guard_errors: answers of the canary on which the guard failed, here and elsewhere.
    """

    settings: CanarySettings
    counts: dict[Rate, Counts] = field(default_factory=lambda: {rate: Counts() for rate in RATES})
    others: dict[Rate, list[Counts]] = field(default_factory=lambda: {rate: [] for rate in RATES})
    guard_errors: int = 0
    other_guard_errors: int = 0
    _in_a_row: int = 0
    _gone: set[tuple[Rate, int]] = field(default_factory=set)

    def note(self, arm: Arm, customer: int, outcome: Outcome) -> str:
        """Count an outcome; returns why the canary must go, "" while it may stay.

        Args:
            customer: a number that stands for the customer, session or request that the arm was drawn for.
        """
        if outcome == "none":
            return ""
        self._count("guard", arm, customer, outcome in self.settings.guard_outcomes)
        self._count("engine", arm, customer, outcome in ENGINE_OUTCOMES)
        if arm == "stable":
            return ""
        self._in_a_row = self._in_a_row + 1 if outcome in ENGINE_OUTCOMES else 0
        self.guard_errors += outcome == "guard_error"
        if outcome in ENGINE_OUTCOMES or outcome in self.settings.guard_outcomes or outcome == "guard_error":
            return self.verdict()
        return ""

    def verdict(self) -> str:
        """Why the canary must go, "" while it may stay."""
        settings = self.settings
        if (errors := self.guard_errors + self.other_guard_errors) >= settings.guard_errors:
            return f"the guard failed on {errors} of its answers"
        if self._in_a_row >= settings.engine_errors_in_a_row:
            return f"its engine failed {self._in_a_row} requests in a row"
        for rate in RATES:
            counts = self.total(rate)
            # Two comparisons share alpha.
            bar = math.log(len(RATES) / settings.alpha)
            if counts.canary >= settings.min_requests and log_evidence(counts, settings.margin) >= bar:
                return (
                    f"its {rate} rate is higher: {counts.canary_bad} of {counts.canary} requests, "
                    f"stable {counts.stable_bad} of {counts.stable}"
                )
        return ""

    def total(self, rate: Rate) -> Counts:
        """Counts of all gateways."""
        return self.counts[rate].plus(self.others[rate])

    def _count(self, rate: Rate, arm: Arm, customer: int, bad: bool) -> None:
        if (rate, customer) in self._gone:
            return
        self.counts[rate].add(arm, bad)
        if bad and len(self._gone) < _MAX_REMEMBERED:
            self._gone.add((rate, customer))


def log_evidence(counts: Counts, margin: float) -> float:
    """Natural logarithm of E; minus infinity while the canary's rate is not above the null."""
    n, k, m, j = counts.canary, counts.canary_bad, counts.stable, counts.stable_bad
    if n == 0 or k / n <= (j / m if m else 0.0) + margin:
        return -math.inf
    return _log_marginal(k, n) + _log_marginal(j, m) - _log_null(k, n, j, m, margin)


def _log_marginal(bad: int, total: int) -> float:
    """Logarithm of the likelihood of an arm's outcomes, averaged over the prior."""
    return _log_beta(_PRIOR_BAD + bad, _PRIOR_GOOD + total - bad) - _log_beta(_PRIOR_BAD, _PRIOR_GOOD)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_null(k: int, n: int, j: int, m: int, margin: float) -> float:
    """Largest log-likelihood of the null. It lies on its edge q = p + margin, where the likelihood is concave."""
    low, high = 0.0, 1.0 - margin

    def slope(p: float) -> float:
        q = p + margin
        return (j / p if j else 0.0) - (m - j) / (1 - p) + (k / q if k else 0.0) - (n - k) / (1 - q)

    for _ in range(40):
        middle = (low + high) / 2
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    p = (low + high) / 2
    q = p + margin
    return _term(j, p) + _term(m - j, 1 - p) + _term(k, q) + _term(n - k, 1 - q)


def _term(count: int, chance: float) -> float:
    return count * math.log(chance) if count else 0.0
