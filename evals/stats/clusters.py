"""Which items belong together: the one partition that every interval and test of the same items uses."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """A partition of N items into G clusters.

    Attributes:
        index: (N,) number of each item's cluster, clusters in order of first appearance.
        sizes: (G,) items in each.
    """

    index: NDArray[np.intp]
    sizes: Array

    @classmethod
    def of(cls, groups: Sequence[Hashable]) -> Clusters:
        numbers: dict[Hashable, int] = {}
        index = np.fromiter((numbers.setdefault(group, len(numbers)) for group in groups), np.intp, len(groups))
        return cls(index, np.bincount(index, minlength=len(numbers)).astype(float))

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def effective(self) -> float:
        """Kish's effective number of clusters, N² / Σ m_g²: G when all are of one size, less when a few are large."""
        return float(self.sizes.sum() ** 2 / np.sum(self.sizes**2)) if self.count else 0.0

    @property
    def degrees(self) -> float:
        """Degrees of freedom of t: effective clusters − 1, at least 1.

        With clusters of one size this is G − 1. A few large clusters among small ones carry fewer independent pieces
        of evidence than G − 1 says, and an interval by G − 1 covers less than it claims
        (`scripts/bench/evals_metrics.py` measures both).
        """
        return max(1.0, self.effective - 1)

    def sums(self, values: ArrayLike) -> Array:
        """(G,) sum of `values` over each cluster."""
        sums = np.bincount(self.index, weights=np.asarray(values, dtype=float), minlength=self.count)
        return sums.astype(float)
