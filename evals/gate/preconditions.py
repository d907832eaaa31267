"""What must hold before any figure is judged: otherwise the evaluation is INVALID, whatever it says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evals.gate.figures import INVALID_RATE, Figures
from evals.gate.findings import Finding
from evals.gate.policy import GatePolicy
from evals.gate.words import level, percent
from evals.records import ARMS, Arm, RawAttempt
from evals.runner import copied_repeats, seeds_ignored

Json = Mapping[str, Any]


def of_summary(summary: Json, figures: Figures, policy: GatePolicy) -> list[Finding]:
    """What the summary itself shows to be wrong."""
    found = []
    if figures.confidence < policy.min_confidence:
        found.append(
            (
                f"the intervals have a level of {level(figures.confidence)}, and the policy asks for at least "
                f"{level(policy.min_confidence)}",
                f"evaluate again with confidence: {policy.min_confidence:g}",
            )
        )
    if unmatched := summary["unmatched"]:
        found.append(
            (
                f"{len(unmatched)} requests are not there for both models, e.g. {unmatched[0]}",
                "ask them: the same items under the same conditions for both",
            )
        )
    if summary["shared_groups"]:
        found.append(
            (
                f"{summary['shared_groups']} groups of test items (customers, documents) also have training rows",
                "build the dataset again with whole groups held out",
            )
        )
    if summary["error_rate"] is None or summary["error_rate"] > policy.max_error_rate:
        found.append(
            (
                f"error rate {percent(summary['error_rate'])} exceeds {percent(policy.max_error_rate)}",
                "mend the cause (see `error` in attempts.jsonl) and evaluate again",
            )
        )
    found += [
        (f"the joined runs differ: {line}", "evaluate both in the same way") for line in summary.get("differences", ())
    ]
    arms = summary.get("arms", {})
    templates = {arm: details.get("chat_template") for arm, details in arms.items()}
    if len(set(templates.values())) > 1:
        told = ", ".join(f"{arm} {str(digest)[:12]}" for arm, digest in templates.items())
        found.append((f"the models' chat templates differ: {told}", "serve both with one template"))
    if policy.format_change == "refuse":
        found += [
            (
                f"{task}: shares of unreadable answers differ by {percent(abs(difference))}, more than "
                f"{percent(policy.max_invalid_difference)}: a change of format may pass for one of accuracy",
                "give both models the format, or set format_change to control or discount",
            )
            for task in figures.tasks
            if (difference := invalid_difference(figures, task)) is not None
            and abs(difference) > policy.max_invalid_difference
        ]
    return [Finding("INVALID", reason, "precondition", remedy) for reason, remedy in found]


def invalid_difference(figures: Figures, task: str) -> float | None:
    """Share of unreadable answers, tuned minus base; None where it is not known of both."""
    measure = figures.find(INVALID_RATE, task)
    if measure is None:
        return None
    values = [measure.arms[arm].value for arm in ARMS if arm in measure.arms]
    if len(values) != 2 or values[0] is None or values[1] is None:
        return None
    return values[1] - values[0]


def of_evidence(attempts: Sequence[RawAttempt], run: Json, policy: GatePolicy) -> list[str]:
    """Why the attempts do not compare the two models fairly; lines for people.

    Which requests are there for one model only is in the summary (`unmatched`).
    """
    problems: list[str] = []
    by_arm: dict[Arm, list[RawAttempt]] = defaultdict(list)
    for attempt in attempts:
        by_arm[attempt.arm].append(attempt)
    for arm, rows in by_arm.items():
        problems += _one_arm(arm, rows, policy)
        problems += _seeds(arm, rows, run.get("arms", {}).get(arm, {}).get("seed_canary"))
    if len(by_arm) == 2:
        problems += _both_arms(by_arm["base"], by_arm["tuned"], run, policy)
    return problems


def _one_arm(arm: Arm, rows: Sequence[RawAttempt], policy: GatePolicy) -> Iterable[str]:
    twice = [key for key, count in Counter(map(_request, rows)).items() if count > 1]
    if twice:
        yield f"{len(twice)} requests of the {arm} model were answered twice, e.g. {'/'.join(map(str, twice[0]))}"
    errors = sum(row.error is not None for row in rows) / len(rows)
    if errors > policy.max_error_rate:
        yield f"error rate {percent(errors)} of the {arm} model exceeds {percent(policy.max_error_rate)}"


def _seeds(arm: Arm, rows: Sequence[RawAttempt], canary: Json | None) -> Iterable[str]:
    """Copies among repeats are the model's own certainty only where the seed canary shows that seeds are heeded."""
    ignored = seeds_ignored(canary)
    if ignored:
        yield f"{arm}: the answers to the seed canary are byte-identical: the server ignored the seeds of requests"
    elif ignored is None and (copies := copied_repeats(rows)):
        yield (
            f"{arm}: the repeats of all {copies} repeated items are byte-identical at temperature > 0, and no seed "
            "canary shows that the server heeds the seed of a request"
        )


def _both_arms(base: Sequence[RawAttempt], tuned: Sequence[RawAttempt], run: Json, policy: GatePolicy) -> Iterable[str]:
    other = {_request(row): row for row in tuned}
    pairs = [(row, other[_request(row)]) for row in base if _request(row) in other]
    heat = [a for a, b in pairs if a.temperature != b.temperature]
    if heat:
        yield (
            f"{len(heat)} requests were sampled at other temperatures by the two models, "
            f"e.g. {'/'.join(map(str, _request(heat[0])))}"
        )
    worded = [a for a, b in pairs if a.prompt != b.prompt]
    declared = any(run.get("shots", {}).values())
    if worded and not (declared and policy.allow_worked_examples):
        because = "worked examples are not allowed by the policy" if declared else "the run names no worked examples"
        yield (
            f"{len(worded)} prompts differ between the models, "
            f"e.g. {'/'.join(map(str, _request(worded[0])))}: {because}"
        )


def _request(row: RawAttempt) -> tuple[str, str, str, int]:
    return row.task, row.item, row.condition, row.repeat
