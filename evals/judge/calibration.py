"""What a judge's share is worth once its errors are known: corrected estimate, its interval, agreement with people.

Source: Lee et al., "How to correctly report LLM-as-a-judge evaluations", arXiv 2511.21140. With specificity q0 and
sensitivity q1 from answers that people labelled, θ = (p + q0 − 1) / (q0 + q1 − 1). Errors are taken per arm: a tuned
model can learn the judge's taste, and then the judge errs differently about it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from evals.measures import Estimate
from evals.stability import krippendorff_alpha
from evals.stats import clustered_se


@dataclass(frozen=True)
class Calibration:
    """A judge's verdicts on answers that people found bad (`negatives`) and good (`positives`)."""

    negatives: int
    rejected: int
    """Of the negatives, those that the judge rejected too."""
    positives: int
    passed: int
    """Of the positives, those that the judge passed too."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[bool, bool]]) -> Calibration:
        """From (people say good, judge says good)."""
        counts = Counter(pairs)
        return cls(
            negatives=counts[False, False] + counts[False, True],
            rejected=counts[False, False],
            positives=counts[True, True] + counts[True, False],
            passed=counts[True, True],
        )

    @property
    def specificity(self) -> float | None:
        """q0: share of bad answers that the judge rejects."""
        return self.rejected / self.negatives if self.negatives else None

    @property
    def sensitivity(self) -> float | None:
        """q1: share of good answers that the judge passes."""
        return self.passed / self.positives if self.positives else None

    @property
    def usable(self) -> bool:
        """Whether both kinds were labelled and the judge does better than chance, q0 + q1 > 1, also when smoothed."""
        seen, smoothed = (self.specificity, self.sensitivity), self.smoothed
        return seen[0] is not None and seen[1] is not None and seen[0] + seen[1] > 1 and sum(smoothed) > 1

    @property
    def smoothed(self) -> tuple[float, float]:
        """(q0, q1) with one made-up answer of each kind judged rightly and one wrongly."""
        return (self.rejected + 1) / (self.negatives + 2), (self.passed + 1) / (self.positives + 2)


def corrected(
    passes: Sequence[float], groups: Sequence[Hashable], calibration: Calibration, confidence: float
) -> Estimate:
    """The share of truly good answers, from the judge's verdicts (1 or 0 per item) and its errors.

    Interval: p, q0 and q1 smoothed (z²/2 of z² made-up items, 1 of 2 made-up labels), se = √(p(1−p)/n +
    (1−θ)² q0(1−q0)/m0 + θ² q1(1−q1)/m1) / (q0+q1−1), and its middle moved by 2z²(θ q1(1−q1)/m1 − (1−θ) q0(1−q0)/m0),
    cut to [0, 1]. n is the number of items over the design effect of their groups.

    No value where the calibration is not usable.
    """
    if not passes or not calibration.usable:
        return Estimate(value=None)
    share = sum(passes) / len(passes)
    q0, q1 = calibration.specificity, calibration.sensitivity
    assert q0 is not None and q1 is not None
    value = min(1.0, max(0.0, (share + q0 - 1) / (q0 + q1 - 1)))
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    items = _effective(passes, groups)
    parts = _Smoothed(share, items, calibration, z)
    middle = parts.theta + 2 * z**2 * (parts.theta * parts.v1 - (1 - parts.theta) * parts.v0)
    error = math.sqrt(parts.p * (1 - parts.p) / (items + z**2) + parts.calibration_variance) / parts.youden
    return Estimate(value=value, low=_cut(middle - z * error), high=_cut(middle + z * error))


def corrected_difference(
    tuned: Sequence[float],
    base: Sequence[float],
    groups: Sequence[Hashable],
    calibrations: tuple[Calibration, Calibration],
    confidence: float,
) -> Estimate:
    """Corrected share of tuned minus that of base over the same items; `calibrations` are tuned's and base's.

    The verdicts are paired: their part of the variance is that of x_tuned/(q0+q1−1) − x_base/(q0+q1−1) per item, over
    clusters. The two calibrations are independent and add theirs.
    """
    if not tuned or not all(calibration.usable for calibration in calibrations):
        return Estimate(value=None)
    values = [
        corrected(passes, groups, c, confidence).value for passes, c in zip((tuned, base), calibrations, strict=True)
    ]
    assert values[0] is not None and values[1] is not None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    parts = [
        _Smoothed(sum(passes) / len(passes), len(passes), calibration, z)
        for passes, calibration in zip((tuned, base), calibrations, strict=True)
    ]
    paired = [t / parts[0].youden - b / parts[1].youden for t, b in zip(tuned, base, strict=True)]
    spread = clustered_se(paired, groups)
    if math.isnan(spread):
        return Estimate(value=values[0] - values[1])
    error = math.sqrt(spread**2 + sum(part.calibration_variance / part.youden**2 for part in parts))
    middle = parts[0].theta - parts[1].theta
    return Estimate(value=values[0] - values[1], low=max(-1.0, middle - z * error), high=min(1.0, middle + z * error))


class _Smoothed:
    """p, q0, q1 after smoothing, the estimate they give, and what the calibration adds to its variance."""

    def __init__(self, share: float, items: float, calibration: Calibration, z: float):
        q0, q1 = calibration.smoothed
        self.p = (items * share + z**2 / 2) / (items + z**2)
        self.youden = q0 + q1 - 1
        self.theta = (self.p + q0 - 1) / self.youden
        self.v0 = q0 * (1 - q0) / (calibration.negatives + 2)
        self.v1 = q1 * (1 - q1) / (calibration.positives + 2)

    @property
    def calibration_variance(self) -> float:
        return (1 - self.theta) ** 2 * self.v0 + self.theta**2 * self.v1


def alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's α for nominal labels; None where there is nothing to agree on beyond chance."""
    found = krippendorff_alpha(units)
    return None if math.isnan(found) else found


def _effective(passes: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Items over the design effect of their groups, never more than there are."""
    count, share = len(passes), sum(passes) / len(passes)
    clustered, independent = clustered_se(passes, groups) ** 2, share * (1 - share) / max(count - 1, 1)
    if math.isnan(clustered):
        return 1.0
    # Where all verdicts agree the design effect cannot be seen: the groups count as items.
    return count / max(1.0, clustered / independent) if independent else float(len(set(groups)))


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
