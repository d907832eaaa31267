"""The usual course, the partial order and the direct edges of a task, from its counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from data_recipes.config import ProceduresConfig
from data_recipes.experience.procedures.counts import Counts, at_least

Pair = tuple[str, str]
# Share of its cases that come back to a step, at least, for it to be called repeated.
_REPEATED = 0.1
_MAX_PASSES = 50


def usual_course(counts: Counts) -> tuple[str, ...]:
    """All steps in the sequence that contradicts the fewest observed pairs, found by moving one step at a time.

    The start is the order of Copeland's method (pairs won less pairs lost); each move then lowers Kemeny's distance
    (1959) to the cases, so the result is a local optimum of it.
    """

    def margin(a: str, b: str) -> int:
        return counts.before[a, b] - counts.before[b, a]

    steps = sorted(counts.present)
    wins = {a: sum((margin(a, b) > 0) - (margin(a, b) < 0) for b in steps) for a in steps}
    course = sorted(steps, key=lambda step: (-wins[step], step))
    for _ in range(_MAX_PASSES):
        moved = False
        for step in steps:
            here = course.index(step)
            rest = course[:here] + course[here + 1 :]
            best, gain, best_gain = here, 0, 0
            for place in range(here - 1, -1, -1):
                gain += margin(step, rest[place])
                if gain > best_gain:
                    best, best_gain = place, gain
            gain = 0
            for place in range(here, len(rest)):
                gain += margin(rest[place], step)
                if gain > best_gain:
                    best, best_gain = place + 1, gain
            if best_gain > 0:
                course, moved = [*rest[:best], step, *rest[best:]], True
        if not moved:
            break
    return tuple(course)


def partial_order(counts: Counts, course: Sequence[str], least: float) -> tuple[Pair, ...]:
    """Pairs that more than `least` of the cases keep, with 95 % confidence. Acyclic: the usual course keeps each."""
    return tuple((a, b) for place, a in enumerate(course) for b in course[place + 1 :] if counts.precedes(a, b) > least)


def direct_edges(counts: Counts, course: Sequence[str], config: ProceduresConfig) -> tuple[Pair, ...]:
    """Which step comes next after which.

    Pairs that a majority orders (lower bound above one half), without those that follow from two others (transitive
    reduction, Aho, Garey and Ullman 1972), and of those the ones where mostly nothing else stands between.
    """
    reduced = reduction(closure(partial_order(counts, course, 0.5)))
    return tuple(
        (a, b)
        for place, a in enumerate(course)
        for b in course[place + 1 :]
        if (a, b) in reduced and counts.next[a, b] >= config.min_direct * max(1, counts.before[a, b])
    )


def repeated_steps(counts: Counts, course: Iterable[str]) -> tuple[str, ...]:
    """Steps that more than a tenth of their cases come back to, with 95 % confidence."""
    return tuple(step for step in course if at_least(counts.repeats[step], counts.present[step]) > _REPEATED)


def closure(order: Iterable[Pair]) -> set[Pair]:
    """Every pair that an acyclic order implies."""
    after: dict[str, set[str]] = {}
    for a, b in order:
        after.setdefault(a, set()).add(b)
    reached: dict[str, set[str]] = {}

    def reach(a: str) -> set[str]:
        if a not in reached:
            reached[a] = set()
            reached[a] = set().union(*({b} | reach(b) for b in after.get(a, ())))
        return reached[a]

    return {(a, b) for a in after for b in reach(a)}


def reduction(closed: Collection[Pair]) -> set[Pair]:
    """The pairs of an acyclic, closed order that do not follow from two others."""
    after: dict[str, set[str]] = {}
    for a, b in closed:
        after.setdefault(a, set()).add(b)
    return {(a, b) for a, b in closed if not any(b in after.get(c, ()) for c in after[a] if c != b)}
