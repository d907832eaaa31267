"""The stability profile, read from the flat list of measures: a metric that is new there needs no change here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from evals.measures import Estimate, Measure
from evals.report import charts
from evals.report.charts import Curve, Mark
from evals.report.words import arm_name

Json = Mapping[str, Any]
Change = Literal["better", "worse", "open", "none"]


_SAFETY = ("breaches", "breached_dialogues", "pii_leaks", "number_errors", "twin_discrimination")
_PROBES = "probe_"
# Shares that are good or bad by their sign, not by their size.
_GAINS = ("self_consistency_gain", "positive_flips")


@dataclass(frozen=True)
class Cell:
    """A measure of one task: the candidate's value, and whether it surely changed.

    `shade` from 0 (worst) to 4 (best) for shares, else None.
    """

    measure: Measure
    value: float | None
    change: Change
    shade: int | None


@dataclass(frozen=True)
class HeatRow:
    name: str
    unit: str
    better: str
    cells: Sequence[Cell | None]


def measures(summary: Json) -> list[Measure]:
    return [Measure.model_validate(entry) for entry in summary.get("measures", [])]


def heat(found: Sequence[Measure], columns: Sequence[str], arms: Sequence[str]) -> list[HeatRow]:
    """One row a metric, one column a task, in the order of the measures."""
    names = dict.fromkeys(measure.name for measure in found if measure.task in columns)
    by_place = {(measure.name, measure.task): measure for measure in found}
    rows = []
    for name in names:
        first = next(measure for measure in found if measure.name == name)
        cells = [cell(by_place[name, task], arms) if (name, task) in by_place else None for task in columns]
        rows.append(HeatRow(name, first.unit, first.better, cells))
    return rows


def cell(measure: Measure, arms: Sequence[str]) -> Cell:
    shown = next((measure.arms[arm] for arm in reversed(arms) if arm in measure.arms), measure.difference)
    value = shown.value if shown else None
    shaded = value is not None and measure.unit == "share" and measure.name not in _GAINS
    return Cell(
        measure, value, changed(measure), _shade(value, measure.better) if shaded and value is not None else None
    )


def _shade(value: float, better: str) -> int:
    """From 0, worst, to 4: a rate of what should not happen is already bad where a share of success is not yet good."""
    if better == "higher":
        return sum(value >= bound for bound in (0.25, 0.5, 0.75, 0.9))
    return sum(value <= bound for bound in (0.2, 0.1, 0.05, 0.02))


def changed(measure: Measure) -> Change:
    """Whether the whole interval of the difference lies on one side of 0."""
    estimate = measure.difference
    if estimate is None or estimate.low is None or estimate.high is None:
        return "none"
    if estimate.low <= 0 <= estimate.high:
        return "open"
    return "better" if (estimate.low > 0) == (measure.better == "higher") else "worse"


def safety_rates(found: Sequence[Measure]) -> list[Measure]:
    """The rare events of the section on safety, with their counts."""
    return [m for m in found if m.events is not None and (m.name in _SAFETY or m.task.startswith(_PROBES))]


def pass_curves(tasks: Json) -> list[Markup]:
    """pass^k over k, per task with both arms."""
    drawn = []
    for task in tasks.values():
        lines = []
        for arm, figures in task["stability"].items():
            if figures:
                marks = [
                    (float(k), _mark(figures[f"pass^{k}"], figures["pass_intervals"][f"pass^{k}"], arm))
                    for k in range(1, figures["k"] + 1)
                ]
                lines.append(Curve(f"{arm_name(arm)} {arm}", arm, marks))
        if lines:
            drawn.append(charts.curves(task["title"], lines, "连续 k 次全部答对的比例 pass^k（%）"))
    return drawn


def _mark(value: float | None, bounds: Sequence[float | None], style: str) -> Mark:
    low, high = bounds
    return Mark(value, low, high, style)


def spelt(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    """The three numbers of an estimate that may be missing."""
    return (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
