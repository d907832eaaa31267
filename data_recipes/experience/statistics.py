"""Stratified two-by-two statistics, in plain arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Table:
    """One stratum: outcomes 1 and 0 among treated (a, b) and among untreated cases (c, d)."""

    a: int
    b: int
    c: int
    d: int


@dataclass(frozen=True)
class StratifiedEffect:
    """Mantel-Haenszel risk difference with 95 % confidence interval, and the p-value of the CMH test."""

    difference: float
    ci_low: float
    ci_high: float
    p: float


def mantel_haenszel(tables: Sequence[Table]) -> StratifiedEffect | None:
    """Common risk difference over strata; None where no stratum holds both treated and untreated cases.

    Difference: Σ(a·n0 − c·n1)/N over Σ n1·n0/N. Variance: Greenland and Robins 1985 (Biometrics 41:55) in Sato's form
    (Sato 1989, Biometrics 45:1323), which holds for few large and for many small strata. Test: Cochran-Mantel-Haenszel
    chi-squared with one degree of freedom, without continuity correction.
    """
    weight = numerator = p_sum = q_sum = deviation = variance = 0.0
    for table in tables:
        a, b, c, d = table.a, table.b, table.c, table.d
        n1, n0 = a + b, c + d
        n = n1 + n0
        if not n1 or not n0:
            continue
        weight += n1 * n0 / n
        numerator += (a * n0 - c * n1) / n
        p_sum += (n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2) / n**2
        q_sum += (a * (n0 - c) + c * (n1 - a)) / (2 * n)
        cases = a + c
        deviation += a - n1 * cases / n
        variance += n1 * n0 * cases * (n - cases) / (n**2 * (n - 1)) if n > 1 else 0.0
    if not weight:
        return None
    difference = numerator / weight
    error = math.sqrt(max(0.0, difference * p_sum + q_sum)) / weight
    p = math.erfc(math.sqrt(deviation**2 / variance / 2)) if variance > 0 else 1.0
    return StratifiedEffect(difference, max(-1.0, difference - _Z95 * error), min(1.0, difference + _Z95 * error), p)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini and Hochberg 1995), in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * len(p_values)
    smallest = 1.0
    for rank, index in zip(range(len(p_values), 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        adjusted[index] = smallest
    return adjusted
