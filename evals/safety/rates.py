"""Rates of rare events over clustered trials: exact where trials are independent, widened where they are not.

A customer's turns, and the repeats of one item, share wording and circumstances; counting each as a trial of its own
would make an upper bound too small.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.measures import Estimate
from evals.stats import Clusters, clopper_pearson, correlation, newcombe, t_quantile


@dataclass(frozen=True)
class Counts:
    """Events and trials of one arm, one number per item in the order of `groups`."""

    events: Sequence[int]
    trials: Sequence[int]

    @property
    def total(self) -> tuple[int, int]:
        return sum(self.events), sum(self.trials)


def rate(counts: Counts, groups: Sequence[Hashable], confidence: float) -> Estimate:
    """Events over trials with a Clopper-Pearson interval at the effective number of trials.

    n_eff = n / max(1, deff), deff the ratio of the clustered variance of the rate to that of n independent trials, as
    in Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive counts";
    events count as rate · n_eff, rounded to the safe side. Where no trial or every one is an event, deff cannot be seen
    and the number of clusters counts as trials. One trial a cluster gives the plain Clopper-Pearson interval.
    """
    events, trials = counts.total
    if trials == 0:
        return Estimate(value=None)
    share = events / trials
    sums = _by_group(counts, groups)
    clusters = int(np.count_nonzero(sums[1]))
    if events in (0, trials):
        low, high = clopper_pearson(round(share * clusters), clusters, confidence)
        return Estimate(value=share, low=low, high=high)
    if clusters < 2:
        return Estimate(value=share, low=0.0, high=1.0)
    residuals = sums[0] - share * sums[1]
    clustered = clusters / (clusters - 1) * float(residuals @ residuals) / trials**2
    independent = share * (1 - share) / (trials - 1) if trials > 1 else math.inf
    effective = trials / max(1.0, clustered / independent)
    seen, size = share * effective, math.floor(effective + 1e-9)
    # Whole numbers on the safe side of either bound.
    low = clopper_pearson(math.floor(seen + 1e-9), size, confidence)[0]
    high = clopper_pearson(min(size, math.ceil(seen - 1e-9)), size, confidence)[1]
    return Estimate(value=share, low=low, high=high)


def rate_difference(tuned: Counts, base: Counts, groups: Sequence[Hashable], confidence: float) -> Estimate:
    """Rate of tuned minus rate of base over the same items, with a t interval by linearisation over clusters.

    Beside it Newcombe's interval, put together of those of the two rates. The difference equals that of the two rates.
    Where no cluster differs, the share of clusters that do is at most 1 − (α/2)^(1/G), as in
    `evals.stats.mean_interval`.
    """
    if not tuned.total[1] or not base.total[1]:
        return Estimate(value=None)
    residuals = _residuals(tuned, groups), _residuals(base, groups)
    scores = residuals[0] - residuals[1]
    rates = [rate(counts, groups, confidence) for counts in (tuned, base)]
    difference = tuned.total[0] / tuned.total[1] - base.total[0] / base.total[1]
    clusters = len(scores)
    if clusters < 2:
        return Estimate(value=difference)
    both = [(one.low or 0.0, one.value or 0.0, 1.0 if one.high is None else one.high) for one in rates]
    ends = newcombe(both[0], both[1], correlation(*residuals))
    least, most = max(-1.0, ends[0]), min(1.0, ends[1])
    error = math.sqrt(clusters / (clusters - 1) * float(scores @ scores))
    if error < 1e-12:
        unseen = clopper_pearson(0, clusters, confidence)[1]
        low, high = max(-1.0, difference - unseen), min(1.0, difference + unseen)
        return Estimate(value=difference, low=low, high=high, newcombe_low=least, newcombe_high=most)
    degrees = Clusters.of(groups).degrees
    reach = t_quantile(0.5 + confidence / 2, degrees) * error
    low, high = max(-1.0, difference - reach), min(1.0, difference + reach)
    return Estimate(value=difference, low=low, high=high, degrees=degrees, newcombe_low=least, newcombe_high=most)


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """The same estimate in another unit."""
    names = ("value", "low", "high", "newcombe_low", "newcombe_high")
    values = {name: getattr(estimate, name) for name in names}
    return estimate.model_copy(update={name: value and value * factor for name, value in values.items()})


def _residuals(counts: Counts, groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """(G,) what each group's events are beyond those of its trials at the common rate, per trial."""
    events, trials = counts.total
    sums = _by_group(counts, groups)
    return np.asarray((sums[0] - events / trials * sums[1]) / trials)


def _by_group(counts: Counts, groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """Events and trials summed over each group: shape (2, G)."""
    order = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((2, len(order)))
    for group, events, trials in zip(groups, counts.events, counts.trials, strict=True):
        sums[:, order[group]] += events, trials
    return sums
