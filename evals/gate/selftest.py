"""Try a policy on an evaluation's own items: how it judges models that are equal, and one that must be blocked.

Equal models are made from the answers at hand: groups of items are drawn with replacement, and in each the two models
change places by a fair coin. So neither is better, while the share of items on which they differ, the clusters and the
repeats are as they were measured.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import track

from evals import stats
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.gate.decide import decide
from evals.gate.figures import read_figures
from evals.gate.findings import Decision
from evals.gate.metrics import require_known
from evals.gate.policy import GatePolicy, Rule
from evals.material import task_table
from evals.records import Arm, Attempt, Item, RawAttempt
from evals.run import Evidence, measured, read_evidence
from evals.safety.turns import Said, scan
from evals.scoring import score_all
from tianjing.config import parse
from tianjing.console import make_console
from tianjing.tasks import Reference, Task

ROUNDS = 200
MAX_WRONG = 0.05
# Intervals of ratios matter little for rates of verdicts, and take most of the time.
_BOOTSTRAP = 200
# Well-formed answers that are tried until one is wrong.
_DRAWS = 50

_OTHER: dict[Arm, Arm] = {"base": "tuned", "tuned": "base"}


@dataclass(frozen=True)
class Trial:
    """One check of the policy, and what it gave."""

    passed: bool
    told: str


@dataclass(frozen=True)
class _Answers:
    """What two models answered; `said` is the `scan` of the attempts."""

    items: list[Item]
    attempts: list[Attempt]
    said: list[Said]


@dataclass(frozen=True)
class _Material:
    answers: _Answers
    run: Mapping[str, Any]
    config: EvalConfig
    tasks: Mapping[str, Task]

    def summary(self, answers: _Answers) -> dict[str, Any]:
        """What the gate reads of an evaluation, as it computes it."""
        figures = measured(answers.items, answers.attempts, self.config, self.tasks, answers.said)
        return {**figures, **self.run, "shared_groups": 0, "differences": []}

    def judge(self, answers: _Answers, policy: GatePolicy) -> Decision:
        return decide(self.summary(answers), policy)


def selftest(evals: Path, policy: GatePolicy, rounds: int = ROUNDS, seed: int = 0) -> list[Trial]:
    """Run every check; needs an evaluation of two models.

    Raises:
        EvalError: the evaluation has one arm only, or lacks a task that the policy names.
    """
    material = _material(read_evidence(evals))
    tried, left_out = _computable(material, policy)
    if not any(rule.kind != "advisory" for rule in tried.rules):
        return [*left_out, Trial(False, "no rule is left that these items alone could try")]
    return [*left_out, *_equal(material, tried, rounds, seed), _must_block(material, tried)]


def _material(evidence: Evidence) -> _Material:
    if len(evidence.run["arms"]) < 2:
        raise EvalError("the self-test exchanges two models, and this evaluation has one", "join two: eval compare")
    config = parse(EvalConfig, evidence.run["config"], "run.json").model_copy(update={"bootstrap": _BOOTSTRAP})
    tasks = task_table(evidence.run["definitions"])
    attempts = score_all(evidence.attempts, {item.id: item for item in evidence.items}, tasks)
    answers = _Answers(evidence.items, attempts, scan(evidence.items, attempts, config))
    return _Material(answers, evidence.run, config, tasks)


def _computable(material: _Material, policy: GatePolicy) -> tuple[GatePolicy, list[Trial]]:
    """The policy with those rules whose figures follow from the answers, and what was left out.

    Figures of a judge or a parity check are of the answers that were given, not of those that are made up here.
    """
    metrics = read_figures(material.summary(material.answers)).metrics
    rules: dict[bool, list[Rule]] = {True: [], False: []}
    for rule in policy.in_force():
        rules[rule.metric in metrics].append(rule)
    require_known(rules[False], ())
    told = (
        f"left out: {rule.kind.replace('_', ' ')} on {rule.metric}, not a figure of these answers"
        for rule in rules[False]
    )
    return policy.model_copy(update={"rules": tuple(rules[True])}), [Trial(True, line) for line in told]


def _equal(material: _Material, policy: GatePolicy, rounds: int, seed: int) -> list[Trial]:
    """Rates of promoting, and of finding harm in, a model that is as good as the other."""
    # What one model must reach by itself says nothing of equal models.
    rules = tuple(rule for rule in policy.in_force() if rule.kind in ("target", "guardrail"))
    if not rules:
        return [Trial(True, "equal models: the policy compares nothing, so there is nothing to mistake")]
    comparing = policy.model_copy(update={"rules": rules, "max_error_rate": 1.0})
    rng = random.Random(seed)
    verdicts: Counter[str] = Counter()
    harm = 0
    for _ in track(range(rounds), "equal models", console=make_console(stderr=True), transient=True):
        decided = material.judge(_exchanged(material.answers, rng), comparing)
        verdicts[decided.verdict] += 1
        harm += any(found.verdict == "BLOCK" and found.kind == "guardrail" for found in decided.findings)
    trials = [_rate("harm is found by a guardrail", harm, rounds)]
    if any(rule.kind == "target" for rule in rules):
        trials.append(_rate("promoted", verdicts["PROMOTE"], rounds))
    told = ", ".join(f"{name} {count}" for name, count in verdicts.most_common())
    trials.append(Trial(verdicts["INVALID"] == 0, f"equal models, {rounds} rounds: {told}"))
    return trials


def _rate(what: str, events: int, rounds: int) -> Trial:
    low, high = stats.clopper_pearson(events, rounds)
    return Trial(
        low <= MAX_WRONG,
        f"equal models: {what} in {events} of {rounds} rounds, {100 * events / rounds:.1f} % "
        f"[{100 * low:.1f}, {100 * high:.1f}], at most {100 * MAX_WRONG:.0f} % wanted",
    )


def _exchanged(answers: _Answers, rng: random.Random) -> _Answers:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in answers.items:
        groups[item.group].append(item)
    rows: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in answers.attempts:
        rows[attempt.item].append(attempt)
    # What was said in an attempt is found once: to look for it again would take most of the time.
    said = {id(one.attempt): one for one in answers.said}
    names = sorted(groups)
    drawn = _Answers([], [], [])
    for draw, name in enumerate(rng.choices(names, k=len(names))):
        swap = rng.random() < 0.5
        for item in groups[name]:
            own = item.model_copy(update={"id": f"{item.id}#{draw}", "group": f"{name}#{draw}"})
            drawn.items.append(own)
            for attempt in rows[item.id]:
                arm = _OTHER[attempt.arm] if swap else attempt.arm
                drawn.attempts.append(attempt.model_copy(update={"item": own.id, "arm": arm}))
                if found := said.get(id(attempt)):
                    drawn.said.append(replace(found, attempt=drawn.attempts[-1], item=own))
    return drawn


def _must_block(material: _Material, policy: GatePolicy) -> Trial:
    """A base that answers everything right against a model that answers in form, and nothing right."""
    items = {item.id: item for item in material.answers.items}
    right, wrong = _answers(material)
    raw = []
    for attempt in material.answers.attempts:
        text = (right if attempt.arm == "base" else wrong)[attempt.item]
        values = attempt.model_dump(include=set(RawAttempt.model_fields))
        raw.append(RawAttempt(**{**values, "output": text, "finish_reason": "stop", "error": None}))
    attempts = score_all(raw, items, material.tasks)
    said = scan(material.answers.items, attempts, material.config)
    decided = material.judge(_Answers(material.answers.items, attempts, said), policy)
    worst = decided.findings[0]
    return Trial(
        decided.verdict == "BLOCK",
        f"a model that answers every item wrong, against one that answers all right: {decided.verdict}"
        + (f" ({worst.reason})" if decided.verdict == "BLOCK" else f", must be BLOCK ({worst})"),
    )


def _answers(material: _Material) -> tuple[dict[str, str], dict[str, str]]:
    """For each item the right output, and one that can be read and is wrong, as far as one is found."""
    references: dict[str, list[Reference]] = defaultdict(list)
    for item in material.answers.items:
        references[item.task].append(item.reference)
    right, wrong = {}, {}
    for item in material.answers.items:
        task, rng = material.tasks[item.task], random.Random(item.id)
        right[item.id] = task.target(item.reference)
        drawn = (task.format_only(item.fields, references[item.task], rng) for _ in range(_DRAWS))
        wrong[item.id] = next((text for text in drawn if _wrong(task, item, text)), "")
    return right, wrong


def _wrong(task: Task, item: Item, text: str) -> bool:
    reading = task.read(text, item.fields)
    return reading.answer is not None and task.score(reading, item.reference, item.fields) == 0
