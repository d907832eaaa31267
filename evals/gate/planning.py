"""How many more items would settle what an evaluation leaves open.

The spread of one item is taken from the interval that was measured, so clustering is in it. The formulas are those of
`evals.stats.sample_size` and `minimum_detectable_effect`; 80 % power.
"""

from __future__ import annotations

import math

from evals import stats
from evals.measures import Estimate, Measure

POWER = 0.8


def standard_error(estimate: Estimate, groups: int, confidence: float) -> float | None:
    """The standard error behind a t interval, from the half that was not cut at the end of the scale; None without."""
    if estimate.value is None or estimate.low is None or estimate.high is None or groups < 2:
        return None
    reach = max(estimate.value - estimate.low, estimate.high - estimate.value)
    return reach / stats.t_quantile(0.5 + confidence / 2, _degrees(estimate, groups))


def one_sided_p(gain: Estimate, bound: float, groups: int, confidence: float) -> float:
    """P-value of "the gain is at most `bound`", by t with the interval's own degrees of freedom; 1 without a width.

    At one claim, p ≤ (1 − confidence) / 2 says the same as "the interval's lower end is above the bound".
    """
    if gain.value is None or gain.low is None or groups < 2:
        return 1.0
    reach = gain.value - gain.low
    if reach <= 0:
        return 1.0
    degrees = _degrees(gain, groups)
    t = (gain.value - bound) / reach * stats.t_quantile(0.5 + confidence / 2, degrees)
    tail = stats.t_tail(t, degrees) / 2
    return tail if t > 0 else 1 - tail


def _degrees(estimate: Estimate, groups: int) -> float:
    """Those of the interval: clusters of unequal size leave fewer than groups − 1, which is for intervals without."""
    return groups - 1 if estimate.degrees is None else estimate.degrees


def more_items(measure: Measure, estimate: Estimate, distance: float, confidence: float, claims: int = 1) -> str:
    """What to do to show that the truth lies on the right side of a bound which is `distance` away from it.

    Args:
        distance: how far the truth is taken to lie from the bound; not above 0 means that no number of items will do.
        confidence: level of the interval.
        claims: how many claims share the level.
    """
    se = standard_error(estimate, measure.groups, confidence)
    if se is None:
        return "evaluate items of more groups (customers, documents): these give no interval"
    if distance <= 0:
        return "more items alone will not show it: the estimate itself is not beyond the bound"
    spread = se**2 * measure.n  # variance of one item's figure, with the effect of its cluster
    alpha = (1 - confidence) / claims
    needed = math.ceil(stats.sample_size(distance, spread + distance**2, alpha, POWER))
    if needed <= measure.n:
        return f"as many other items: {needed:,} have {100 * POWER:.0f} % power, and these were {measure.n:,}"
    return f"about {needed - measure.n:,} more items, {needed:,} in all, for {100 * POWER:.0f} % power"


def smallest_gain(measure: Measure, estimate: Estimate, confidence: float, claims: int = 1) -> float | None:
    """The gain that these items would have shown with 80 % power (minimum detectable effect)."""
    se = standard_error(estimate, measure.groups, confidence)
    if not se or estimate.value is None:
        return None
    alpha = (1 - confidence) / claims
    discordance = se**2 * measure.n + estimate.value**2
    return stats.minimum_detectable_effect(discordance, measure.n, alpha=alpha, power=POWER)
