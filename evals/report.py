"""The report for people who decide: one HTML file without any outside resource, and a table for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals import charts
from evals.charts import Mark
from evals.records import GREEDY, Attempt, Item
from tianjing.tasks import Task

TEMPLATE = "report.html.j2"
SAMPLES = {"win": 2, "loss": 2, "tie": 1}
MAX_QUESTION_CHARS = 700

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """One item with both answers side by side."""

    outcome: str
    item: Item
    question: str
    expected: str
    base: Attempt
    tuned: Attempt


def render_report(
    summary: Json,
    items: Sequence[Item],
    attempts: Sequence[Attempt],
    tasks: Mapping[str, Task],
    release: Json | None = None,
) -> str:
    """The HTML page.

    Args:
        summary: content of summary.json.
        tasks: by name; they render the questions and the answers expected.
        release: body of a release, to show the gate's verdict and reasons on top.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evals", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(percent=percent, points=points, interval=interval, number=number)
    figures = summary["tasks"]
    return environment.get_template(TEMPLATE).render(
        summary=summary,
        tasks=figures,
        release=release,
        improved=[task["title"] for task in figures.values() if (task["ci_low"] or 0) > 0],
        worse=[task["title"] for task in figures.values() if (task["ci_high"] or 0) < 0],
        forest=_forest(figures) if figures else "",
        bars=_bars(figures) if figures else "",
        curves=[_curves(task) for task in figures.values() if task["stability"]["base"]],
        samples={name: _samples(name, tasks[name], items, attempts) for name in figures},
    )


def console_summary(summary: Json) -> Any:
    """A rich table of the headline figures, in per cent and percentage points."""
    from rich.table import Table

    level = round(100 * summary["config"]["confidence"])
    table = Table(title="Evaluation: tuned against base, same held-out items")
    table.add_column("task")
    for heading in ("n", "base", "format only", "tuned", "difference", f"{level} % interval", "pass^k", "paraphrase"):
        table.add_column(heading, justify="right")
    for name, task in summary["tasks"].items():
        tuned = task["stability"]["tuned"]
        low, high = task["ci_low"], task["ci_high"]
        colour = "green" if low is not None and low > 0 else "red" if high is not None and high < 0 else "yellow"
        table.add_row(
            name,
            str(task["n"]),
            percent(task["base"]),
            percent(task["format_only"]["score"]),
            percent(task["tuned"]),
            f"[{colour}]{points(task['difference'])}[/]",
            interval(low, high),
            f"{percent(tuned['pass^1'])} → {percent(tuned['pass^' + str(tuned['k'])])}" if tuned else "–",
            percent(tuned["paraphrase_agreement"]) if tuned else "–",
        )
    return table


def percent(value: float | None) -> str:
    """A share from 0 to 1 in per cent; – for none."""
    return "–" if value is None else f"{100 * value:.1f}%"


def points(value: float | None) -> str:
    """A difference in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """Both bounds in percentage points; – where the data gave none."""
    return "–" if low is None or high is None else f"{points(low)}, {points(high)}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with thousands separators; – for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _forest(tasks: Json) -> str:
    groups = []
    for task in tasks.values():
        control = task["format_only"]
        marks = [
            Mark("微调 − 原模型", task["difference"], task["ci_low"], task["ci_high"], "tuned"),
            Mark("微调 − 仅格式对照", control["difference"], control["ci_low"], control["ci_high"], "control"),
        ]
        groups.append((task["title"], marks))
    return charts.forest(groups, "得分差（百分点 percentage points）；线段为置信区间，整条在 0 右侧即为有把握的提高")


def _mark(label: str, value: float, bounds: Sequence[float | None], style: str) -> Mark:
    low, high = bounds
    return Mark(label, value, low, high, style)


def _bars(tasks: Json) -> str:
    groups = []
    for task in tasks.values():
        bounds = task["intervals"]
        marks = [
            _mark("原模型 base", task["base"], bounds["base"], "base"),
            _mark("仅格式对照 format-only", task["format_only"]["score"], bounds["format_only"], "control"),
            _mark("微调模型 tuned", task["tuned"], bounds["tuned"], "tuned"),
        ]
        groups.append((task["title"], marks))
    return charts.bars(groups, "各任务得分与置信区间")


def _curves(task: Json) -> str:
    lines = []
    for arm, label in (("base", "原模型 base"), ("tuned", "微调模型 tuned")):
        figures = task["stability"][arm]
        marks = [
            _mark(f"k={k}", figures[f"pass^{k}"], figures["pass_intervals"][f"pass^{k}"], arm)
            for k in range(1, figures["k"] + 1)
        ]
        lines.append((label, arm, marks))
    return charts.curves(task["title"], lines, "连续 k 次全部答对的比例 pass^k（%）")


def _samples(name: str, task: Task, items: Sequence[Item], attempts: Sequence[Attempt]) -> list[Sample]:
    """The first wins, losses and ties by item id: not picked for their looks."""
    greedy = {(a.item, a.arm): a for a in attempts if a.task == name and a.condition == GREEDY}
    left = dict(SAMPLES)
    samples = []
    for item in sorted((item for item in items if item.task == name), key=lambda item: item.id):
        base, tuned = greedy[item.id, "base"], greedy[item.id, "tuned"]
        outcome = "win" if tuned.score > base.score else "loss" if tuned.score < base.score else "tie"
        if left[outcome]:
            left[outcome] -= 1
            question = task.render(item.fields)
            if len(question) > MAX_QUESTION_CHARS:
                question = question[:MAX_QUESTION_CHARS] + "……"
            samples.append(Sample(outcome, item, question, task.target(item.reference), base, tuned))
    return sorted(samples, key=lambda sample: list(SAMPLES).index(sample.outcome))
