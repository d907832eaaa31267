"""A metric as one number per item and arm, and what follows from that: interval, paired difference, p-value, Measure.

Repeats, wordings and batch sizes are inside each item's number, so the cluster of items is the only unit left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals import stats
from evals.config import EvalConfig
from evals.measures import Estimate, Measure
from evals.stats import Array, Clusters, Interval

SIGNED = (-1.0, 1.0)
DIGITS = 6  # as many as summary.json keeps


@dataclass(frozen=True)
class Column:
    """One metric of one arm.

    Attributes:
        name: of the metric.
        values: by item id, for the items that it is about; NaN where it was asked but is not defined.
        bounds: least and largest possible value of an item; from a negative least the metric is a difference itself.
        rare: whether it is the share of attempts with an event, to be counted too.
        trials: attempts behind the values, for a rare event.
    """

    name: str
    values: Mapping[str, float]
    better: Literal["higher", "lower"] = "higher"
    unit: str = "share"
    bounds: tuple[float, float] = (0.0, 1.0)
    note: str = ""
    rare: bool = False
    trials: Mapping[str, int] | None = None


def interval(column: Column, groups: Mapping[str, str], confidence: float) -> Interval:
    """The mean of a column with its interval; NaN throughout when an item's value is NaN."""
    clusters = Clusters.of([groups[item] for item in column.values])
    values = np.asarray(list(column.values.values()), dtype=float)
    if column.bounds[0] < 0:
        return stats.difference_interval(values, clusters, confidence, column.bounds[1])
    return stats.mean_interval(values, clusters, confidence, column.bounds)


def measure(arms: Mapping[str, Column], groups: Mapping[str, str], config: EvalConfig, task: str = "") -> Measure:
    """The Measure of one metric: every arm that has it, and tuned minus base over the items that both have.

    Args:
        groups: cluster by item id.
    """
    column = next(iter(arms.values()))
    found = {arm: interval(one, groups, config.confidence) for arm, one in arms.items()}
    difference, p = None, None
    if "base" in arms and "tuned" in arms:
        base, tuned = arms["base"].values, arms["tuned"].values
        both = [item for item in base if item in tuned]
        clusters = Clusters.of([groups[item] for item in both])
        gains: Array = np.asarray([tuned[item] - base[item] for item in both], dtype=float)
        reach = column.bounds[1] - min(0.0, column.bounds[0])
        difference = estimate(stats.difference_interval(gains, clusters, config.confidence, reach))
        p = _number(stats.sign_flip_test(gains, clusters, config.bootstrap, config.seed))
    largest = max(found.values(), key=lambda one: one.n)
    undefined = {arm: sum(map(math.isnan, one.values.values())) for arm, one in arms.items()}
    notes = [column.note, *(f"{arm}: undefined for {count} items" for arm, count in undefined.items() if count)]
    if 1 < largest.groups < stats.FEW_GROUPS:
        notes.append(f"only {largest.groups} groups: the interval is wide")
    counts = {arm: _counts(one) for arm, one in arms.items() if one.rare}
    return Measure(
        name=column.name,
        task=task,
        better=column.better,
        unit=column.unit,
        arms={arm: estimate(one) for arm, one in found.items()},
        difference=difference,
        p=p,
        n=largest.n,
        groups=largest.groups,
        events={arm: events for arm, (events, _) in counts.items()} or None,
        trials={arm: trials for arm, (_, trials) in counts.items()} or None,
        note="; ".join(filter(None, notes)),
    )


def estimate(found: Interval) -> Estimate:
    return Estimate(
        value=_number(found.estimate),
        low=_number(found.low),
        high=_number(found.high),
        degrees=_number(found.degrees),
        newcombe_low=_number(found.newcombe_low),
        newcombe_high=_number(found.newcombe_high),
    )


def pooled(columns: Sequence[Column]) -> Column:
    """One column over the items of several tasks."""
    first = columns[0]
    values = {item: value for column in columns for item, value in column.values.items()}
    trials = {item: count for column in columns for item, count in (column.trials or {}).items()}
    return Column(
        first.name, values, first.better, first.unit, first.bounds, "items of all tasks", first.rare, trials or None
    )


def bounds_of(found: Interval) -> list[float]:
    return [found.low, found.high]


def _counts(column: Column) -> tuple[int, int]:
    trials = column.trials or dict.fromkeys(column.values, 1)
    return round(sum(value * trials[item] for item, value in column.values.items())), sum(trials.values())


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
