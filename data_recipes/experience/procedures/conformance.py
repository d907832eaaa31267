"""How well a case conforms to a procedure: steps missing, out of order, unknown; and a fitness in [0, 1]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from data_recipes.experience.procedures.cases import Case
from data_recipes.experience.procedures.counts import first_ranks
from tianjing.config import StrictModel
from tianjing.records import Procedure


class Conformance(StrictModel):
    """What a case did differently from the procedure of its task."""

    case: str
    task: str
    procedure: str
    """Id of the procedure; empty where its task has none."""
    fitness: float | None
    """Share of the steps done or required that are where they belong; none without a procedure."""
    missing: tuple[str, ...] = ()
    """Required steps that were not done."""
    out_of_order: tuple[tuple[str, str], ...] = ()
    """Pairs (a, b) of the order whose b was first done before a."""
    misplaced: tuple[str, ...] = ()
    """Steps that, moved, would restore the order; chosen greedily."""
    unknown: tuple[str, ...] = ()
    """Activities that are no step of the procedure."""


def conformance(case: Case, procedure: Procedure, judged: frozenset[str] | None = None) -> Conformance:
    """Judge a case by the first occurrence of each step.

    fitness = 1 − (missing + unknown + misplaced) / (activities done or required). Steps of equal times are not out of
    order.

    Args:
        judged: only these steps of the procedure are judged; all without it. For a log without the acts of dialogues.
    """
    steps = set(procedure.steps) if judged is None else set(procedure.steps) & judged
    done = first_ranks(case, {step.activity for step in case.steps})
    required = {step for step in steps if step not in procedure.optional}
    wrong = [(a, b) for a, b in procedure.order if a in done and b in done and a in steps and done[b] < done[a]]
    missing = tuple(step for step in procedure.steps if step in required and step not in done)
    unknown = tuple(step for step in done if step not in procedure.steps)
    misplaced = _cover(wrong)
    concerned = len(required | set(done))
    deviations = len(missing) + len(unknown) + len(misplaced)
    return Conformance(
        case=case.id,
        task=case.task,
        procedure=procedure.id,
        fitness=round(1 - deviations / concerned, 6) if concerned else 1.0,
        missing=missing,
        out_of_order=tuple(wrong),
        misplaced=misplaced,
        unknown=unknown,
    )


def conform(
    cases: Iterable[Case], procedures: Sequence[Procedure], judged: frozenset[str] | None = None
) -> list[Conformance]:
    """Judge each case by the procedure of its task; a case of an unknown task has no fitness."""
    by_task: Mapping[str, Procedure] = {procedure.task: procedure for procedure in procedures}
    return [
        conformance(case, by_task[case.task], judged)
        if case.task in by_task
        else Conformance(case=case.id, task=case.task, procedure="", fitness=None)
        for case in cases
    ]


def _cover(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Steps that touch every pair: each time the one in most of those left, as whoever moved it would."""
    left, chosen = list(pairs), []
    while left:
        touched = Counter(step for pair in left for step in pair)
        step = min(touched, key=lambda one: (-touched[one], one))
        chosen.append(step)
        left = [pair for pair in left if step not in pair]
    return tuple(chosen)
