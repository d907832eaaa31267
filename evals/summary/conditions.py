"""What the ways of asking say: accuracy and flips per condition, worst case, wording effect, batch determinism."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals import stability, stats
from evals.config import EvalConfig
from evals.measures import Measure
from evals.records import CONCURRENT, GREEDY, OF_SAMPLED, SAMPLED, Arm, Item
from evals.scoring import ERROR
from evals.stats import Array, Clusters
from evals.summary.columns import SIGNED, Column, bounds_of, estimate, interval
from evals.summary.index import Runs, is_repeated, is_variant

Json = dict[str, Any]


@dataclass(frozen=True)
class Gaps:
    """Cross-fitted loss under the worst condition of one arm (`stability.crossfit_gaps`), and what to say of it."""

    folds: Array
    clusters: Clusters
    note: str
    told: str


def conditions_table(arm: Runs, config: EvalConfig) -> tuple[Json, list[Column]]:
    """Per condition: items, runs, mean score with interval, and against the unchanged item flips and drop rate."""
    table: Json = {}
    columns = []
    groups = {item.id: item.group for item in arm.items}
    for name in arm.conditions:
        asked = [item for item in arm.items if arm.of(item, name)]
        scores = {item.id: stability.mean([run.score for run in arm.of(item, name)]) for item in asked}
        found = interval(Column(name, scores), groups, config.confidence)
        row: Json = {
            "n": len(asked),
            "runs": sum(len(arm.of(item, name)) for item in asked),
            "score": found.estimate,
            "interval": bounds_of(found),
        }
        original = SAMPLED if is_repeated(name) else GREEDY
        flips = {} if name in (GREEDY, SAMPLED) else _flips(asked, arm, name, original)
        if flips:
            changed = Column(f"flip_rate/{name}", flips, "lower")
            rate = interval(changed, groups, config.confidence)
            row |= {"flips": rate.estimate, "flips_interval": bounds_of(rate)}
            if is_variant(name):
                columns.append(changed)
        if name != original and not name.startswith(CONCURRENT):
            before = [stability.mean([run.score for run in arm.of(item, original)]) for item in asked]
            clusters = [item.group for item in asked]
            drop = stability.performance_drop_rate(
                list(scores.values()), before, clusters, config.bootstrap, config.seed, config.confidence
            )
            row["drop_rate"] = {"estimate": drop.estimate, "ci_low": drop.low, "ci_high": drop.high}
        table[name] = row
    return table, columns


def variants_profile(chosen: Sequence[Item], arm: Runs, config: EvalConfig) -> tuple[Json, list[Column], Gaps | None]:
    """Flips over all variants, agreement across them, and how much of that the wording explains."""
    worded = {}
    for item in chosen:
        names = [name for name in sorted(arm.by_item[item.id]) if is_variant(name)]
        if names:
            worded[item.id] = [arm.greedy(item).answer, *(arm.of(item, name)[0].answer for name in names)]
    flips = {item: stability.flip_rate(row) for item, row in worded.items()}
    between = [stability.within_between([[answer] for answer in row])[1] for row in worded.values()]
    figures: Json = {
        "between": stability.mean(between),
        "paraphrase_agreement": 1 - stability.mean(list(flips.values())),
        "paraphrase_items": len(worded),
    }
    columns = [Column("flip_rate", flips, "lower", note="greedy, all variants")] if flips else []
    effect, effect_columns = _wording_effect(chosen, arm)
    spread, spread_columns, gaps = _spread(chosen, arm, config)
    return {**figures, **effect, **spread}, columns + effect_columns + spread_columns, gaps


def worst_prompt_measure(gaps: Mapping[Arm, Gaps], task: str, config: EvalConfig) -> Measure:
    """What the worst condition costs, chosen on other items than it is scored on: 0 without an effect."""
    first = next(iter(gaps.values()))
    found = {arm: stability.crossfit_interval(one.folds, one.clusters, config.confidence) for arm, one in gaps.items()}
    difference = None
    if len(gaps) == 2:
        change = gaps["tuned"].folds - gaps["base"].folds
        difference = estimate(stability.crossfit_interval(change, first.clusters, config.confidence))
    told = [f"{arm}: {one.told}" for arm, one in gaps.items()]
    return Measure(
        name="worst_prompt_gap",
        task=task,
        better="lower",
        arms={arm: estimate(one) for arm, one in found.items()},
        difference=difference,
        n=len(first.clusters.index),
        groups=first.clusters.count,
        note="; ".join([first.note, *told]),
    )


def determinism(arm: Runs) -> tuple[Json, list[Column]]:
    """Whether the greedy answer depends on how many requests are in flight; empty where that was not asked."""
    names = [name for name in arm.conditions if name.startswith(CONCURRENT)]
    names.sort(key=lambda name: (len(name), name))
    asked = [item for item in arm.items if all(arm.of(item, name) for name in names)] if len(names) > 1 else []
    if not asked:
        return {}, []
    texts, answers, positions = {}, {}, []
    for item in asked:
        runs = {name: arm.of(item, name)[0] for name in names}
        outputs = {name: None if run.rule == ERROR else run.output for name, run in runs.items()}
        texts[item.id] = stability.batch_determinism(outputs)
        answers[item.id] = stability.batch_determinism({name: run.answer for name, run in runs.items()})
        first = outputs[names[0]]
        found = [
            stability.first_divergence(first, other)
            for other in outputs.values()
            if first is not None and other is not None
        ]
        positions += sorted(position for position in found if position is not None)[:1]
    sizes = [int(name.removeprefix(CONCURRENT)) for name in names]
    figures = {
        "n": len(asked),
        "concurrency": sizes,
        "BDR": stability.mean(list(texts.values())),
        "BDRa": stability.mean(list(answers.values())),
        "diverged": len(positions),
        "first_divergence_characters": statistics.median(positions) if positions else None,
    }
    note = f"greedy text the same at {', '.join(str(size) for size in sizes)} in flight"
    columns = [
        Column("batch_determinism", texts, note=note),
        Column("batch_determinism_answers", answers, note="as batch_determinism, of the answers read"),
    ]
    return figures, columns


def _flips(asked: Sequence[Item], arm: Runs, name: str, original: str) -> dict[str, float]:
    """Per item: 1 where the greedy answer differs from the original's; of repeats 1 − B."""
    found = {}
    for item in asked:
        before, after = arm.of(item, original), arm.of(item, name)
        if not before:
            continue
        if is_repeated(name):
            pair = [[run.answer for run in runs] for runs in (before, after)]
            found[item.id] = 1 - stability.within_between(pair)[1]
        else:
            found[item.id] = stability.flip_rate([before[0].answer, after[0].answer])
    return found


def _wording_effect(chosen: Sequence[Item], arm: Runs) -> tuple[Json, list[Column]]:
    """W − B over repeats of the item and of its variants: the effect of wording without seed noise."""
    effects, within, between, most = {}, [], [], 0
    for item in chosen:
        names = [name for name in sorted(arm.by_item[item.id]) if name.endswith(OF_SAMPLED)]
        if not names:
            continue
        runs = [[run.answer for run in arm.of(item, name)] for name in (SAMPLED, *names)]
        w, b = stability.within_between(runs)
        effects[item.id] = w - b
        within.append(w)
        between.append(b)
        most = max(most, len(runs))
    if not effects:
        return {}, []
    figures = {
        "wording": {
            "n": len(effects),
            "conditions": most,
            "W": stability.mean(within),
            "B": stability.mean(between),
            "W-B": stability.mean(list(effects.values())),
        }
    }
    note = f"W − B over up to {most} conditions, each repeated"
    return figures, [Column("wording_effect", effects, "lower", bounds=SIGNED, note=note)]


def _spread(chosen: Sequence[Item], arm: Runs, config: EvalConfig) -> tuple[Json, list[Column], Gaps | None]:
    """Worst case and range over one fixed set of conditions: the item itself and its common variants.

    The set V holds the variants that at least half of the items have; the figures are over the items that have all of
    V. A worst case depends on how many conditions there are, so V is named.
    """
    had = Counter(name for item in chosen for name in arm.by_item[item.id] if is_variant(name))
    names = [GREEDY, *sorted(name for name, count in had.items() if 2 * count >= len(chosen))]
    asked = [item for item in chosen if all(arm.of(item, name) for name in names)]
    if len(names) < 2 or not asked:
        return {}, [], None
    scores = np.asarray([[arm.of(item, name)[0].score for name in names] for item in asked])
    success = (scores >= config.success_at).astype(float)
    clusters = Clusters.of([item.group for item in asked])
    all_right = stability.all_conditions_success(success)
    worst = stability.worst_prompt(scores, clusters, seed=config.seed)
    means = stability.prompt_spread(scores.mean(axis=0).tolist())
    found = stats.mean_interval(all_right, clusters, config.confidence)
    figures = {
        "spread": {
            "n": len(asked),
            "conditions": names,
            "worst_case": stability.mean(stability.instance_worst_case(scores).tolist()),
            "all_conditions_success": found.estimate,
            "all_conditions_interval": bounds_of(found),
            "worst_prompt": worst.worst,
            "worst_prompt_null": worst.null_worst,
            "worst_prompt_p": worst.p_worst,
            "worst_prompt_crossfit": worst.crossfit_worst,
            "range": worst.range,
            "range_null": worst.null_range,
            "range_p": worst.p_range,
            "range_crossfit": worst.crossfit_range,
            "AvgP": means.average,
            "MaxP": means.maximum,
            "Sat": means.saturation,
            "CPS": means.combined,
        }
    }
    ids = [item.id for item in asked]
    columns = [
        Column(
            "all_conditions_success",
            dict(zip(ids, all_right.tolist(), strict=True)),
            note=f"right under all of {len(names)} conditions",
        ),
    ]
    gaps = Gaps(
        stability.crossfit_gaps(scores, clusters, config.seed),
        clusters,
        f"mean minus worst of {len(names)} conditions, chosen on other items",
        f"worst {worst.worst:.3f}, by chance alone {worst.null_worst:.3f}, p {worst.p_worst:.3f}",
    )
    return figures, columns, gaps
