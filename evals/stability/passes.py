"""The pass family: what k runs of one item do together, from n ≥ k runs, without bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction


def pass_hat_k(correct: int, runs: int, k: int) -> float:
    """pass^k of one item, C(c, k) / C(n, k): unbiased for p^k, the chance that k runs in a row are right.

    Source: tau-bench, arXiv 2406.12045. NaN when n < k. (c/n)^k would be biased upward.
    """
    return math.comb(correct, k) / math.comb(runs, k) if runs >= k else math.nan


def pass_at_k(correct: int, runs: int, k: int) -> float:
    """pass@k of one item, 1 − C(n − c, k) / C(n, k): at least one of k runs is right (Chen et al. 2021)."""
    return 1 - math.comb(runs - correct, k) / math.comb(runs, k) if runs >= k else math.nan


def g_pass_at_k(correct: int, runs: int, k: int, tau: Fraction | str | float) -> float:
    """G-Pass@k_τ of one item: at least ⌈τk⌉ of k runs are right.

    Σ_{j=m}^{min(c,k)} C(c, j) C(n − c, k − j) / C(n, k), m = max(⌈τk⌉, 1) (arXiv 2412.13147).
    τ = 1 gives pass^k and τ → 0 gives pass@k.
    """
    if runs < k:
        return math.nan
    needed = ceil_share(k, tau)
    hits = sum(
        math.comb(correct, right) * math.comb(runs - correct, k - right) for right in range(needed, min(correct, k) + 1)
    )
    return hits / math.comb(runs, k)


def mg_pass_at_k(correct: int, runs: int, k: int) -> float:
    """mG-Pass@k of one item, (2/k) Σ_{i=⌈k/2⌉+1}^{k} G-Pass@k_{i/k} (arXiv 2412.13147)."""
    first = -(-k // 2) + 1
    return 2 / k * math.fsum(g_pass_at_k(correct, runs, k, Fraction(i, k)) for i in range(first, k + 1))


def reliability_gap(correct: int, runs: int, k: int) -> float:
    """pass^1 − pass^k of one item: how much of the mean success does not survive k runs in a row (arXiv 2606.00920)."""
    return pass_hat_k(correct, runs, 1) - pass_hat_k(correct, runs, k)


def ceil_share(k: int, tau: Fraction | str | float) -> int:
    """max(⌈τk⌉, 1) in exact rational arithmetic.

    A float is taken at its shortest decimal spelling: 0.14 means 14/100. In floats ⌈0.14 · 50⌉ is 8, not 7.
    """
    share = tau if isinstance(tau, Fraction) else Fraction(str(tau))
    return max(math.ceil(share * k), 1)


def mean(values: Sequence[float]) -> float:
    """Plain mean; NaN when empty or when any value is NaN."""
    return math.fsum(values) / len(values) if values else math.nan
