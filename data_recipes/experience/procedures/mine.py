"""Cases to procedures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from data_recipes.config import ProceduresConfig
from data_recipes.experience.procedures.branches import find_branches
from data_recipes.experience.procedures.cases import Case, by_task
from data_recipes.experience.procedures.conformance import conformance
from data_recipes.experience.procedures.counts import count, first_ranks, presence, select_steps
from data_recipes.experience.procedures.order import direct_edges, partial_order, repeated_steps, usual_course
from data_recipes.experience.procedures.outcomes import separating_steps
from tianjing.records import Outcome, Procedure, Variant


def mine_procedures(
    cases: Iterable[Case],
    config: ProceduresConfig,
    outcomes: Iterable[Outcome] = (),
    strata: tuple[str, ...] = (),
) -> list[Procedure]:
    """One procedure per task.

    Agents deviate, so a procedure is a partial order with optional steps and branches, not a chain; what few cases show
    is not stated (binomial bounds). From one case come its steps in its own sequence, and no order.

    Args:
        outcomes: what became of the cases, for the steps that go with it.
        strata: names of the values in `Case.stratum`.
    """
    tasks = by_task(cases)
    present = {task: presence(found) for task, found in tasks.items()}
    shares = {task: {step: n / len(tasks[task]) for step, n in counted.items()} for task, counted in present.items()}
    mined = {
        task: _procedure(task, found, select_steps(task, shares, present[task], len(found), config), config)
        for task, found in tasks.items()
    }
    separating = separating_steps(
        {task: (tasks[task], mined[task].steps) for task in tasks}, outcomes, strata, config.min_group_cases
    )
    return [procedure.model_copy(update={"separating": separating.get(task, ())}) for task, procedure in mined.items()]


def _procedure(task: str, cases: Sequence[Case], steps: frozenset[str], config: ProceduresConfig) -> Procedure:
    counts = count(cases, steps)
    course = usual_course(counts)
    optional = tuple(step for step in course if counts.present[step] < config.min_required * len(cases))
    place = {step: number for number, step in enumerate(course)}
    bare = Procedure(
        id=f"procedure/{task}",
        task=task,
        steps=course,
        optional=optional,
        order=partial_order(counts, course, config.min_order),
        direct=direct_edges(counts, course, config),
        edges=tuple(
            (a, b, times)
            for (a, b), times in sorted(counts.follows.items(), key=lambda e: (place[e[0][0]], place[e[0][1]]))
        ),
        repeated=repeated_steps(counts, course),
        branches=find_branches(cases, course, optional, config),
        variants=(),
        distinct_variants=0,
        separating=(),
        support=len(cases),
        coverage=0.0,
        fitness=0.0,
    )
    # A case's first occurrences in its own sequence, activities that are no step included: so a variant can be judged.
    judged = [conformance(case, bare).fitness or 0.0 for case in cases]
    courses: Counter[tuple[str, ...]] = Counter()
    fitness: dict[tuple[str, ...], float] = {}
    for case, value in zip(cases, judged, strict=True):
        taken = tuple(first_ranks(case, {step.activity for step in case.steps}))
        courses[taken] += 1
        fitness[taken] = min(value, fitness.get(taken, 1.0))
    commonest = sorted(courses.items(), key=lambda item: (-item[1], item[0]))[: config.max_variants]
    return bare.model_copy(
        update={
            "variants": tuple(Variant(steps=steps, count=n, fitness=fitness[steps]) for steps, n in commonest if steps),
            "distinct_variants": len(courses),
            "coverage": round(sum(value == 1 for value in judged) / len(cases), 6),
            "fitness": round(sum(judged) / len(cases), 6),
        }
    )
