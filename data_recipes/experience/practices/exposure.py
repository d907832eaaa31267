"""Exposure: what the agent did after the customer told the reason and before the customer decided.

What comes after a promise or a refusal cannot have brought it about: counted, 约定日期 would look like a cause of every
promise, since agents agree on a date once the customer has given in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from data_recipes.experience.practices.clock import instant
from tianjing.records import Dialogue, Event

ActionKind = Literal["act", "activity"]
Tagger = Callable[[str], Sequence[str]]

# The customer's turn that settles the matter: a promise or a refusal.
_DECIDING = re.compile(
    r"(?:行|好|可以|没问题|成|中)(?:吧|的|啊|嘞|，|。|,|$)|就这么|答应|保证|我(?:一定|会|马上|尽量|来)|同意|还不了|还不上|不还|没办法|"
    r"不行|不同意|做不到|没法|不接受|算了|再说吧|不用了|拒绝"
)


@dataclass(frozen=True)
class Exposure:
    """An action of the agent: an act heard in a turn, or an activity of the operation log by its own name.

    `turn` is the index of the agent's turn in which it is first heard, or that was being spoken when it was logged.
    """

    kind: ActionKind
    action: str
    turn: int


def exposures(
    dialogue: Dialogue, reason_turn: int, log: Sequence[Event], tagger: Tagger, kinds: Sequence[ActionKind]
) -> tuple[Exposure, ...]:
    """Each action between the reason and the decision, at its first turn; by kind and turn."""
    acts = {
        index: tuple(tagger(turn.text))
        for index, turn in enumerate(dialogue.turns)
        if turn.speaker == "agent" and index > reason_turn
    }
    decided = deciding_turn(dialogue, reason_turn, [index for index, found in acts.items() if found])
    first: dict[tuple[ActionKind, str], int] = {}
    if "act" in kinds:
        for index in sorted(acts):
            for act in acts[index] if index < decided else ():
                first.setdefault(("act", act), index)
    if "activity" in kinds:
        for event in sorted(log, key=lambda event: instant(event.at)):
            spoken = turn_at(dialogue, event.at, "agent")
            if spoken is not None and reason_turn < spoken < decided:
                first.setdefault(("activity", event.activity), spoken)
    return tuple(Exposure(kind, action, turn) for (kind, action), turn in first.items())


def deciding_turn(dialogue: Dialogue, reason_turn: int, acting: Sequence[int]) -> int:
    """Index of the customer's deciding turn, or past the end where the customer says nothing more.

    The first promise or refusal in so many words; without one, the answer to the agent's first act: what is counted may
    then be too little, but nothing that came after the decision.
    """
    said = [i for i, turn in enumerate(dialogue.turns) if turn.speaker == "customer" and i > reason_turn]
    worded = (i for i in said if _DECIDING.search(dialogue.turns[i].text))
    answers = (i for i in said if acting and i > acting[0])
    return next(worded, next(answers, len(dialogue.turns)))


def turn_at(dialogue: Dialogue, at: datetime, speaker: str) -> int | None:
    """The last turn of a speaker up to a moment of the operation log."""
    moment = instant(at)
    turns = dialogue.turns
    for index in range(len(turns) - 1, -1, -1):
        said = turns[index].at
        if turns[index].speaker == speaker and said is not None and instant(said) <= moment:
            return index
    return None


def customer_turn_at(dialogue: Dialogue, at: datetime) -> int | None:
    """The last customer turn up to a moment of the operation log."""
    return turn_at(dialogue, at, "customer")
