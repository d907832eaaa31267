"""The greedy answers: score of each arm and the paired difference, flips, and what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals import stability, stats
from evals.config import EvalConfig
from evals.records import ARMS, SAMPLED, Arm, Attempt, Item
from evals.scoring import ERROR
from evals.stats import Clusters, Interval
from evals.summary.columns import Column, bounds_of
from evals.summary.index import Runs

Json = dict[str, Any]


def greedy_figures(title: str, arms: Mapping[Arm, Runs], config: EvalConfig) -> Json:
    """The headline of one task. What needs an arm that was not run is NaN."""
    items = next(iter(arms.values())).items
    clusters, level = Clusters.of([item.group for item in items]), config.confidence
    answered = {arm: [runs.greedy(item) for item in items] for arm, runs in arms.items()}
    scores = {arm: [attempt.score for attempt in rows] for arm, rows in answered.items()}
    control = [item.control for item in items]
    difference = _difference(scores, clusters, level)
    over_control = _difference(
        {"base": control, "tuned": scores["tuned"]} if "tuned" in scores else {}, clusters, level
    )
    # What is left of the difference even if every answer that only the tuned model made readable was right.
    readable = {arm: [attempt.score + (attempt.answer is None) for attempt in rows] for arm, rows in answered.items()}
    means = {arm: stats.mean_interval(scores[arm], clusters, level) for arm in scores}
    return {
        "title": title,
        **{arm: stability.mean(scores.get(arm, [])) for arm in ARMS},
        **_interval(difference),
        "n": len(items),
        "groups": clusters.count,
        "few_groups": clusters.count < stats.FEW_GROUPS,
        "intervals": {
            **{arm: bounds_of(found) for arm, found in means.items()},
            "format_only": bounds_of(stats.mean_interval(control, clusters, level)),
        },
        "format_only": {"score": stability.mean(control), **_interval(over_control)},
        "beyond_format": _interval(_difference(readable, clusters, level)),
        **_paired(scores, clusters, config),
        "invalid": {arm: _invalid(rows, level) for arm, rows in answered.items()},
        "truncated": {arm: _share(rows, "length") for arm, rows in answered.items()},
        "errors": {arm: sum(a.rule == ERROR for a in runs.all) for arm, runs in arms.items()},
        "rules": {arm: dict(Counter(a.rule for a in rows).most_common()) for arm, rows in answered.items()},
    }


def greedy_columns(arm: Runs) -> list[Column]:
    """Score, and the shares of greedy answers that were unreadable or cut off, and of all requests that failed."""
    rows = [(item.id, arm.greedy(item)) for item in arm.items]
    everything = {item.id: [run for runs in arm.by_item[item.id].values() for run in runs] for item in arm.items}
    failed = {item: sum(run.rule == ERROR for run in runs) / len(runs) for item, runs in everything.items()}
    return [
        Column("score", {item: run.score for item, run in rows}, note="greedy"),
        Column("invalid_rate", {item: float(run.answer is None) for item, run in rows}, "lower", rare=True),
        Column(
            "truncated_rate", {item: float(run.finish_reason == "length") for item, run in rows}, "lower", rare=True
        ),
        Column(
            "error_rate",
            failed,
            "lower",
            note="of all requests",
            rare=True,
            trials={item: len(runs) for item, runs in everything.items()},
        ),
    ]


def flips(arms: Mapping[Arm, Runs], config: EvalConfig) -> tuple[Json, list[Column]]:
    """Items that only one of the arms gets right: base → tuned negative and positive flips; empty with one arm.

    Of the greedy answers, and where both arms were repeated of the success rates over the repeats.
    """
    if len(arms) < 2:
        return {}, []
    items = arms["base"].items
    greedy = {
        arm: np.asarray([float(runs.greedy(item).score >= config.success_at) for item in items])
        for arm, runs in arms.items()
    }
    negative, positive = stability.correctness_flips(greedy["base"], greedy["tuned"])
    ids = [item.id for item in items]
    columns = [
        Column("negative_flips", dict(zip(ids, negative.tolist(), strict=True)), "lower", rare=True, note="greedy"),
        Column("positive_flips", dict(zip(ids, positive.tolist(), strict=True)), rare=True, note="greedy"),
    ]
    figures: Json = {"n": len(items), "NFR": float(negative.mean()), "PFR": float(positive.mean())}
    repeated = [item for item in items if all(runs.of(item, SAMPLED) for runs in arms.values())]
    if repeated:
        flips = [
            stability.sampled_flips(_right(arms["base"], item, config), _right(arms["tuned"], item, config))
            for item in repeated
        ]
        negative, positive = np.asarray(flips).T
        ids = [item.id for item in repeated]
        note = "of the repeats: right in the base times wrong in the tuned model"
        columns.append(
            Column("negative_flips/sampled", dict(zip(ids, negative.tolist(), strict=True)), "lower", note=note)
        )
        figures["sampled"] = {"n": len(repeated), "NFR": float(negative.mean()), "PFR": float(positive.mean())}
    return figures, columns


def mde(gains: Sequence[float], clusters: Clusters) -> float:
    """Minimum detectable effect at the discordance seen, with n shrunk by the design effect of the clusters."""
    discordance = stability.mean([gain**2 for gain in gains])
    return stats.minimum_detectable_effect(discordance, len(gains), stats.design_effect(gains, clusters))


def _paired(scores: Mapping[Arm, Sequence[float]], clusters: Clusters, config: EvalConfig) -> Json:
    if len(scores) < 2:
        return dict.fromkeys(("wins", "losses", "mcnemar_p", "permutation_p", "mde"))
    gains = [tuned - base for base, tuned in zip(scores["base"], scores["tuned"], strict=True)]
    wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return {
        "wins": wins,
        "losses": losses,
        "mcnemar_p": stats.mcnemar_exact(wins, losses),
        "permutation_p": stats.sign_flip_test(gains, clusters, config.bootstrap, config.seed),
        "mde": mde(gains, clusters),
    }


def _difference(scores: Mapping[Any, Sequence[float]], clusters: Clusters, level: float) -> Interval | None:
    return stats.paired_difference(scores["tuned"], scores["base"], clusters, level) if len(scores) == 2 else None


def _interval(found: Interval | None) -> Json:
    if found is None:
        return dict.fromkeys(("difference", "ci_low", "ci_high", "degrees", "newcombe_low", "newcombe_high"))
    return {
        "difference": found.estimate,
        "ci_low": found.low,
        "ci_high": found.high,
        "degrees": found.degrees,
        "newcombe_low": found.newcombe_low,
        "newcombe_high": found.newcombe_high,
    }


def _invalid(attempts: Sequence[Attempt], confidence: float) -> Json:
    events = sum(attempt.answer is None for attempt in attempts)
    low, high = stats.clopper_pearson(events, len(attempts), confidence)
    return {"rate": events / len(attempts), "ci_low": low, "ci_high": high}


def _share(attempts: Sequence[Attempt], finish_reason: str) -> float:
    return sum(attempt.finish_reason == finish_reason for attempt in attempts) / len(attempts)


def _right(runs: Runs, item: Item, config: EvalConfig) -> list[float]:
    """1 or 0 for each repeat."""
    return [float(run.score >= config.success_at) for run in runs.of(item, SAMPLED)]
