"""The turns of dialogues with what surrounds them: neighbours, place, and what was done on the desktop in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from data_recipes.experience.tagging.features import Utterance
from data_recipes.experience.tagging.labels import Place
from tianjing.records import Dialogue, Event

Side = Literal["agent", "customer"]
START, END = "⊢", "⊣"
"""Stand for the turn before a side's first one and after its last one."""
_PLACES_TOLD_APART = 4


class Spoken(NamedTuple):
    """A turn that is tagged: where it stands, and what is known of it."""

    place: Place
    utterance: Utterance


def spoken_turns(dialogues: Sequence[Dialogue], events: Iterable[Event], side: Side) -> list[Spoken]:
    """Every turn of one side, in order; a desktop event marks the next turn after it, if turns have times
    and its clock can be read."""
    log: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.clock != "unreadable":
            log[event.case].append(event)
    found: list[Spoken] = []
    for dialogue in dialogues:
        own = [index for index, turn in enumerate(dialogue.turns) if turn.speaker == side]
        marks = _marks(dialogue, own, log.get(dialogue.id, ()))
        for number, index in enumerate(own):
            others = [turn.text for turn in dialogue.turns[:index] if turn.speaker != side]
            place = (f"from{min(number, _PLACES_TOLD_APART)}", f"left{min(len(own) - 1 - number, 2)}")
            utterance = Utterance(
                text=dialogue.turns[index].text,
                before=others[-1] if others else "",
                own_before=dialogue.turns[own[number - 1]].text if number else START,
                own_after=dialogue.turns[own[number + 1]].text if number + 1 < len(own) else END,
                context=(*place, *marks[number]),
            )
            found.append(Spoken((dialogue.id, index), utterance))
    return found


def _marks(dialogue: Dialogue, own: Sequence[int], log: Iterable[Event]) -> list[list[str]]:
    """For each own turn, the activities logged since the one before."""
    marks: list[list[str]] = [[] for _ in own]
    times = [dialogue.turns[index].at for index in own]
    for event in sorted(log, key=lambda event: event.at):
        after = [number for number, at in enumerate(times) if at is not None and at > event.at]
        if after:
            marks[after[0]].append(event.activity)
    return marks
