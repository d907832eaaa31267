"""Corpora for the benchmark of practices: post-loan calls of the simulator with their log, outcome and planted truth.

The simulator's own planner and scenes write them in memory. Service calls are planned, since customers remember them,
but not spoken; side files (contacts, documents, records) are left out. A corpus is made of blocks of 1,000 cases, so
that the first two blocks of a corpus of 5,000 cases are the corpus of 2,000 cases of the same seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from tianjing.records import Customer, Dialogue, Event, Turn
from tianjing.simulation.planning import Call, Planner
from tianjing.simulation.planted import Surface
from tianjing.simulation.scenes import SceneWriter

BLOCK_CASES = 1000
_BLOCK_DIALOGUES = 1667  # three in five are post-loan calls


@dataclass(frozen=True)
class Planted:
    """One post-loan call: what a company has of it, and what was planted in it.

    `act_turn` is the index of the decisive turn; `propensity` the planted probability that the promise is kept.
    """

    dialogue: Dialogue
    events: tuple[Event, ...]
    bucket: str
    situation: str
    act: str
    act_turn: int
    propensity: float
    kept: bool

    @property
    def customer(self) -> Customer:
        return Customer.model_validate({"customer": self.dialogue.customer, "overdue_bucket": self.bucket})


def corpus(seed: int, surface: Surface, cases: int) -> list[Planted]:
    """`cases` post-loan calls (a multiple of 1,000) in blocks, each with customers of its own."""
    return [row for number in range(cases // BLOCK_CASES) for row in _block(seed, number, surface)]


def _block(seed: int, number: int, surface: Surface) -> list[Planted]:
    rng = random.Random(f"{seed}:{number}:practices")
    planner = Planner(_BLOCK_DIALOGUES, seed, number, number * _BLOCK_DIALOGUES + 1, surface)
    calls = [planner.call(*start) for start in planner.starts()]
    spoken = [call for call in calls if call.kept is not None]
    return [_spoken(call, f"d{seed}-{number}-{index:04d}", rng) for index, call in enumerate(spoken)]


def _spoken(call: Call, case: str, rng: random.Random) -> Planted:
    plan = call.plan
    scene = SceneWriter(plan, rng).write()
    times = [call.start]
    for _, text in scene.turns[:-1]:
        times.append(times[-1] + timedelta(seconds=2 + len(text) // 5 + rng.randint(0, 4)))
    turns = tuple(
        Turn.model_construct(speaker=speaker, text=text, at=at)
        for (speaker, text), at in zip(scene.turns, times, strict=True)
    )
    dialogue = Dialogue.model_construct(
        id=case, customer=plan.person.id, agent=plan.agent, channel="phone", started_at=call.start, turns=turns
    )
    events = tuple(
        Event.model_construct(case=case, at=times[turn], actor=plan.agent, activity=activity, attributes=attributes)
        for turn, activity, attributes in scene.events
    )
    assert scene.decisive is not None and call.propensity is not None and call.kept is not None
    return Planted(
        dialogue, events, plan.person.bucket, plan.situation, plan.act, scene.decisive, call.propensity, call.kept
    )


@dataclass(frozen=True)
class Hidden:
    """A confounder in half of the cases: how often the act is taken with and without it, and what it adds to the
    probability that the promise is kept (half above, half below)."""

    name: str
    with_it: float
    without: float
    adds: float


HIDDEN = (
    Hidden("modest", 0.50, 0.25, 0.30),
    Hidden("strong", 0.60, 0.15, 0.40),
    Hidden("very strong", 0.80, 0.10, 0.45),
)
NOTHING_HIDDEN = Hidden("none", 0.375, 0.375, 0.0)
