"""Agents: how senior they are, how well they do, and by which policy they choose an act."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tianjing.acts import ACTS
from tianjing.simulation.planted import SITUATIONS
from tianjing.simulation.structural import AGENT_EFFECT

Style = Literal["strict", "formal", "kind"]

# Senior agents know the working act more often and are given the harder buckets: the confounding that a stratified
# miner must undo. All learn: by the last month they know it a little more often than in the first.
_WORKING_ACT_RATE: dict[bool, float] = {True: 0.62, False: 0.36}
_LEARNING_PER_MONTH = 0.008
_MIDDLE_MONTH = 3.5
SENIOR_BY_BUCKET: dict[str, float] = {"M0": 0.15, "M1": 0.35, "M2": 0.65, "M3": 0.85}

# What an agent falls back on who misses the working act: relative frequency of acts, 1 where none is named.
_FALLBACK: dict[Style, dict[str, int]] = {
    "strict": {"remind_consequence": 4, "demand_full_payment": 4},
    "formal": {"remind_consequence": 2, "demand_full_payment": 2, "request_proof": 2, "explain_fees": 2},
    "kind": {"empathise": 2, "ask_affordable_amount": 2},
}
# Seniors pass on what they cannot solve. It does nothing; their hard cases make it look harmful: a confounded placebo.
PLACEBO = "transfer_specialist"
_SENIOR_PLACEBO_WEIGHT = 5


@dataclass(frozen=True)
class Agent:
    """A call-centre agent. `effect` is added to the probability that a customer of hers keeps a promise."""

    id: str
    senior: bool
    style: Style
    effect: float

    def working_act_rate(self, month: int) -> float:
        """Probability in [0, 1] that she chooses the act that works; `month` counts from 1."""
        return _WORKING_ACT_RATE[self.senior] + _LEARNING_PER_MONTH * (month - _MIDDLE_MONTH)

    def fallback(self, situation: str, rng: random.Random) -> str:
        """An act other than the working one, by her style."""
        others = [act for act in ACTS if act != SITUATIONS[situation].act]
        return rng.choices(others, weights=[self._weight(act) for act in others])[0]

    def _weight(self, act: str) -> int:
        if act == PLACEBO and self.senior:
            return _SENIOR_PLACEBO_WEIGHT
        return _FALLBACK[self.style].get(act, 1)


def hire(ids: tuple[str, ...], seed: int) -> tuple[Agent, ...]:
    """The agents of a site: every second one is senior; style and effect depend on `seed` and the id alone."""
    return tuple(_agent(id, index % 2 == 0, random.Random(f"{seed}:agent:{id}")) for index, id in enumerate(ids))


def _agent(id: str, senior: bool, rng: random.Random) -> Agent:
    style = rng.choice(tuple(_FALLBACK))
    return Agent(id, senior, style, round(rng.uniform(-AGENT_EFFECT, AGENT_EFFECT), 4))
