"""How far an association can be trusted: other agents, another month, and a confounder that nobody measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_recipes.experience.statistics import Floats, differences, mantel_haenszel, risk_ratio, tabulate

_MIN_HOLDOUT_GROUP = 5


@dataclass(frozen=True)
class EValues:
    """For the estimate and for the confidence limit nearer to no effect, on the scale of risk ratios; 1 is nothing."""

    estimate: float
    limit: float


def e_values(counts: Floats) -> EValues | None:
    """How strong a confounder would have to be to explain a stratified association (S, 4) away.

    RR + √(RR(RR − 1)) for a risk ratio RR above 1, of its inverse below 1: an unmeasured confounder must go with both
    the action and the outcome by at least that risk ratio each, beyond the strata (VanderWeele and Ding 2017, Annals of
    Internal Medicine 167:268). For the limit, 1 where the interval holds 1. None where the ratio is not defined.
    """
    ratio = risk_ratio(counts)
    if ratio is None:
        return None
    if ratio.ratio >= 1:
        return EValues(_e_value(ratio.ratio), _e_value(max(1.0, ratio.ci_low)))
    return EValues(_e_value(1 / ratio.ratio), _e_value(max(1.0, 1 / ratio.ci_high)))


def _e_value(ratio: float) -> float:
    return ratio + math.sqrt(ratio * (ratio - 1))


def agent_stability(
    stratum: NDArray[np.int64],
    treated: NDArray[np.bool_],
    outcome: NDArray[np.bool_],
    agent: NDArray[np.int64],
    strata: int,
) -> float | None:
    """Share of agents without whom the difference keeps its sign; None with one agent or no difference.

    An action that works for one star alone changes sign when the star is left out.
    """
    agents = int(agent.max()) + 1
    if agents < 2:
        return None
    by_agent = tabulate(agent * strata + stratum, treated, outcome, agents * strata).reshape(agents, strata, 4)
    total = by_agent.sum(0)
    left_out = differences(total - by_agent)
    sign = np.sign(differences(total[None])[0])
    present = by_agent.sum((1, 2)) > 0
    if np.isnan(sign) or sign == 0:
        return None
    return float((np.sign(left_out[present]) == sign).mean())


@dataclass(frozen=True)
class Holdout:
    """The last month with its own difference, held against that of all earlier months."""

    month: str
    effect: float
    replicated: bool


def last_month(
    stratum: NDArray[np.int64],
    treated: NDArray[np.bool_],
    outcome: NDArray[np.bool_],
    months: Sequence[str],
    strata: int,
) -> Holdout | None:
    """Whether the last month alone shows the sign of the months before; None where either has too few cases."""
    last = max(months)
    within = np.array([month == last for month in months])
    estimates = []
    for part in (within, ~within):
        groups = (int(treated[part].sum()), int((~treated[part]).sum()))
        if min(groups) < _MIN_HOLDOUT_GROUP:
            return None
        estimates.append(mantel_haenszel(tabulate(stratum[part], treated[part], outcome[part], strata)))
    late, early = estimates
    if late is None or early is None:
        return None
    return Holdout(last, late.difference, late.difference * early.difference > 0)
