"""Stratified two-by-two statistics.

Legend of shapes: S strata, 4 counts of one stratum as in `Table`. A leading axis, where there is one, holds tables that
are estimated side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
Floats = NDArray[np.float64]


class Table(NamedTuple):
    """One stratum: outcomes 1 and 0 among treated (a, b) and among untreated cases (c, d)."""

    a: float
    b: float
    c: float
    d: float


@dataclass(frozen=True)
class RiskDifference:
    """An estimate with its 95 % confidence interval and two-sided p-value."""

    difference: float
    ci_low: float
    ci_high: float
    p: float


@dataclass(frozen=True)
class RiskRatio:
    """An estimate with its 95 % confidence interval."""

    ratio: float
    ci_low: float
    ci_high: float


def tabulate(stratum: NDArray[np.int64], treated: NDArray[np.bool_], outcome: NDArray[np.bool_], strata: int) -> Floats:
    """Counts (S, 4) from one row a case; `stratum` holds numbers below `strata`."""
    cell = stratum * 4 + np.where(treated, 0, 2) + np.where(outcome, 0, 1)
    return np.bincount(cell, minlength=strata * 4).reshape(strata, 4).astype(np.float64)


def mantel_haenszel(tables: Sequence[Table] | Floats) -> RiskDifference | None:
    """Common risk difference over strata; None where no stratum holds both treated and untreated cases.

    Difference: Mantel-Haenszel, Σ(a·n0 − c·n1)/n over W = Σ n1·n0/n. Its variance in Sato's form is (δ·P + Q)/W², which
    holds for few large and for many small strata (Sato 1989, Biometrics 45:1323). The interval holds all δ that a test
    with that variance does not reject: the roots of (d − δ)² W² = z²(δP + Q), closed-form and better in small groups
    than the one around d (Klingenberg 2014, Statistics in Medicine 33:2968). Test: Cochran-Mantel-Haenszel chi-squared
    with one degree of freedom, without continuity correction.
    """
    a, b, c, d = np.asarray(tables, dtype=np.float64).reshape(-1, 4).T
    n1, n0 = a + b, c + d
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        return None
    a, c, n1, n0 = a[both], c[both], n1[both], n0[both]
    n, kept = n1 + n0, a + c
    weight = float((n1 * n0 / n).sum())
    difference = float(((a * n0 - c * n1) / n).sum()) / weight
    p_sum = float(((n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2) / n**2).sum())
    q_sum = float(((a * (n0 - c) + c * (n1 - a)) / (2 * n)).sum())
    middle = difference + Z95**2 * p_sum / weight**2 / 2
    margin = math.sqrt(max(0.0, middle**2 - difference**2 + Z95**2 * q_sum / weight**2))
    deviation = float((a - n1 * kept / n).sum())
    variance = float((n1 * n0 * kept * (n - kept) / (n**2 * np.maximum(n - 1, 1))).sum())
    p = math.erfc(math.sqrt(deviation**2 / variance / 2)) if variance > 0 else 1.0
    return RiskDifference(difference, max(-1.0, middle - margin), min(1.0, middle + margin), p)


def differences(counts: Floats) -> Floats:
    """Mantel-Haenszel risk differences of tables side by side, (T, S, 4) to (T,); NaN where nothing is compared."""
    a, b, c, d = np.moveaxis(counts, -1, 0)
    n1, n0 = a + b, c + d
    n = np.maximum(n1 + n0, 1)
    weight = (n1 * n0 / n).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(((a * n0 - c * n1) / n).sum(-1) / weight, dtype=np.float64)


def risk_ratio(counts: Floats) -> RiskRatio | None:
    """Common risk ratio over strata with the interval of its logarithm; None where it is 0, infinite or undefined.

    Mantel-Haenszel form and variance: Greenland and Robins 1985, Biometrics 41:55.
    """
    a, b, c, d = np.moveaxis(counts, -1, 0)
    n1, n0 = a + b, c + d
    n = np.maximum(n1 + n0, 1)
    treated, control = float((a * n0 / n).sum()), float((c * n1 / n).sum())
    if not treated or not control:
        return None
    variance = float(((n1 * n0 * (a + c) - a * c * n) / n**2).sum()) / (treated * control)
    error = math.sqrt(max(0.0, variance))
    log = math.log(treated / control)
    return RiskRatio(treated / control, math.exp(log - Z95 * error), math.exp(log + Z95 * error))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini and Hochberg 1995), in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * len(p_values)
    smallest = 1.0
    for rank, index in zip(range(len(p_values), 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        adjusted[index] = smallest
    return adjusted
