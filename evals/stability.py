"""Stability over repeats and paraphrases: pure functions of counts and canonical answers.

Notation: item i has n_i runs of which c_i are right. An answer of None could not be read; it is wrong and
agrees with nothing, not even with itself. NaN means undefined (fewer runs than k), never zero, and a
mean over items that holds a NaN is NaN: nothing is dropped in silence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

Answer = str | None


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


def ceil_share(k: int, tau: Fraction | str | float) -> int:
    """max(⌈τk⌉, 1) in exact rational arithmetic.

    A float is taken at its shortest decimal spelling: 0.14 means 14/100. In floats ⌈0.14 · 50⌉ is 8, not 7.
    """
    share = tau if isinstance(tau, Fraction) else Fraction(str(tau))
    return max(math.ceil(share * k), 1)


def pairwise_agreement(answers: Sequence[Answer]) -> float:
    """Share of pairs of runs with the same answer, Σ_a m(m − 1) / [n(n − 1)]; unbiased for Σ_a p(a)².

    This is the consistency rate of SCORE (arXiv 2503.00137). NaN with fewer than two runs.
    """
    return tar_at_k(answers, 2)


def tar_at_k(answers: Sequence[Answer], k: int) -> float:
    """Total agreement rate: the chance that k runs all give one answer, Σ_a C(m(a), k) / C(n, k).

    Source: Atil et al., arXiv 2408.04667, estimated without bias from n ≥ k runs; TAR@2 is the pairwise agreement.
    """
    if len(answers) < k:
        return math.nan
    counts = Counter(answer for answer in answers if answer is not None)
    return sum(math.comb(count, k) for count in counts.values()) / math.comb(len(answers), k)


def within_between(conditions: Sequence[Sequence[Answer]]) -> tuple[float, float]:
    """Agreement of one item within and across conditions (perturbation × repeat designs).

    Args:
        conditions: for each of V conditions, the answers of its runs.

    Returns:
        W = (1/V) Σ_v A_v, what seed noise leaves, and B = mean over pairs v ≠ v' of
        Σ_a m_v(a) m_v'(a) / (n_v n_v'). W − B estimates ½ mean ‖p_v − p_v'‖² without bias when both come from the
        same sampling temperature. With one run a condition only B exists (W is NaN).
    """
    within = mean([pairwise_agreement(answers) for answers in conditions])
    counts = [Counter(answer for answer in answers if answer is not None) for answers in conditions]
    sizes = [len(answers) for answers in conditions]
    across = [
        sum(counts[v][answer] * counts[w][answer] for answer in counts[v]) / (sizes[v] * sizes[w])
        for v, w in combinations(range(len(conditions)), 2)
        if sizes[v] and sizes[w]
    ]
    return within, mean(across)


def flip_rate(answers: Sequence[Answer]) -> float:
    """Share of the later answers that differ from the first one (greedy answer flips under paraphrase)."""
    first, rest = answers[0], answers[1:]
    return mean([float(first is None or answer != first) for answer in rest])


def mean(values: Sequence[float]) -> float:
    """Plain mean; NaN when empty or when any value is NaN."""
    return math.fsum(values) / len(values) if values else math.nan
