"""From assumptions or an earlier evaluation to the tables of `tianjing eval plan`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.power import Design, Load, Row, detectable, items_for_margin, items_needed, table
from evals.records import SAMPLED, Attempt, Item
from evals.stats import Clusters, design_effect
from evals.summary.index import Runs, index_attempts
from tianjing.files import read_jsonl

Number = TypeVar("Number", int, float)

FILES = ("items.jsonl", "attempts.jsonl")


@dataclass(frozen=True)
class Pilot:
    """One task of an earlier evaluation.

    Attributes:
        design: as measured; a discordance of 0 of n items is taken as the 1.5 in n that it leaves likely.
        load: requests per item, and latency.
        source: where that is from, in words.
    """

    design: Design
    load: Load
    source: str


def read_pilot(evals: Path, concurrency: int) -> dict[str, Pilot]:
    """Each task of the evaluation in `evals`.

    Raises:
        EvalError: the folder is no evaluation of two arms.
    """
    for name in FILES:
        if not (evals / name).is_file():
            raise EvalError(f"{evals / name}: missing", "--pilot takes the folder that 'tianjing eval run' wrote")
    items = list(read_jsonl(evals / "items.jsonl", Item))
    attempts = list(read_jsonl(evals / "attempts.jsonl", Attempt))
    index = index_attempts(items, attempts)
    if len(index.arms) < 2 or index.unmatched:
        raise EvalError(
            f"{evals}: not the same requests answered by two models", "a pilot compares a base with a tuned model"
        )
    latencies = [attempt.latency_s for attempt in attempts if attempt.error is None]
    latency = statistics.fmean(latencies) if latencies else None
    return {
        task: _pilot(arms["base"], arms["tuned"], latency, concurrency, len(index.tasks))
        for task, arms in index.tasks.items()
    }


def _pilot(base: Runs, tuned: Runs, latency_s: float | None, concurrency: int, tasks: int) -> Pilot:
    items = base.items
    gains = np.asarray([tuned.greedy(item).score - base.greedy(item).score for item in items])
    clusters = Clusters.of([item.group for item in items])
    size = clusters.count and len(items) / clusters.effective
    effect = design_effect(gains, clusters)
    repeated = [item for item in items if min(len(base.of(item, SAMPLED)), len(tuned.of(item, SAMPLED))) > 1]
    noise = [
        statistics.variance(run.score for run in arm.of(item, SAMPLED)) for item in repeated for arm in (base, tuned)
    ]
    discordance = float(np.mean(gains**2)) or min(1.0, 1.5 / len(items))
    stable = [item for item in items if item.stability]
    others = [item for item in items if not item.stability]
    asked = {item.id: sum(map(len, base.by_item[item.id].values())) for item in items}
    plain = statistics.fmean(asked[item.id] for item in others) if others else 1.0
    return Pilot(
        Design(
            discordance=discordance,
            within=min(discordance, 2 * statistics.fmean(noise)) if noise else 0.0,
            icc=min(1.0, (effect - 1) / (size - 1)) if size > 1 else 0.0,
            cluster_size=size,
        ),
        Load(
            per_item=plain,
            per_stability_item=statistics.fmean(asked[item.id] for item in stable) - plain if stable else 0.0,
            stability_items=len(stable),
            tasks=tasks,
            latency_s=latency_s,
            concurrency=concurrency,
        ),
        f"measured on {len(items)} items, the noise within items on {len(repeated)}",
    )


def assumed(
    discordance: float,
    within: float,
    icc: float,
    cluster_size: float,
    config: EvalConfig,
    variants: int,
    tasks: int,
) -> dict[str, Pilot]:
    """The same without an earlier evaluation."""
    load = Load(
        per_stability_item=config.repeats + variants,
        stability_items=config.stability_items,
        tasks=tasks,
        concurrency=config.concurrency,
    )
    return {"any task": Pilot(Design(discordance, within, icc, cluster_size), load, "assumed")}


def console_tables(
    known: Mapping[str, Pilot],
    items: Sequence[int],
    differences: Sequence[float],
    margin: float,
    repeats: int,
    config: EvalConfig,
) -> Iterator[tuple[str, Any, str]]:
    """For each task a title, a rich table of items by difference by power, and what it takes to get 80 %.

    Raises:
        EvalError: a difference exceeds the discordance of every task.
    """
    for task, pilot in known.items():
        design = replace(pilot.design, repeats=repeats)
        possible = [one for one in differences if abs(one) <= design.discordance]
        rows = table(design, items, possible, margin, pilot.load, config.confidence, seed=config.seed)
        yield _title(task, design, pilot.source), _rich(rows, possible, margin), _note(design, possible, margin, config)


def numbers(text: str, option: str, kind: Callable[[str], Number]) -> list[Number]:
    """Numbers above 0 separated by commas.

    Raises:
        EvalError: one of them is none.
    """
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) <= 0:
        raise EvalError(f"{option} {text}: not numbers above 0", f"separate them by commas: {option} 50,100")
    return found


def _title(task: str, design: Design, source: str) -> str:
    return (
        f"[bold]{task}[/]: {source}; discordance {design.discordance:.3f}, of which noise within items "
        f"{design.within:.3f}; intra-cluster correlation {design.icc:.2f} at {design.cluster_size:.2f} items a cluster"
        + (f"; {design.repeats} runs an item" if design.repeats > 1 else "")
    )


def _rich(rows: Sequence[Row], differences: Sequence[float], margin: float) -> Any:
    from rich.table import Table

    shown = Table(title="Chance to show the difference (at least 80 % in green)")
    for heading in ("items", "clusters", *(f"+{100 * one:g} pt" for one in differences)):
        shown.add_column(heading, justify="right")
    for heading in (f"no loss > {100 * margin:g} pt", "detectable", "requests", "time"):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(
            str(row.items),
            str(row.clusters),
            *map(_chance, (*row.power, row.no_loss)),
            "–" if math.isnan(row.detectable) else f"{100 * row.detectable:.1f} pt",
            f"{row.requests:,}",
            "–" if row.seconds is None else _duration(row.seconds),
        )
    return shown


def _note(design: Design, differences: Sequence[float], margin: float, config: EvalConfig) -> str:
    alpha = 1 - config.confidence
    needs = [f"+{100 * one:g} pt {items_needed(design, one, alpha=alpha):,}" for one in differences]
    if margin > 0:
        needs.append(f"no loss > {100 * margin:g} pt {items_for_margin(design, margin, alpha=alpha):,}")
    repeated = replace(design, repeats=config.repeats)
    gains = [detectable(one, 200, alpha=alpha) for one in (design, repeated)]
    text = f"items for 80 %: {', '.join(needs)}"
    if design.within and design.repeats == 1 and not any(map(math.isnan, gains)):
        text += (
            f"; with {config.repeats} runs an item 200 items would show "
            f"{100 * gains[1]:.1f} instead of {100 * gains[0]:.1f} pt"
        )
    return text


def _chance(share: float) -> str:
    return f"[{'green' if share >= 0.8 else 'yellow' if share >= 0.5 else 'red'}]{100 * share:.0f}%[/]"


def _duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
