"""The hidden side of a customer: a state machine of means, willingness, trust and mood.

Every transition is a pure function of the state, of what happened, and of a random source that is passed in. Nothing of
a state is written into the raw files; `truth/` holds it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from tianjing.simulation.planted import HARMFUL_ACTS, SITUATIONS

Mood = Literal["calm", "worried", "upset"]

_WORSE: dict[Mood, Mood] = {"calm": "worried", "worried": "upset", "upset": "upset"}
_BETTER: dict[Mood, Mood] = {"upset": "worried", "worried": "calm", "calm": "calm"}
_USUAL_TRUST = 0.5


@dataclass(frozen=True)
class LifeEvent:
    """What a reason of arrears does to a customer: income times `income_factor`, then yuan a month on top."""

    income_factor: float
    more_needs_yuan: int = 0
    more_debt_yuan: int = 0
    willingness: float = 0.0
    trust: float = 0.0
    mood: Mood = "worried"


# A situation of `planted` is the life event that brings it about.
LIFE_EVENTS: dict[str, LifeEvent] = {
    "失业": LifeEvent(0.25),
    "生病住院": LifeEvent(0.6, more_needs_yuan=2500),
    "工资迟发": LifeEvent(0.5, mood="calm"),
    "忘记还款": LifeEvent(1.0, mood="calm"),
    "费用争议": LifeEvent(1.0, willingness=-0.25, trust=-0.15),
    "多头负债": LifeEvent(1.0, more_debt_yuan=2800),
    "情绪激动": LifeEvent(1.0, willingness=-0.15, trust=-0.2, mood="upset"),
    "经营亏损": LifeEvent(0.45, willingness=0.05),
}


@dataclass(frozen=True)
class CustomerState:
    """One customer at one moment. Amounts in yuan a month; willingness and trust in [0, 1].

    `deadline_days` is the customer's secret: days until the next money comes in. It is told only in trust.
    """

    usual_income_yuan: int
    income_yuan: int
    needs_yuan: int
    other_debt_yuan: int
    willingness: float
    trust: float
    mood: Mood
    deadline_days: int
    situation: str = ""

    @property
    def disposable_yuan(self) -> int:
        """What is left for this lender in a month."""
        return max(0, self.income_yuan - self.needs_yuan - self.other_debt_yuan)

    def resources(self, instalment_yuan: float) -> float:
        """h of the structural model: mean of willingness, trust and the share of an instalment that is affordable."""
        affordability = min(1.0, self.disposable_yuan / instalment_yuan)
        return (self.willingness + self.trust + affordability) / 3


def new_state(rng: random.Random) -> CustomerState:
    """A customer before anything happened."""
    income = rng.randint(38, 160) * 100
    return CustomerState(
        usual_income_yuan=income,
        income_yuan=income,
        needs_yuan=int(income * rng.uniform(0.4, 0.65)),
        other_debt_yuan=int(income * rng.choice((0, 0, 0.1, 0.2))),
        willingness=round(rng.betavariate(3, 2.5), 3),
        trust=round(rng.betavariate(5, 5), 3),
        mood="calm",
        deadline_days=rng.randint(3, 30),
    )


def after_event(state: CustomerState, situation: str, rng: random.Random) -> CustomerState:
    """What the life event behind `situation` makes of the customer."""
    event = LIFE_EVENTS[situation]
    return replace(
        state,
        income_yuan=round(state.usual_income_yuan * event.income_factor),
        needs_yuan=state.needs_yuan + event.more_needs_yuan,
        other_debt_yuan=state.other_debt_yuan + event.more_debt_yuan,
        willingness=_share(state.willingness + event.willingness),
        trust=_share(state.trust + event.trust),
        mood=event.mood,
        deadline_days=rng.randint(3, 30),
        situation=situation,
    )


def after_recovery(state: CustomerState) -> CustomerState:
    """The life event is over: income, needs and debts are the usual ones again; trust and willingness stay."""
    if not state.situation:
        return state
    event = LIFE_EVENTS[state.situation]
    return replace(
        state,
        income_yuan=state.usual_income_yuan,
        needs_yuan=state.needs_yuan - event.more_needs_yuan,
        other_debt_yuan=state.other_debt_yuan - event.more_debt_yuan,
        mood="calm",
        situation="",
    )


def after_act(state: CustomerState, act: str, rng: random.Random, breach: bool = False) -> CustomerState:
    """How the customer leaves a conversation in which the agent did `act` (an act tag, "" for none).

    The act that works in the situation builds trust and eases the mood; a threat or a demand for all of it, and any
    breach of conduct, does the opposite; an apology always eases.
    """
    works = bool(state.situation) and act == SITUATIONS[state.situation].act
    trust, willingness, mood = state.trust, state.willingness, state.mood
    if works:
        trust, willingness = trust + 0.12, willingness + 0.05
    if works or act == "empathise":
        mood = _BETTER[mood]
    if act in HARMFUL_ACTS:
        trust, willingness = trust - 0.1, willingness - 0.04
        mood = _WORSE[mood] if rng.random() < 0.5 else mood
    if breach:
        trust, mood = trust - 0.2, _WORSE[mood]
    return replace(state, trust=_share(trust), willingness=_share(willingness), mood=mood)


def after_days(state: CustomerState, days: int) -> CustomerState:
    """Time passes: moods cool in a month, trust comes half-way back to the usual in three, the deadline draws near."""
    faded = 0.5 ** (days / 90)
    return replace(
        state,
        trust=round(_USUAL_TRUST + (state.trust - _USUAL_TRUST) * faded, 3),
        mood=_BETTER[state.mood] if days >= 30 else state.mood,
        deadline_days=max(0, state.deadline_days - days),
    )


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 3)
