"""The structural model of outcomes: how probable each is, given what was done and what stays hidden.

A promise is kept (履约) with probability

    P(kept) = BASE + effect(situation, act) + BUCKET_EFFECT[bucket] + agent + MONTH_DRIFT[month]
              + HIDDEN_RANGE * (2h - 1)

where `agent` is the agent's own effect (`agents.Agent.effect`, within ±AGENT_EFFECT) and h in [0, 1] is the mean of the
customer's willingness, trust and affordability at that moment (`customer.CustomerState`). All terms are added, and
their ranges keep the sum within [0.03, 0.97], so nothing is clipped: `effect` is exactly the risk difference against an
act that does nothing. Buckets confound: they lower the probability and bring the case to a senior agent, who knows the
working act more often. The month drifts, and agents learn over the months, so time confounds a little, too.
"""

from __future__ import annotations

import random

from tianjing.simulation.planted import SITUATIONS

BASE = 0.38
BUCKET_EFFECT: dict[str, float] = {"M0": 0.05, "M1": 0.0, "M2": -0.08, "M3": -0.15}
AGENT_EFFECT = 0.03
MONTH_DRIFT = (0.02, 0.012, 0.004, -0.004, -0.012, -0.02)  # January to June
HIDDEN_RANGE = 0.05

# Risk difference of the working act of each situation.
_WORKING_EFFECT: dict[str, float] = {
    "失业": 0.44,
    "生病住院": 0.43,
    "工资迟发": 0.42,
    "忘记还款": 0.40,
    "费用争议": 0.43,
    "多头负债": 0.44,
    "情绪激动": 0.41,
    "经营亏损": 0.42,
}
# Risk difference of acts that make matters worse; where a situation is not named, the default.
HARM: dict[str, dict[str, float]] = {
    "remind_consequence": {"default": -0.06, "忘记还款": 0.0, "多头负债": -0.08, "情绪激动": -0.10},
    "demand_full_payment": {"default": -0.10, "忘记还款": -0.05, "费用争议": -0.08, "情绪激动": -0.08},
}

# Outcomes that never reach the file: lost at random, and more often where the promise was broken (who moved away
# pays nothing and cannot be asked), which makes the rates that can be seen too good.
MISSING_AT_RANDOM = 0.02
MISSING_IF_KEPT = 0.005
MISSING_IF_BROKEN = 0.03

_COMPLAINT_BASE, _COMPLAINT_BREACH, _COMPLAINT_UPSET = 0.02, 0.25, 0.12
_RATED_SHARE = 0.3
_LIKED_WEIGHTS, _DISLIKED_WEIGHTS = (2, 3, 10, 35, 50), (20, 22, 30, 18, 10)


def effect(situation: str, act: str) -> float:
    """Risk difference of `act` in `situation`: above 0 it helps, below it harms, 0 does nothing."""
    if act == SITUATIONS[situation].act:
        return _WORKING_EFFECT[situation]
    harm = HARM.get(act, {"default": 0.0})
    return harm.get(situation, harm["default"])


def kept_probability(situation: str, act: str, bucket: str, agent_effect: float, month: int, resources: float) -> float:
    """Probability that the promise is kept; `month` counts from 1, `resources` is h of the formula above."""
    hidden = HIDDEN_RANGE * (2 * resources - 1)
    return BASE + effect(situation, act) + BUCKET_EFFECT[bucket] + agent_effect + MONTH_DRIFT[month - 1] + hidden


def complaint_probability(breach: bool, upset: bool) -> float:
    """Probability of a complaint; `upset` is how the customer feels when the call ends."""
    return _COMPLAINT_BASE + _COMPLAINT_BREACH * breach + _COMPLAINT_UPSET * upset


def missing_reason(kept: bool, rng: random.Random) -> str:
    """Why the outcome is not in the file: "" if it is, else `at random` or `unreachable` (not at random)."""
    if rng.random() < MISSING_AT_RANDOM:
        return "at random"
    return "unreachable" if rng.random() < (MISSING_IF_KEPT if kept else MISSING_IF_BROKEN) else ""


def satisfaction(liked: bool, rng: random.Random) -> int | None:
    """The rating (csat, 1 to 5) that three in ten customers give."""
    if rng.random() >= _RATED_SHARE:
        return None
    return rng.choices((1, 2, 3, 4, 5), weights=_LIKED_WEIGHTS if liked else _DISLIKED_WEIGHTS)[0]


def parameters() -> dict[str, object]:
    """The model's numbers, as truth.json holds them."""
    return {
        "base": BASE,
        "effects": {name: _effects(name) for name in SITUATIONS},
        "bucket_effect": BUCKET_EFFECT,
        "agent_effect": AGENT_EFFECT,
        "month_drift": MONTH_DRIFT,
        "hidden_range": HIDDEN_RANGE,
        "missing": {
            "at_random": MISSING_AT_RANDOM,
            "unreachable_if_kept": MISSING_IF_KEPT,
            "unreachable_if_broken": MISSING_IF_BROKEN,
        },
        "complaint": {"base": _COMPLAINT_BASE, "breach": _COMPLAINT_BREACH, "upset": _COMPLAINT_UPSET},
    }


def _effects(situation: str) -> dict[str, float]:
    acts = (SITUATIONS[situation].act, *HARM)
    return {act: effect(situation, act) for act in acts if effect(situation, act)}
