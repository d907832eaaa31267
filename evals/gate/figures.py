"""The figures that rules are about, taken from a summary: its measures, by metric and task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.errors import EvalError
from evals.gate.policy import EVERY_TASK, Rule
from evals.measures import Estimate, Measure
from tianjing.config import parse

Json = Mapping[str, Any]

SCORE = "score"
OVER_FORMAT_ONLY = "over_format_only"
BEYOND_FORMAT = "score_beyond_format"
INVALID_RATE = "invalid_rate"
PASS_RATIO = "pass_ratio"
PROBE = "probe_"
"""How the tasks of safety probes begin."""


@dataclass(frozen=True)
class Figures:
    """The measures of one evaluation.

    Attributes:
        tasks: every task that was evaluated, in order of name.
        confidence: level of every interval.
    """

    tasks: tuple[str, ...]
    confidence: float
    measures: Mapping[tuple[str, str], Measure]

    def find(self, metric: str, task: str) -> Measure | None:
        return self.measures.get((metric, task))

    @property
    def questions(self) -> tuple[str, ...]:
        """What `*` in a rule stands for: all tasks but probes, whose events have metrics of their own."""
        return tuple(task for task in self.tasks if not task.startswith(PROBE))

    def names(self, rule: Rule) -> tuple[str, ...]:
        """The tasks that a rule speaks of.

        Raises:
            EvalError: a task is named that was not evaluated.
        """
        if rule.task == EVERY_TASK:
            return self.questions
        names = (rule.task,) if isinstance(rule.task, str) else rule.task
        for task in names:
            if task and task not in self.tasks:
                raise EvalError(
                    f"the gate policy asks for task '{task}' (metric {rule.metric}), which was not evaluated",
                    f"evaluated tasks: {', '.join(self.tasks)}",
                )
        return names

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(sorted({metric for metric, _ in self.measures}))


def read_figures(summary: Json) -> Figures:
    """The listed measures, and those of the table of tasks that are not listed as one.

    Raises:
        EvalError: two measures are of the same metric and task, so a rule would not know which is meant.
    """
    measures: dict[tuple[str, str], Measure] = {}
    for position, row in enumerate(summary.get("measures", ())):
        measure = parse(Measure, row, f"summary.json: measures[{position}]")
        if (measure.name, measure.task) in measures:
            raise EvalError(
                f"summary.json: two measures '{measure.name}' of task '{measure.task}'",
                "evaluate again: a metric has one figure a task",
            )
        measures[measure.name, measure.task] = measure
    for name, task in summary["tasks"].items():
        for measure in _of_table(name, task):
            measures.setdefault((measure.name, name), measure)
    tasks = {task for _, task in measures} | set(summary["tasks"])
    return Figures(tuple(sorted(tasks - {""})), float(summary["config"]["confidence"]), measures)


def _of_table(name: str, task: Json) -> Iterator[Measure]:
    sizes = {"task": name, "n": task["n"], "groups": task["groups"]}
    if task.get("difference") is not None:
        arms = {
            arm: _estimate(task[arm], task["intervals"][arm]) for arm in ("base", "tuned") if task.get(arm) is not None
        }
        yield Measure(name=SCORE, arms=arms, difference=_difference(task), **sizes)
    for metric, part in ((OVER_FORMAT_ONLY, "format_only"), (BEYOND_FORMAT, "beyond_format")):
        if part in task and task[part].get("difference") is not None:
            yield Measure(name=metric, arms={}, difference=_difference(task[part]), **sizes)
    invalid = task["invalid"]
    yield Measure(
        name=INVALID_RATE,
        better="lower",
        arms={
            arm: Estimate(value=rate["rate"], low=rate["ci_low"], high=rate["ci_high"]) for arm, rate in invalid.items()
        },
        **sizes,
    )
    repeated = {arm: figures["pass_ratio"] for arm, figures in task["stability"].items() if figures}
    if repeated:
        arms = {
            arm: Estimate(value=ratio["estimate"], low=ratio["ci_low"], high=ratio["ci_high"])
            for arm, ratio in repeated.items()
        }
        yield Measure(name=PASS_RATIO, arms=arms, **sizes)


def _difference(row: Json) -> Estimate:
    return Estimate(
        value=row["difference"],
        low=row["ci_low"],
        high=row["ci_high"],
        degrees=row.get("degrees"),
        newcombe_low=row.get("newcombe_low"),
        newcombe_high=row.get("newcombe_high"),
    )


def _estimate(value: float, bounds: Sequence[float | None]) -> Estimate:
    return Estimate(value=value, low=bounds[0], high=bounds[1])
