"""From items and scored attempts to summary.json."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from evals.config import EvalConfig
from evals.measures import Estimate, Measure
from evals.records import ARMS, Arm, Attempt, Item
from evals.scoring import ERROR
from evals.summary.columns import DIGITS, Column, measure, pooled
from evals.summary.conditions import (
    Gaps,
    conditions_table,
    determinism,
    variants_profile,
    worst_prompt_measure,
)
from evals.summary.cost import cost
from evals.summary.greedy import flips, greedy_columns, greedy_figures
from evals.summary.index import Runs, index_attempts
from evals.summary.options import option_orders, options_profile, rstd_measure
from evals.summary.repeats import pass_ratio_measure, repeats_profile
from tianjing.tasks import Task

Json = dict[str, Any]
Columns = dict[str, dict[str, Column]]
"""By metric, then by arm."""


def summarise(
    items: Sequence[Item], attempts: Sequence[Attempt], config: EvalConfig, tasks: Mapping[str, Task]
) -> Json:
    """summary.json without what describes the run: per task the scores, intervals and stability of the arms.

    An evaluation may have one arm; then what compares is null. Numbers that the data cannot give are null.
    `unmatched` lists requests that only one arm has: a difference between arms that did not answer the same questions
    is not one, and the gate refuses it. `measures` lists every figure as a `Measure`, per task and over all.
    """
    index = index_attempts(items, attempts)
    by_arm: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_arm[attempt.arm].append(attempt)
    table: Json = {}
    measures: list[Measure] = []
    if not index.unmatched:
        every: dict[str, Columns] = {}
        for name, arms in index.tasks.items():
            table[name], every[name], extra = _task(tasks[name], arms, config)
            groups = {item.id: item.group for item in next(iter(arms.values())).items}
            measures += [measure(columns, groups, config, name) for columns in every[name].values()] + extra
        measures += _overall(every, {item.id: item.group for item in items}, config)
    return _plain(
        {
            "tasks": table,
            "measures": [one.model_dump(mode="json") for one in measures],
            "unmatched": list(index.unmatched),
            "requests": len(attempts),
            "tokens": {
                "prompt": sum(attempt.prompt_tokens for attempt in attempts),
                "output": sum(attempt.output_tokens for attempt in attempts),
            },
            "error_rate": sum(a.rule == ERROR for a in attempts) / len(attempts) if attempts else math.nan,
            "cost": {arm: cost(by_arm[arm]) for arm in index.arms},
        }
    )


def _task(task: Task, arms: Mapping[Arm, Runs], config: EvalConfig) -> tuple[Json, Columns, list[Measure]]:
    """Table entry, per-item columns by metric and arm, and the measures that are no mean of items."""
    columns: Columns = {}
    figures: Json = {
        **greedy_figures(task.title, arms, config),
        **{part: {} for part in ("stability", "conditions", "determinism", "options")},
    }
    orders = {arm: option_orders(runs, task) for arm, runs in arms.items()}
    calibrations: dict[Arm, Json] = {}
    gaps: dict[Arm, Gaps] = {}
    for arm, runs in arms.items():
        found = greedy_columns(runs)
        figures["stability"][arm], stable, gap = _stability(runs, config)
        figures["conditions"][arm], conditions = conditions_table(runs, config)
        figures["determinism"][arm], deterministic = determinism(runs)
        figures["options"][arm], optional = options_profile(orders[arm])
        for column in found + stable + conditions + deterministic + optional:
            columns.setdefault(column.name, {})[arm] = column
        if gap is not None:
            gaps[arm] = gap
        if figures["stability"][arm]:
            calibrations[arm] = figures["stability"][arm]["calibration"]
    for arm in ARMS:
        figures["stability"].setdefault(arm, {})
    figures["flips"], flipped = flips(arms, config)
    for column in flipped:
        columns[column.name] = {"tuned": column}
    first = next(iter(arms.values()))
    bias = rstd_measure(orders, first.items[0].task, config)
    extra = [bias] if bias is not None else []
    ratio = pass_ratio_measure(columns, {item.id: item.group for item in first.items}, first.items[0].task, config)
    extra += [ratio] if ratio is not None else []
    if gaps:
        extra.append(worst_prompt_measure(gaps, first.items[0].task, config))
    if calibrations:
        extra.append(_ece_measure(first.items, calibrations))
    return figures, columns, extra


def _stability(arm: Runs, config: EvalConfig) -> tuple[Json, list[Column], Gaps | None]:
    """Repeats at temperature T (seed noise) and greedy answers under variants (wording), over the stability items.

    `within` is the agreement of repeats, `between` that of the greedy conditions. They come from different
    temperatures, so their difference is not the wording effect alone; `wording` has that, where variants were repeated.
    """
    chosen = [item for item in arm.items if item.stability]
    if not chosen:
        return {}, [], None
    repeated, repeated_columns = repeats_profile(chosen, arm, config)
    varied, varied_columns, gaps = variants_profile(chosen, arm, config)
    figures = {"n": len(chosen), "k": config.repeats, "temperature": config.temperature, **repeated, **varied}
    return figures, repeated_columns + varied_columns, gaps


def _overall(every: Mapping[str, Columns], groups: Mapping[str, str], config: EvalConfig) -> list[Measure]:
    """Each metric over the items of all tasks that have it, clusters that span tasks taken as one."""
    collected: dict[str, dict[str, list[Column]]] = {}
    for columns in every.values():
        for name, arms in columns.items():
            for arm, column in arms.items():
                collected.setdefault(name, {}).setdefault(arm, []).append(column)
    return [
        measure({arm: pooled(columns) for arm, columns in arms.items()}, groups, config) for arms in collected.values()
    ]


def _ece_measure(items: Sequence[Item], calibrations: Mapping[Arm, Json]) -> Measure:
    """Calibration error over its null; a bootstrap of it would be biased, so it has a p-value per arm instead."""
    chosen = [item for item in items if item.stability]
    told = [f"{arm}: p {found['ece_p']:.3f}" for arm, found in calibrations.items()]
    return Measure(
        name="ece_excess",
        task=chosen[0].task,
        better="lower",
        arms={
            arm: Estimate(value=None if math.isnan(found["ece_excess"]) else round(found["ece_excess"], DIGITS))
            for arm, found in calibrations.items()
        },
        n=len(chosen),
        groups=len({item.group for item in chosen}),
        note=f"vote share of repeats, ECE minus its mean if calibrated; {'; '.join(told)}; compare by brier",
    )


def _plain(value: Any) -> Any:
    """JSON has no NaN: undefined becomes null; floats keep six digits, more would be noise."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    return value
