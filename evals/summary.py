"""The figures of an evaluation, computed from its items and scored attempts alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals import stability, stats
from evals.config import EvalConfig
from evals.records import ARMS, GREEDY, SAMPLED, Attempt, Item
from evals.scoring import ERROR
from tianjing.tasks import Task

Json = dict[str, Any]


@dataclass(frozen=True)
class _TaskRuns:
    """The attempts of one task and arm: by item, then by condition, in order of repeat."""

    runs: Mapping[str, Mapping[str, Sequence[Attempt]]]

    def greedy(self, item: Item) -> Attempt:
        return self.runs[item.id][GREEDY][0]

    def all(self) -> list[Attempt]:
        return [attempt for conditions in self.runs.values() for runs in conditions.values() for attempt in runs]


def summarise(
    items: Sequence[Item], attempts: Sequence[Attempt], config: EvalConfig, tasks: Mapping[str, Task]
) -> Json:
    """summary.json without what describes the run: per task the scores, intervals and stability of both arms.

    Numbers that the data cannot give are null. `unmatched` lists requests that only one arm has: a difference
    between arms that did not answer the same questions is not one, and the gate refuses it.
    """
    by_task: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_task[item.task].append(item)
    unmatched = _unmatched(items, attempts)
    figures = (
        {}
        if unmatched
        else {name: _task(tasks[name].title, name, rows, attempts, config) for name, rows in by_task.items()}
    )
    return _plain(
        {
            "tasks": figures,
            "unmatched": unmatched,
            "requests": len(attempts),
            "tokens": {
                "prompt": sum(attempt.prompt_tokens for attempt in attempts),
                "output": sum(attempt.output_tokens for attempt in attempts),
            },
            "error_rate": _rate(attempts, lambda a: a.rule == ERROR),
            "cost": {arm: _cost([a for a in attempts if a.arm == arm]) for arm in ARMS},
        }
    )


def _task(title: str, name: str, items: Sequence[Item], attempts: Sequence[Attempt], config: EvalConfig) -> Json:
    arms = {arm: _runs(name, arm, attempts) for arm in ARMS}
    groups = [item.group for item in items]
    scores = {arm: [arms[arm].greedy(item).score for item in items] for arm in ARMS}
    control = [item.control for item in items]
    level = config.confidence
    difference = stats.paired_difference(scores["tuned"], scores["base"], groups, level)
    over_control = stats.paired_difference(scores["tuned"], control, groups, level)
    beyond_format = stats.paired_difference(
        [
            score + (arms["tuned"].greedy(item).answer is None)
            for score, item in zip(scores["tuned"], items, strict=True)
        ],
        [score + (arms["base"].greedy(item).answer is None) for score, item in zip(scores["base"], items, strict=True)],
        groups,
        level,
    )
    pairs = list(zip(scores["base"], scores["tuned"], strict=True))
    wins = sum(tuned > base for base, tuned in pairs)
    losses = sum(tuned < base for base, tuned in pairs)
    answered = {arm: [arms[arm].greedy(item) for item in items] for arm in ARMS}
    return {
        "title": title,
        "base": stability.mean(scores["base"]),
        "tuned": stability.mean(scores["tuned"]),
        "difference": difference.estimate,
        "ci_low": difference.low,
        "ci_high": difference.high,
        "n": len(items),
        "groups": difference.groups,
        "few_groups": difference.few_groups,
        "intervals": {
            **{arm: _bounds(stats.mean_interval(scores[arm], groups, level)) for arm in ARMS},
            "format_only": _bounds(stats.mean_interval(control, groups, level)),
        },
        "format_only": {
            "score": stability.mean(control),
            "difference": over_control.estimate,
            "ci_low": over_control.low,
            "ci_high": over_control.high,
        },
        # What is left of the difference even if every answer that only the tuned model made readable was right.
        "beyond_format": {
            "difference": beyond_format.estimate,
            "ci_low": beyond_format.low,
            "ci_high": beyond_format.high,
        },
        "wins": wins,
        "losses": losses,
        "mcnemar_p": stats.mcnemar_exact(wins, losses),
        "mde": _mde(pairs, difference),
        "invalid": {arm: _invalid(answered[arm], level) for arm in ARMS},
        "truncated": {arm: _rate(answered[arm], lambda a: a.finish_reason == "length") for arm in ARMS},
        "errors": {arm: sum(a.rule == ERROR for a in arms[arm].all()) for arm in ARMS},
        "rules": {arm: dict(Counter(a.rule for a in answered[arm]).most_common()) for arm in ARMS},
        "stability": {arm: _stability(items, arms[arm], config) for arm in ARMS},
    }


def _stability(items: Sequence[Item], arm: _TaskRuns, config: EvalConfig) -> Json:
    """Repeats at temperature T (seed noise) and greedy answers under paraphrase (wording), over stability items.

    `within` is the agreement of repeats, `between` that of the greedy conditions. They come from different
    temperatures, so their difference is not the wording effect alone.
    """
    chosen = [item for item in items if item.stability]
    if not chosen:
        return {}
    return {
        "n": len(chosen),
        "k": config.repeats,
        "temperature": config.temperature,
        **_repeated(chosen, arm, config),
        **_agreement(chosen, arm, config),
    }


def _repeated(chosen: Sequence[Item], arm: _TaskRuns, config: EvalConfig) -> Json:
    """pass^k for each k up to the number of repeats, and how much of pass^1 the last keeps."""
    repeats = [arm.runs[item.id][SAMPLED] for item in chosen]
    correct = [sum(attempt.score >= config.success_at for attempt in runs) for runs in repeats]
    ks = range(1, config.repeats + 1)
    per_item = {k: [stability.pass_hat_k(c, config.repeats, k) for c in correct] for k in ks}
    groups = [item.group for item in chosen]
    ratio = stats.cluster_bootstrap(
        stats.ratio_of_means,
        [per_item[config.repeats], per_item[1]],
        groups,
        config.bootstrap,
        config.seed,
        config.confidence,
    )
    means = {k: stability.mean(per_item[k]) for k in ks}
    return {
        **{f"pass^{k}": means[k] for k in ks},
        "pass_intervals": {
            f"pass^{k}": _bounds(stats.mean_interval(per_item[k], groups, config.confidence)) for k in ks
        },
        "pass_ratio": {"estimate": ratio.estimate, "ci_low": ratio.low, "ci_high": ratio.high},
        "reliability_gap": means[1] - means[config.repeats],
    }


def _agreement(chosen: Sequence[Item], arm: _TaskRuns, config: EvalConfig) -> Json:
    """How often repeats, and wordings of one question, get the same answer."""
    answers = [[attempt.answer for attempt in arm.runs[item.id][SAMPLED]] for item in chosen]
    # First the base wording, then each paraphrase this item has.
    worded = [
        [arm.greedy(item).answer]
        + [runs[0].answer for name, runs in sorted(arm.runs[item.id].items()) if name not in (GREEDY, SAMPLED)]
        for item in chosen
    ]
    worded = [row for row in worded if len(row) > 1]
    ks = range(2, config.repeats + 1)
    return {
        "agreement": stability.mean([stability.pairwise_agreement(row) for row in answers]),
        **{f"TAR@{k}": stability.mean([stability.tar_at_k(row, k) for row in answers]) for k in ks},
        "within": stability.mean([stability.within_between([row])[0] for row in answers]),
        "between": stability.mean([stability.within_between([[a] for a in row])[1] for row in worded]),
        "paraphrase_agreement": 1 - stability.mean([stability.flip_rate(row) for row in worded]),
        "paraphrase_items": len(worded),
    }


def _runs(task: str, arm: str, attempts: Sequence[Attempt]) -> _TaskRuns:
    runs: dict[str, dict[str, list[Attempt]]] = defaultdict(lambda: defaultdict(list))
    for attempt in attempts:
        if attempt.task == task and attempt.arm == arm:
            runs[attempt.item][attempt.condition].append(attempt)
    for conditions in runs.values():
        for row in conditions.values():
            row.sort(key=lambda attempt: attempt.repeat)
    return _TaskRuns(runs)


def _unmatched(items: Sequence[Item], attempts: Sequence[Attempt]) -> list[str]:
    """Requests that are not there for both arms, among all that either arm answered or that accuracy needs."""
    asked = {arm: {(a.task, a.item, a.condition, a.repeat) for a in attempts if a.arm == arm} for arm in ARMS}
    needed = {(item.task, item.id, GREEDY, 0) for item in items}
    missing = (needed | asked["base"] | asked["tuned"]) - (asked["base"] & asked["tuned"])
    return sorted("/".join(map(str, request)) for request in missing)


def _mde(pairs: Sequence[tuple[float, float]], difference: stats.Interval) -> float:
    """Minimum detectable effect at this discordance, with n shrunk by the design effect of the clusters."""
    n = len(pairs)
    squares = [(tuned - base) ** 2 for base, tuned in pairs]
    discordance = sum(squares) / n
    independent = (discordance - difference.estimate**2) / max(n - 1, 1)
    effect = max(1.0, difference.se**2 / independent) if independent > 0 and difference.se > 0 else 1.0
    return stats.minimum_detectable_effect(discordance, n, effect)


def _invalid(attempts: Sequence[Attempt], confidence: float) -> Json:
    events = sum(attempt.answer is None for attempt in attempts)
    low, high = stats.clopper_pearson(events, len(attempts), confidence)
    return {"rate": events / len(attempts), "ci_low": low, "ci_high": high}


def _cost(attempts: Sequence[Attempt]) -> Json:
    """What an arm took: requests, tokens, and latency percentiles of the requests that were answered."""
    latencies = sorted(attempt.latency_s for attempt in attempts if attempt.rule != ERROR)
    return {
        "requests": len(attempts),
        "prompt_tokens": sum(attempt.prompt_tokens for attempt in attempts),
        "output_tokens": sum(attempt.output_tokens for attempt in attempts),
        "latency_p50_s": _percentile(latencies, 0.5),
        "latency_p95_s": _percentile(latencies, 0.95),
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest-rank percentile."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _rate(attempts: Sequence[Attempt], holds: Any) -> float:
    return sum(map(holds, attempts)) / len(attempts) if attempts else math.nan


def _bounds(interval: stats.Interval) -> list[float]:
    return [interval.low, interval.high]


def _plain(value: Any) -> Any:
    """JSON has no NaN: undefined becomes null; floats keep six digits, more would be noise."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
