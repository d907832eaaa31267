"""Student's t, the beta distribution, and exact and score intervals of a binomial rate, without scipy."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist


def wilson(share: float, trials: float, reach: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, centre and half-width drawn towards 1/2.

    Args:
        trials: number of trials; an effective number, and so no whole one, for clustered or graded data.
        reach: quantile of the reference distribution, 1.96 for 95 % under the normal.
    """
    squared = reach**2 / trials
    centre = (share + squared / 2) / (1 + squared)
    half = reach / (1 + squared) * math.sqrt(share * (1 - share) / trials + squared / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval for a rate (Clopper and Pearson 1934). (0, 1) when there are no trials."""
    if trials == 0:
        return 0.0, 1.0
    alpha = 1 - confidence
    low = 0.0 if events == 0 else _beta_quantile(alpha / 2, events, trials - events + 1)
    high = 1.0 if events == trials else _beta_quantile(1 - alpha / 2, events + 1, trials - events)
    return low, high


def normal_quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def normal_cdf(value: float) -> float:
    return NormalDist().cdf(value)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t, by inverting the regularised incomplete beta function.

    For p > 1/2: P(T > t) = I_{ν/(ν+t²)}(ν/2, 1/2) / 2, so with x its inverse at 2(1 − p), t = sqrt(ν(1 − x)/x).
    """
    if not 0 < probability < 1 or degrees <= 0:
        raise ValueError(f"no t quantile for probability {probability} and {degrees} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    x = _beta_quantile(2 * (1 - probability), degrees / 2, 0.5)
    return math.sqrt(degrees * (1 - x) / x)


def t_tail(statistic: float, degrees: float) -> float:
    """Two-sided tail P(|T| ≥ |statistic|) of Student's t."""
    return incomplete_beta(degrees / (degrees + statistic**2), degrees / 2, 0.5)


@lru_cache(maxsize=4096)
def _beta_quantile(probability: float, a: float, b: float) -> float:
    """x with I_x(a, b) = probability, by bisection to the last bit that matters (I is monotone in x)."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if incomplete_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta I_x(a, b): continued fraction, modified Lentz (Numerical Recipes 6.4)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 1000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result
