"""What changed between two models, or between two batch sizes of one."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

from evals.stats import Array


def correctness_flips(base: Array, candidate: Array) -> tuple[Array, Array]:
    """Negative and positive flips per item: p_base(1 − p_candidate) and (1 − p_base)p_candidate.

    Of single greedy runs (0 or 1) their means are NFR = n₁₀/N and PFR = n₀₁/N. The accuracy difference is PFR − NFR.
    Source: MUSCLE, arXiv 2407.09435.
    """
    return base * (1 - candidate), (1 - base) * candidate


def sampled_flips(base: Sequence[float], candidate: Sequence[float]) -> tuple[float, float]:
    """Negative and positive flips of one item from repeats, as often as of two runs with nothing in common.

    Repeat r of either model is drawn from the same seed, and two like models make the same of it: only pairs of
    different repeats are independent, and their mean is unbiased. One repeat alone is a pair with itself.

    Args:
        base: 1 or 0 for each repeat, in the order of the repeats.
        candidate: the same of the other model.
    """
    pairs = [(one, other) for r, one in enumerate(base) for s, other in enumerate(candidate) if r != s] or list(
        zip(base, candidate, strict=True)
    )
    share = 1 / len(pairs)
    return share * sum(b * (1 - c) for b, c in pairs), share * sum((1 - b) * c for b, c in pairs)


def batch_determinism(outputs: Mapping[str, Sequence[Hashable] | None]) -> float:
    """1 when the outputs of one greedy prompt are the same under every batch size, else 0.

    Args:
        outputs: by batch size or concurrency; texts, token ids or canonical answers, None for an unreadable answer or
            a failed request, which equals nothing. NaN with fewer than two sizes.
    """
    values = list(outputs.values())
    if len(values) < 2:
        return math.nan
    return float(values[0] is not None and all(value == values[0] for value in values[1:]))


def first_divergence(one: Sequence[Hashable], other: Sequence[Hashable]) -> int | None:
    """Position of the first token (or character) in which two outputs differ; None when they are equal.

    Where one is the beginning of the other, its length.
    """
    for position, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return position
    return None if len(one) == len(other) else min(len(one), len(other))
