"""The summary for CI: a page of Markdown for a job's summary or a merge request, and JUnit test cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.measures import Measure
from evals.report.junit import Case, Outcome, Suite
from evals.report.profile import changed, measures, spelt
from evals.report.words import change, interval, percent, points, quantity

Json = Mapping[str, Any]

SCORE = "score"
_MOST_LISTED = 20
_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|~"} | {"\n": " ", "\r": " "})


def summary_markdown(summary: Json, release: Json | None = None) -> str:
    """Headline, one line a task, and what surely changed among the measures."""
    level = round(100 * summary["config"]["confidence"])
    models = " → ".join(_plain(arm["model"]) for arm in summary["arms"].values())
    lines = ["## Evaluation", "", f"{models}; {summary['requests']:,} requests, {summary['created'][:10]}", ""]
    if release is not None:
        lines += [
            f"**{release['verdict'].upper()}**",
            "",
            *(f"- {_plain(reason)}" for reason in release["reasons"]),
            "",
        ]
    if summary["unmatched"]:
        lines += [f"**Not comparable**: {len(summary['unmatched'])} requests have an answer of one model only.", ""]
    if summary["tasks"]:
        lines += [*_task_table(summary, level), ""]
    lines += _changes(measures(summary), level)
    lines.append(f"Failed requests: {percent(summary['error_rate'])}. They and unreadable answers count as wrong.")
    return "\n".join(lines) + "\n"


def summary_suites(summary: Json) -> list[Suite]:
    """The run as test suites, one a task: a proven loss fails, what has no interval is skipped.

    The score fails where its whole interval lies below 0; another metric where it also has a p-value at or below the
    level divided by the number of the task's comparisons (Bonferroni). A run says what it measured; whether that is
    enough for a release is the gate's to say.
    """
    known = measures(summary)
    alpha = 1 - summary["config"]["confidence"]
    suites = []
    for name, task in summary["tasks"].items():
        compared = [measure for measure in known if measure.task == name and measure.difference]
        cases = [_measure_case(measure, alpha / len(compared)) for measure in compared]
        if not any(case.name == SCORE for case in cases) and task["difference"] is not None:
            cases.insert(0, _score_case(task))
        failed = {arm: count for arm, count in task["errors"].items() if count}
        told = ", ".join(f"{arm}: {count}" for arm, count in failed.items())
        cases.append(Case("requests answered", "error" if failed else "passed", f"failed requests: {told or 'none'}"))
        suites.append(Suite(name, cases))
    if summary["unmatched"]:
        told = f"{len(summary['unmatched'])} requests have an answer of one model only"
        suites.append(Suite("evaluation", [Case("arms matched", "error", told, "\n".join(summary["unmatched"][:50]))]))
    return suites


def _task_table(summary: Json, level: int) -> list[str]:
    arms = list(summary["arms"])
    compared = len(arms) > 1
    heads = ["task", "n / groups", "format only", *arms]
    heads += ["difference (points)", f"{level} % interval", "MDE"] if compared else []
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, task in summary["tasks"].items():
        cells = [_plain(name), f"{task['n']} / {task['groups']}", percent(task["format_only"]["score"])]
        cells += [percent(task[arm]) for arm in arms]
        if compared:
            cells += [f"**{points(task['difference'])}**", interval(task["ci_low"], task["ci_high"])]
            cells.append(points(task["mde"]).lstrip("+"))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _changes(known: Sequence[Measure], level: int) -> list[str]:
    compared = [measure for measure in known if changed(measure) != "none"]
    lines = []
    for word, heading in (("worse", "Worse"), ("better", "Better")):
        rows = [measure for measure in compared if changed(measure) == word]
        if rows:
            lines += [f"**{heading}**, whole {level} % interval on one side of 0:", ""]
            told = [f"- {_plain(m.name)}{f' of {_plain(m.task)}' if m.task else ''}: {_told(m)}" for m in rows]
            lines += told[:_MOST_LISTED] + [f"- and {len(rows) - _MOST_LISTED} more"] * (len(rows) > _MOST_LISTED)
            lines.append("")
    if lines:
        by_chance = len(compared) * (100 - level) / 100
        lines += [f"Of {len(compared)} comparisons about {by_chance:.0f} would be listed by chance alone.", ""]
    return lines


def _measure_case(measure: Measure, alpha: float) -> Case:
    """The score fails on its interval; other metrics, of which there are many, only beyond a corrected level."""
    change_seen = changed(measure)
    proven = measure.name == SCORE or (measure.p is not None and measure.p <= alpha)
    outcome: Outcome = "skipped" if change_seen == "none" else "passed"
    if change_seen == "worse" and proven:
        outcome = "failure"
    return Case(measure.name, outcome, _told(measure), f"{_told(measure)} {measure.note}".strip())


def _score_case(task: Json) -> Case:
    low, high = task["ci_low"], task["ci_high"]
    outcome: Outcome = "skipped" if low is None else "failure" if high < 0 else "passed"
    return Case(SCORE, outcome, f"difference {points(task['difference'])} [{interval(low, high)}] points")


def _told(measure: Measure) -> str:
    arms = " → ".join(quantity(estimate.value, measure.unit) for estimate in measure.arms.values())
    value, low, high = spelt(measure.difference)
    span = f"{change(low, measure.unit)}, {change(high, measure.unit)}"
    return f"{arms}, difference {change(value, measure.unit)} [{span}]"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return str(text).translate(_SPECIAL)
