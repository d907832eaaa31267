"""How far the answers to one item agree: over repeats, across conditions, and with their majority."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from evals.stability.passes import mean

Answer = str | None


def pairwise_agreement(answers: Sequence[Answer]) -> float:
    """Share of pairs of runs with the same answer, Σ_a m(m − 1) / [n(n − 1)]; unbiased for Σ_a p(a)².

    This is the consistency rate of SCORE (arXiv 2503.00137). NaN with fewer than two runs.
    """
    return tar_at_k(answers, 2)


def tar_at_k(answers: Sequence[Answer], k: int) -> float:
    """Total agreement rate: the chance that k runs all give one answer, Σ_a C(m(a), k) / C(n, k).

    Source: Atil et al., arXiv 2408.04667, estimated without bias from n ≥ k runs; TAR@2 is the pairwise agreement.
    Of canonical answers it is their TARa, of raw outputs their TARr.
    """
    if len(answers) < k:
        return math.nan
    return sum(math.comb(count, k) for count in _counts(answers).values()) / math.comb(len(answers), k)


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
    counts = [_counts(answers) for answers in conditions]
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


def majority(answers: Sequence[Answer]) -> list[str]:
    """The answers given most often, in order of first appearance: several when tied, none when nothing was read."""
    counts = _counts(answers)
    most = max(counts.values(), default=0)
    return [answer for answer, count in counts.items() if count == most]


def maj_gain(answers: Sequence[Answer], right: Sequence[bool]) -> float:
    """maj@n − pass^1 of one item: what voting over the n runs gains (self-consistency, Wang et al. 2022).

    A tie is drawn by lot, so it counts with the mean over the tied answers; no readable answer at all is wrong.
    """
    if not answers:
        return math.nan
    return _vote_success(answers, right) - mean([float(hit) for hit in right])


def vote_confidence(answers: Sequence[Answer], right: Sequence[bool]) -> tuple[float, float]:
    """Confidence by vote share: the share of runs that gave the majority's answer, and how far that answer is right.

    A tie counts with the mean over the tied answers. No readable answer has confidence 0. NaN without runs.
    """
    if not answers:
        return math.nan, math.nan
    winners = majority(answers)
    share = sum(answer == winners[0] for answer in answers) / len(answers) if winners else 0.0
    return share, _vote_success(answers, right)


def krippendorff_alpha(units: Sequence[Sequence[Answer]]) -> float:
    """Krippendorff's α for nominal answers: 1 − D_o / D_e over units (items) rated by several runs.

    Chance-corrected, so it falls towards 0 where one answer dominates however stable the model is: a secondary figure.
    An unreadable answer is a value of its own that no other shares. NaN when there is nothing to agree or disagree on
    (fewer than two pairable answers, or only one value).
    """
    totals: Counter[str] = Counter()
    disagreement, pairable = 0.0, 0
    lone = 0  # unreadable answers, each its own value
    for answers in units:
        n = len(answers)
        if n < 2:
            continue
        counts = _counts(answers)
        same = sum(count * (count - 1) for count in counts.values())
        disagreement += (n * (n - 1) - same) / (n - 1)
        pairable += n
        totals.update(counts)
        lone += n - sum(counts.values())
    expected = pairable * pairable - sum(count * count for count in totals.values()) - lone
    if pairable < 2 or expected == 0:
        return math.nan
    return 1 - (pairable - 1) * disagreement / expected


def _vote_success(answers: Sequence[Answer], right: Sequence[bool]) -> float:
    winners = majority(answers)
    shares = [
        mean([float(hit) for answer, hit in zip(answers, right, strict=True) if answer == winner]) for winner in winners
    ]
    return mean(shares) if shares else 0.0


def _counts(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(answer for answer in answers if answer is not None)
