"""The report for people who decide: one HTML file without any outside resource and without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.records import Attempt, Item
from evals.report import breakdown, cost, details, headline, profile, words
from evals.report.annexes import Annexes
from evals.report.cards import Cards, CardSet
from tianjing.tasks import Task

TEMPLATE = "page.html.j2"

Json = Mapping[str, Any]

_FILTERS = {
    name: getattr(words, name)
    for name in (
        "percent", "points", "interval", "number", "p_value", "quantity", "change",
        "arm_name", "condition_name", "measure_name",
    )
}  # fmt: skip


def render_report(
    summary: Json,
    items: Sequence[Item],
    attempts: Sequence[Attempt],
    tasks: Mapping[str, Task],
    release: Json | None = None,
    annexes: Annexes | None = None,
) -> str:
    """The HTML page. Sections appear as far as their data are there; a run of one arm has no differences.

    Args:
        summary: content of summary.json.
        tasks: by name; they render the questions and the answers expected.
        release: body of a release, to show the gate's verdict and reasons on top.
        annexes: what other checks say of the same models, each a section.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evals.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(_FILTERS)
    environment.tests["startswith"] = str.startswith
    figures, arms = summary["tasks"], list(summary["arms"])
    level = round(100 * summary["config"]["confidence"])
    success_at = summary["config"]["success_at"]
    measures = profile.measures(summary)
    columns = [*figures, *dict.fromkeys(m.task for m in measures if m.task not in figures)]
    cards = Cards(items, attempts, tasks, arms, success_at)
    compared = len(arms) > 1
    flips = cards.between_arms() if compared else cards.failures()
    flips.append(cards.answer_flips())
    return environment.get_template(TEMPLATE).render(
        summary=summary,
        config=summary["config"],
        level=level,
        tasks=figures,
        arms=arms,
        compared=compared,
        release=release,
        safety=summary.get("safety"),
        rates=profile.safety_rates(measures),
        parity=annexes.parity if annexes else None,
        judgements=annexes.judgements if annexes else (),
        improved=[task["title"] for task in figures.values() if compared and (task["ci_low"] or 0) > 0],
        worse=[task["title"] for task in figures.values() if compared and (task["ci_high"] or 0) < 0],
        limits=headline.limits(summary, items, attempts),
        forest=headline.forest(figures),
        scores=headline.scores(figures, arms, level),
        curves=profile.pass_curves(figures),
        conditions=details.condition_plots(figures, arms),
        details=details.tables(figures, arms),
        calibration=details.calibration_plots(figures, arms),
        columns=columns,
        titles={column: figures[column]["title"] if column in figures else column or "全部" for column in columns},
        measures=measures,
        heat=profile.heat(measures, columns, arms),
        changed=profile.changed,
        comparisons=sum(profile.changed(measure) != "none" for measure in measures),
        card_sets=[found for found in flips if found.total],
        filters=_filters(flips, list(figures)),
        kinds=breakdown.by_kind(items, attempts),
        by_rule=breakdown.by_rule(attempts, success_at),
        errors=breakdown.errors(attempts),
        failed={arm: found["failed"] for arm, found in summary.get("performance", {}).items()},
        truncated=breakdown.truncated(attempts),
        costs=cost.cost_table(summary, arms),
        latency=cost.latency_plot(attempts),
    )


def _filters(card_sets: Sequence[CardSet], order: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """A CSS class for each task and condition among the cards: their names may hold any character."""
    cards = [card for found in card_sets for card in found.cards]
    # Where the arms do not match there is no table of tasks, but there are answers.
    tasks = sorted({card.task for card in cards}, key=lambda task: (order.index(task) if task in order else -1, task))
    conditions = sorted({card.condition for card in cards}, key=words.condition_order)
    return {
        "task": {name: f"t{index}" for index, name in enumerate(tasks)},
        "condition": {name: f"c{index}" for index, name in enumerate(conditions)},
    }
