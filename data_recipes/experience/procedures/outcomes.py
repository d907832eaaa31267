"""Steps whose cases come out better or worse than the cases without them: an association, not a cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from data_recipes.experience.procedures.cases import Case
from data_recipes.experience.statistics import RiskDifference, Table, benjamini_hochberg, mantel_haenszel
from tianjing.records import Outcome, StepOutcome

Tested = tuple[str, str, int, int, float, float, RiskDifference]


def separating_steps(
    tasks: Mapping[str, tuple[Sequence[Case], Iterable[str]]],
    outcomes: Iterable[Outcome],
    strata: tuple[str, ...],
    min_group_cases: int,
) -> dict[str, tuple[StepOutcome, ...]]:
    """Per task every step against every outcome of two values, within strata; Benjamini-Hochberg over all tests.

    A step that all cases have, or none, is not tested; nor is an outcome that is the same in all cases of the task, or
    that has values other than 0 and 1. A step may also follow from the outcome, as a promise is logged once given.

    Args:
        tasks: of each task its cases and its steps.
    """
    results: dict[str, dict[str, bool]] = defaultdict(dict)
    scales: set[str] = set()
    for outcome in outcomes:
        results[outcome.name][outcome.case] = outcome.value > 0
        if outcome.value not in (0, 1):
            scales.add(outcome.name)
    tested: list[tuple[str, Tested]] = []
    for task, (cases, steps) in tasks.items():
        for name in sorted(results.keys() - scales):
            known = [case for case in cases if case.id in results[name]]
            if len({results[name][case.id] for case in known}) == 2:
                tested += [(task, one) for step in sorted(steps) if (one := _test(step, name, known, results[name]))]
    adjusted = benjamini_hochberg([one[-1].p for _, one in tested])
    found: dict[str, list[StepOutcome]] = defaultdict(list)
    for (task, (step, name, having, lacking, rate_with, rate_without, effect)), q in zip(tested, adjusted, strict=True):
        found[task].append(
            StepOutcome(
                step=step,
                outcome=name,
                cases_with=having,
                cases_without=lacking,
                rate_with=round(rate_with, 6),
                rate_without=round(rate_without, 6),
                difference=round(effect.difference, 6),
                ci_low=round(effect.ci_low, 6),
                ci_high=round(effect.ci_high, 6),
                p=float(f"{effect.p:.6g}"),
                q=float(f"{q:.6g}"),
                strata=strata,
                exploratory=min(having, lacking) < min_group_cases,
            )
        )
    return {
        task: tuple(sorted(rows, key=lambda row: (row.outcome, -abs(row.difference), row.step)))
        for task, rows in found.items()
    }


def _test(step: str, outcome: str, cases: Sequence[Case], good: Mapping[str, bool]) -> Tested | None:
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for case in cases:
        having = any(one.activity == step for one in case.steps)
        counts[case.stratum][(0 if having else 2) + (0 if good[case.id] else 1)] += 1
    a, b, c, d = (sum(row[place] for row in counts.values()) for place in range(4))
    effect = mantel_haenszel([Table(*counts[stratum]) for stratum in sorted(counts)])
    if effect is None:
        return None
    return step, outcome, a + b, c + d, a / (a + b), c / (c + d), effect
