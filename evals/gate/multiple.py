"""P-values of several claims, adjusted for their number."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down p-values: all claims with one at or below α hold, with a chance of any false one of at most α.

    With p sorted upward, p'_(i) = max_{j≤i} min(1, (m − j + 1) p_(j)) (Holm 1979). In the order given.
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    adjusted = [0.0] * len(values)
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = worst
    return adjusted


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """q-values: of the claims with one at or below q, a share of at most q is expected to be false.

    With p sorted upward, q_(i) = min_{j≥i} min(1, m p_(j) / j) (Benjamini and Hochberg 1995). In the order given.
    """
    order = sorted(range(len(values)), key=lambda index: values[index], reverse=True)
    adjusted = [0.0] * len(values)
    least = 1.0
    for rank, index in enumerate(order):
        least = min(least, len(values) * values[index] / (len(values) - rank))
        adjusted[index] = least
    return adjusted
