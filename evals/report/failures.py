"""Where answers were lost: by the rule that read them, by the kind of error, by truncation; and what they cost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evals.records import Attempt
from evals.report import charts

_POINTS_PER_ARM = 350
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MOST_ERRORS = 12


@dataclass(frozen=True)
class RuleRow:
    """Answers that one rule read in one task: per arm how many, and how many of them were wrong."""

    task: str
    rule: str
    counts: dict[str, int]
    wrong: dict[str, int]


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


def latency(attempts: Sequence[Attempt]) -> Markup:
    """Latency over answer length, an evenly spaced part of the answers of each arm."""
    answered = [attempt for attempt in attempts if attempt.error is None and attempt.latency_s > 0]
    points = []
    for arm in dict.fromkeys(attempt.arm for attempt in answered):
        of_arm = [attempt for attempt in answered if attempt.arm == arm]
        step = -(-len(of_arm) // _POINTS_PER_ARM)
        points += [(float(a.output_tokens), a.latency_s, arm) for a in of_arm[::step]]
    return charts.scatter(points, "输出词元数", "时延（秒）") if points else Markup("")
