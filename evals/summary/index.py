"""Attempts by task, arm, item and condition: one pass over all of them, then every figure is a look-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evals.perturb import family_of
from evals.records import ARMS, CONCURRENT, GREEDY, OF_SAMPLED, SAMPLED, Arm, Attempt, Item

Conditions = dict[str, list[Attempt]]


@dataclass(frozen=True)
class Runs:
    """The attempts of one task and arm.

    Attributes:
        items: those of the task, in the order of the plan.
        by_item: attempts by item id and condition, in order of repeat.
    """

    items: Sequence[Item]
    by_item: Mapping[str, Conditions] = field(default_factory=dict)

    def of(self, item: Item, condition: str) -> list[Attempt]:
        """The attempts of an item under a condition, in order of repeat; none where it was not asked."""
        return self.by_item.get(item.id, {}).get(condition, [])

    def greedy(self, item: Item) -> Attempt:
        return self.of(item, GREEDY)[0]

    @property
    def conditions(self) -> list[str]:
        """All that any item was asked under, in order of name."""
        return sorted({name for conditions in self.by_item.values() for name in conditions})

    @property
    def all(self) -> list[Attempt]:
        return [attempt for conditions in self.by_item.values() for runs in conditions.values() for attempt in runs]


@dataclass(frozen=True)
class Index:
    """All attempts of an evaluation.

    Attributes:
        arms: those with attempts, base before tuned.
        tasks: by task, then by arm.
        unmatched: requests that an arm lacks among all that another arm answered or that accuracy needs, as
            task/item/condition/repeat.
    """

    arms: Sequence[Arm]
    tasks: Mapping[str, Mapping[Arm, Runs]]
    unmatched: Sequence[str]


def index_attempts(items: Sequence[Item], attempts: Sequence[Attempt]) -> Index:
    """Sort `attempts` into their places."""
    arms = [arm for arm in ARMS if any(attempt.arm == arm for attempt in attempts)] or list(ARMS)
    by_task: dict[str, list[Item]] = {}
    for item in items:
        by_task.setdefault(item.task, []).append(item)
    places: dict[str, dict[Arm, dict[str, Conditions]]] = {
        task: {arm: {item.id: {} for item in rows} for arm in arms} for task, rows in by_task.items()
    }
    for attempt in attempts:
        places[attempt.task][attempt.arm][attempt.item].setdefault(attempt.condition, []).append(attempt)
    unmatched = []
    for task, by_arm in places.items():
        for item in by_task[task]:
            asked = [by_arm[arm][item.id] for arm in arms]
            for conditions in asked:
                for runs in conditions.values():
                    runs.sort(key=lambda attempt: attempt.repeat)
            unmatched += [f"{task}/{item.id}/{request}" for request in _missing(asked)]
    tasks = {
        task: {arm: Runs(by_task[task], found) for arm, found in by_arm.items()} for task, by_arm in places.items()
    }
    return Index(arms, tasks, sorted(unmatched))


def is_variant(condition: str) -> bool:
    """Whether it is another way of asking the same: not the item as it is, repeats, another load of the engine, or a
    change under which the answer may well be another (`fewer`, `alone`)."""
    if condition in (GREEDY, SAMPLED) or condition.startswith(CONCURRENT) or condition.endswith(OF_SAMPLED):
        return False
    try:
        return family_of(condition).invariance == "INV"
    except KeyError:  # of a version that had other families
        return True


def is_repeated(condition: str) -> bool:
    """Whether it holds repeats at the temperature of the repeats."""
    return condition == SAMPLED or condition.endswith(OF_SAMPLED)


def _missing(asked: Sequence[Conditions]) -> list[str]:
    """condition/repeat that one of the arms lacks for an item; `greedy/0` is always needed."""
    answered = [{name: [run.repeat for run in runs] for name, runs in conditions.items()} for conditions in asked]
    if all(repeats == answered[0] for repeats in answered) and answered[0].get(GREEDY) == [0]:
        return []
    flat: list[set[tuple[str, int]]] = [
        {(name, repeat) for name, repeats in one.items() for repeat in repeats} for one in answered
    ]
    missing = {(GREEDY, 0)}.union(*flat) - flat[0].intersection(*flat)
    return [f"{name}/{repeat}" for name, repeat in missing]
