"""Where answers were lost: by the kind of answer, by the rule that read them, by the kind of error, by truncation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.records import GREEDY, Attempt, Item

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MOST_ERRORS = 12
_MOST_KINDS = 40


@dataclass(frozen=True)
class KindRow:
    """Items of one kind of right answer: per arm the mean greedy score."""

    kind: str
    n: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class RuleRow:
    """Answers that one rule read in one task: per arm how many, and how many of them were wrong."""

    task: str
    rule: str
    counts: Mapping[str, int]
    wrong: Mapping[str, int]


def by_kind(items: Sequence[Item], attempts: Sequence[Attempt]) -> dict[str, list[KindRow]]:
    """Per task with more than one kind of answer, those with the most items first. To look at, not to conclude from."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    of_item = {}
    for item in items:
        kinds[item.task][item.kind] += 1
        of_item[item.id] = item.kind
    sums: dict[tuple[str, str, str], float] = defaultdict(float)
    for attempt in attempts:
        if attempt.condition == GREEDY:
            sums[attempt.task, of_item[attempt.item], attempt.arm] += attempt.score
    arms = dict.fromkeys(arm for _, _, arm in sums)
    return {
        task: [
            KindRow(kind, n, {arm: sums[task, kind, arm] / n for arm in arms})
            for kind, n in counts.most_common(_MOST_KINDS)
        ]
        for task, counts in kinds.items()
        if 1 < len(counts) < counts.total()
    }


def by_rule(attempts: Sequence[Attempt], success_at: float) -> list[RuleRow]:
    """Over all conditions and repeats; within a task the rule with the most wrong answers first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    wrong: Counter[tuple[str, str, str]] = Counter()
    for attempt in attempts:
        key = attempt.task, attempt.rule, attempt.arm
        counts[key] += 1
        wrong[key] += attempt.score < success_at
    arms = {arm for _, _, arm in counts}
    rows = [
        RuleRow(
            task,
            rule,
            {arm: counts[task, rule, arm] for arm in arms},
            {arm: wrong[task, rule, arm] for arm in arms},
        )
        for task, rule in {(task, rule) for task, rule, _ in counts}
    ]
    return sorted(rows, key=lambda row: (row.task, -sum(row.wrong.values()), row.rule))


def errors(attempts: Sequence[Attempt]) -> list[tuple[str, dict[str, int]]]:
    """Failed requests per arm by what the server said; numbers are left out, so that like errors count together."""
    counts: dict[str, Counter[str]] = {}
    for attempt in attempts:
        if attempt.error is not None:
            kind = _NUMBER.sub("N", attempt.error)[:160]
            counts.setdefault(kind, Counter())[attempt.arm] += 1
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1].total(), entry[0]))
    return [(kind, dict(tally)) for kind, tally in ordered[:_MOST_ERRORS]]


def truncated(attempts: Sequence[Attempt]) -> list[tuple[str, str, int, int]]:
    """Task, arm, answers that ran into the token limit, answers in all; only where there are any."""
    totals: Counter[tuple[str, str]] = Counter()
    cut: Counter[tuple[str, str]] = Counter()
    for attempt in attempts:
        totals[attempt.task, attempt.arm] += 1
        cut[attempt.task, attempt.arm] += attempt.finish_reason == "length"
    return [(task, arm, cut[task, arm], total) for (task, arm), total in sorted(totals.items()) if cut[task, arm]]
