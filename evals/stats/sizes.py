"""How many paired items a difference needs, and how small a difference a number of items shows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from evals.stats.clusters import Array, Clusters
from evals.stats.distributions import normal_quantile
from evals.stats.intervals import clustered_se


def sample_size(delta: float, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Paired items needed to see `delta`: (z_{1−α/2} + z_power)² (disc − δ²) / δ²."""
    return _z_sum(alpha, power) ** 2 * (discordance - delta**2) / delta**2


def minimum_detectable_effect(
    discordance: float, n: int, design_effect: float = 1.0, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true difference that n paired items find with `power`: `sample_size` solved for δ.

    NaN without items, or when no item differs: then the sample says nothing about discordance.

    Args:
        discordance: mean squared difference per item; for 0/1 scores the share of items that differ.
        design_effect: clustered variance over independent variance (≥ 1); n counts as n / design_effect.
    """
    if n == 0 or discordance == 0:
        return math.nan
    squared = _z_sum(alpha, power) ** 2
    return math.sqrt(squared * discordance / (n / design_effect + squared))


def design_effect(values: Sequence[float] | Array, groups: Sequence[Hashable] | Clusters) -> float:
    """Clustered over independent variance of the mean, at least 1; 1 where the values show no variance."""
    x = np.asarray(values, dtype=float)
    independent = float(x.var(ddof=1)) / x.size if x.size > 1 else 0.0
    clustered = clustered_se(x, groups)
    return max(1.0, clustered**2 / independent) if independent > 0 and clustered > 0 else 1.0


def _z_sum(alpha: float, power: float) -> float:
    return normal_quantile(1 - alpha / 2) + normal_quantile(power)
