"""What the cases of one task show, counted: presence, order of first occurrences, direct succession."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from data_recipes.config import ProceduresConfig
from data_recipes.experience.procedures.cases import Case

# One-sided 95 %: what is stated of a task would rarely show by chance in so few cases.
_Z = 1.6448536269514722
# A step of another task that strayed in by a wrong label or a wrong task: rare here, and so many times commoner there.
_STRAY_SHARE, _STRAY_RATIO = 0.05, 10.0


def at_least(count: int, total: int) -> float:
    """Lower 95 % confidence bound of a share (Wilson 1927), in [0, 1]; 0 of nothing."""
    if not total:
        return 0.0
    share, square = count / total, _Z * _Z
    spread = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (share + square / (2 * total) - spread) / (1 + square / total))


def presence(cases: Sequence[Case]) -> Counter[str]:
    """In how many cases each activity occurs."""
    return Counter(activity for case in cases for activity in {step.activity for step in case.steps})


def select_steps(
    task: str, shares: Mapping[str, Mapping[str, float]], present: Counter[str], cases: int, config: ProceduresConfig
) -> frozenset[str]:
    """Activities common enough in the task, without those that strayed in from another.

    Args:
        shares: of every task, the share of its cases with each activity.
    """
    least = min(cases, max(config.min_cases, config.min_share * cases))

    def strayed(activity: str) -> bool:
        share = shares[task][activity]
        elsewhere = max((other.get(activity, 0.0) for name, other in shares.items() if name != task), default=0.0)
        return share < _STRAY_SHARE and elsewhere >= _STRAY_RATIO * share

    return frozenset(step for step, count in present.items() if count >= least and not strayed(step))


@dataclass(frozen=True)
class Counts:
    """Over the cases of a task, among its steps.

    `before[a, b]`: cases whose first a stands before their first b. `next[a, b]`: of those, with no other step's first
    occurrence between. `follows[a, b]`: times that b came directly after a, repeats of one step joined. `repeats[a]`:
    cases that come back to a after another step.
    """

    cases: int
    present: Counter[str]
    before: Counter[tuple[str, str]]
    next: Counter[tuple[str, str]]
    follows: Counter[tuple[str, str]]
    repeats: Counter[str]

    def precedes(self, a: str, b: str) -> float:
        """Lower bound of the share of cases with both that have a before b."""
        return at_least(self.before[a, b], self.before[a, b] + self.before[b, a])


def count(cases: Sequence[Case], steps: Collection[str]) -> Counts:
    """Count what the cases show of these steps. Steps of equal times count as neither before nor after."""
    found = Counts(len(cases), Counter(), Counter(), Counter(), Counter(), Counter())
    for case in cases:
        course = joined(case, steps)
        ranks = first_ranks(case, steps)
        found.present.update(ranks.keys())
        found.before.update((a, b) for a, b in combinations(ranks, 2) if ranks[a] < ranks[b])
        found.next.update((a, b) for a, b in pairwise(ranks) if ranks[a] < ranks[b])
        found.follows.update(pairwise(course))
        found.repeats.update(step for step, times in Counter(course).items() if times > 1)
    return found


def first_ranks(case: Case, steps: Collection[str]) -> dict[str, int]:
    """Rank at which each of the steps first occurs, in the order of the case."""
    ranks: dict[str, int] = {}
    for step in case.steps:
        if step.activity in steps:
            ranks.setdefault(step.activity, step.rank)
    return ranks


def joined(case: Case, steps: Collection[str]) -> tuple[str, ...]:
    """The course of a case among the steps; a step repeated without another between counts once."""
    course = [step.activity for step in case.steps if step.activity in steps]
    return tuple(step for place, step in enumerate(course) if not place or course[place - 1] != step)
