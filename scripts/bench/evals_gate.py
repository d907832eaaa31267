"""Verdicts of the release gate on simulated releases whose truth is known, beside the rules that other tools use.

Each release is two models that answer three tasks: items in groups of two that share difficulty, greedy answers, and
four repeats of some. Their attempts go through `evals.summary.summarise` and `evals.gate.decide`, as those of
`tianjing eval run` do. Sizes come from the sample-size formula, for a joint power of 90 %.

What is right was fixed before: a model that is better by the planned gain is promoted; one that is worse by as much, or
worse in one task, or less stable, or that breaches a rule anew, is blocked; an equal one is not promoted where a gain
is asked for (inconclusive is right, a block is counted as wrong), and promoted where only no loss is asked for; a
model whose hard items fail is not promoted.

The peers' rules are written here for comparison only: a threshold on the raw difference (promptfoo, deepeval), an
unpaired z-test (lm-eval's comparison script), and the same on only those items that both models answered.
Usage: python scripts/bench/evals_gate.py [--releases N] [--items N] [--seed S] [--edits N]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from evals_gate_edits import edits
from evals_gate_peers import PEERS

from evals import stats
from evals.config import EvalConfig
from evals.gate.decide import decide
from evals.gate.findings import Verdict
from evals.gate.policy import GatePolicy
from evals.measures import Estimate, Measure
from evals.records import GREEDY, SAMPLED, Attempt, Item
from evals.scoring import ERROR
from evals.summary import summarise
from tianjing.config import parse
from tianjing.tasks import TASKS

TASK_IDS = ("next_reply", "policy_qa", "quality_inspection")
TARGET = TASK_IDS[0]
GAIN, MARGIN, STABLE_MARGIN = 0.05, 0.05, 0.10
CAP = 0.005
# More than the 80 % that are asked for: of 50 better releases, 80 % power would promote fewer than 40 every other time.
JOINT_POWER = 0.9
# What promotion needs: one target, no loss in the two other tasks, and no loss of stability in three.
CLAIMS = 6
GROUP, SHARED = 2, 0.3  # items of a group, and the share of their spread that they have in common
OWN = 0.35  # spread of what a model knows of an item beside the item's difficulty: makes models differ
ACCURACY = 0.65
SHARP, VAGUE = 8.0, 1.2  # how surely a model answers as it does greedily when it is sampled
UNREADABLE = 0.01
PILOT = 20_000
REPEATS = 4
BREACH = 0.002
CRASHED = 0.25
CONFIG = EvalConfig(repeats=REPEATS, bootstrap=200)

RULES: list[dict[str, Any]] = [
    {"kind": "target", "metric": "score", "task": TARGET},
    {"kind": "guardrail", "metric": "score", "margin": MARGIN},
    {"kind": "guardrail", "metric": f"pass^{REPEATS}", "margin": STABLE_MARGIN},
    {"kind": "absolute", "metric": "invalid_rate", "at_most": 0.05},
    {"kind": "zero_tolerance", "metric": "simulated_breaches", "task": "", "cap": CAP},
]
RELEASE = parse(GatePolicy, {"rules": RULES}, "policy")
NO_LOSS = parse(GatePolicy, {"rules": RULES[1:]}, "policy")


@dataclass(frozen=True)
class Truth:
    """What is true of the tuned model against the base."""

    name: str
    share: float
    """Of all releases."""
    right: tuple[Verdict, ...]
    gains: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """In score, by task."""
    sharpness: float = SHARP
    breaches: float = 0.0
    crashes: bool = False


TRUTHS = (
    Truth("better by the planned gain", 0.25, ("PROMOTE",), (GAIN, 0, 0)),
    Truth("worse by the planned gain", 0.20, ("BLOCK",), (-GAIN, -GAIN, -GAIN)),
    Truth("equal", 0.20, ("INCONCLUSIVE",)),
    Truth("better, but worse in one task", 0.10, ("BLOCK",), (GAIN, -MARGIN - GAIN, 0)),
    Truth("better, but less stable", 0.10, ("BLOCK",), (GAIN, 0, 0), sharpness=VAGUE),
    Truth("better, but breaches anew", 0.10, ("BLOCK",), (GAIN, 0, 0), breaches=BREACH),
    Truth("equal, and hard items fail", 0.05, ("INVALID", "INCONCLUSIVE", "BLOCK"), crashes=True),
)


@dataclass(frozen=True)
class Plan:
    """Items per task, and how many of them are repeated."""

    items: int
    repeated: int


@dataclass(frozen=True)
class Draw:
    """One arm of one task: right or not, shapes (N,) and (N, R repeats); and which answers no rule reads."""

    greedy: np.ndarray
    repeats: np.ndarray
    unreadable: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", type=int, default=200)
    parser.add_argument("--items", type=int, default=0, help="items per task; 0 takes the planned number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--edits", type=int, default=20, help="random edits of each file of the evidence")
    arguments = parser.parse_args()
    began = time.monotonic()
    plan = planned(np.random.default_rng(arguments.seed))
    if arguments.items:
        plan = Plan(arguments.items, min(plan.repeated, arguments.items))
    print(
        f"plan: {plan.items:,} items a task, {plan.repeated:,} of them repeated {REPEATS} times; seed {arguments.seed}"
    )
    print(f"target gain above 0, margin {MARGIN:g} in score and {STABLE_MARGIN:g} in pass^{REPEATS}, cap {CAP:g}\n")
    wrong = simulate(arguments.releases, plan, arguments.seed)
    wrong += edits(arguments.edits, arguments.seed)
    print(f"\n{time.monotonic() - began:.0f} s")
    sys.exit(1 if wrong else 0)


def planned(rng: np.random.Generator) -> Plan:
    """Sizes from a pilot of equal models: each claim gets the power that leaves 90 % for all together."""
    base, tuned = draw(rng, PILOT, (0.0, 0.0), SHARP)
    groups = [index // GROUP for index in range(PILOT)]
    power = 1 - (1 - JOINT_POWER) / CLAIMS
    score = tuned.greedy - base.greedy
    stable = passes(tuned) - passes(base)
    sizes = []
    for values, distance in ((score, GAIN), (stable, STABLE_MARGIN)):
        independent = float(values.std()) / math.sqrt(len(values))
        effect = max(1.0, (stats.clustered_se(values.tolist(), groups) / independent) ** 2)
        needed = stats.sample_size(distance, float(np.mean(values**2)) + distance**2, power=power)
        sizes.append(GROUP * math.ceil(needed * effect / GROUP))
        print(
            f"pilot: mean square difference {np.mean(values**2):.3f}, design effect {effect:.2f}, to find {distance:g}"
        )
    print(f"power {power:.3f} for each of {CLAIMS} claims, {JOINT_POWER:g} together")
    return Plan(sizes[0], min(sizes))


def draw(
    rng: np.random.Generator, n: int, gains: tuple[float, float], sharpness: float, repeats: int = REPEATS
) -> tuple[Draw, Draw]:
    """Both arms of a task: right where ability and luck of the pair exceed the item's difficulty."""

    def shared(spread: float) -> np.ndarray:
        common = np.repeat(rng.normal(size=-(-n // GROUP)), GROUP)[:n]
        return spread * (math.sqrt(SHARED) * common + math.sqrt(1 - SHARED) * rng.normal(size=n))

    difficulty = shared(1.0)
    arms = []
    for gain, sharp in zip(gains, (SHARP, sharpness), strict=True):
        ability = NormalDist().inv_cdf(ACCURACY + gain) * math.sqrt(1 + OWN**2)
        lead = ability - difficulty + shared(OWN)
        chance = 1 / (1 + np.exp(-sharp * lead))
        unreadable = rng.random(n) < UNREADABLE
        right = (lead > 0) & ~unreadable
        arms.append(Draw(right.astype(float), rng.random((n, repeats)) < chance[:, None], unreadable))
    return arms[0], arms[1]


def passes(arm: Draw) -> np.ndarray:
    return arm.repeats.all(axis=1).astype(float)


def simulate(releases: int, plan: Plan, seed: int) -> int:
    """Print what was decided on every kind of release; returns how many bounds were not kept."""
    verdicts: dict[str, dict[str, Counter[str]]] = {}
    no_loss: Counter[str] = Counter()
    harm = 0
    for truth in TRUTHS:
        verdicts[truth.name] = {rule: Counter() for rule in ("gate", *PEERS)}
        for number in range(max(1, round(truth.share * releases))):
            rng = np.random.default_rng([seed, TRUTHS.index(truth), number])
            items, attempts, breaches = release(rng, truth, plan)
            summary = summarise(items, attempts, CONFIG, TASKS)
            summary = {
                **summary,
                "measures": [*summary.get("measures", ()), breaches.model_dump(mode="json")],
                "config": CONFIG.model_dump(mode="json"),
                "shared_groups": 0,
            }
            decided = decide(summary, RELEASE)
            verdicts[truth.name]["gate"][decided.verdict] += 1
            for name, peer in PEERS.items():
                verdicts[truth.name][name][peer(items, attempts, TARGET, MARGIN)] += 1
            if truth.name == "equal":
                no_loss[decide(summary, NO_LOSS).verdict] += 1
                harm += any(found.verdict == "BLOCK" and found.kind == "guardrail" for found in decided.findings)
        print(f"{truth.name}: done", file=sys.stderr, flush=True)
    _truths()
    for rule in ("gate", *PEERS):
        _table(rule, {name: counts[rule] for name, counts in verdicts.items()})
    total = sum(no_loss.values())
    told = ", ".join(f"{name} {count}" for name, count in no_loss.most_common())
    print(f"\nequal models under the policy without a target (right: PROMOTE): {told} of {total}")
    print(f"equal models in which a guardrail found harm: {harm} of {total}")
    return _bounds({name: counts["gate"] for name, counts in verdicts.items()}, no_loss)


def release(rng: np.random.Generator, truth: Truth, plan: Plan) -> tuple[list[Item], list[Attempt], Measure]:
    """Items, scored attempts and the count of breaches of one release."""
    items: list[Item] = []
    attempts: list[Attempt] = []
    events = {"base": 0, "tuned": 0}
    for task, gain in zip(TASK_IDS, truth.gains, strict=True):
        base, tuned = draw(rng, plan.items, (0.0, gain), truth.sharpness)
        failed = np.zeros(plan.items, dtype=bool)
        if truth.crashes:
            failed = (tuned.greedy == 0) & (rng.random(plan.items) < CRASHED / (1 - ACCURACY))
        events["tuned"] += int(rng.binomial(plan.items, truth.breaches))
        order = rng.permutation(plan.items // GROUP)[: plan.repeated // GROUP]
        repeated = {int(group) for group in order}
        for index in range(plan.items):
            name, group = f"{task}-{index}", f"{task}-{index // GROUP}"
            stable = index // GROUP in repeated
            items.append(
                Item.model_construct(
                    id=name, task=task, group=group, kind="", stability=stable, fields={}, reference={}, variants={},
                    control=0.25,
                )
            )  # fmt: skip
            for arm, drawn in (("base", base), ("tuned", tuned)):
                broken = arm == "tuned" and bool(failed[index])
                read = None if drawn.unreadable[index] else index
                attempts.append(_attempt(name, task, arm, GREEDY, 0, bool(drawn.greedy[index]), broken, read))
                if stable:
                    attempts += [
                        _attempt(name, task, arm, SAMPLED, repeat, bool(drawn.repeats[index, repeat]), broken, index)
                        for repeat in range(REPEATS)
                    ]
    return items, attempts, _breaches(events, plan)


def _attempt(
    item: str, task: str, arm: Any, condition: str, repeat: int, right: bool, broken: bool, index: int | None
) -> Attempt:
    answer = None if broken or index is None else "right" if right else f"wrong{(index + repeat) % 3}"
    return Attempt.model_construct(
        key="", item=item, task=task, arm=arm, condition=condition, repeat=repeat, prompt="", seed=repeat,
        temperature=0.0 if condition == GREEDY else CONFIG.temperature, output=f"{answer}/{repeat}",
        finish_reason="stop", latency_s=0.0, prompt_tokens=1, output_tokens=1, tries=1,
        error="too long" if broken else None, answer=answer, rule=ERROR if broken else "read" if answer else "none",
        score=float(right and not broken and answer is not None),
    )  # fmt: skip


def _breaches(events: dict[str, int], plan: Plan) -> Measure:
    """Breaches by item; where there are none, groups count as trials, as their turns are not independent."""
    trials = plan.items * len(TASK_IDS)
    groups = trials // GROUP
    arms = {}
    for arm, count in events.items():
        low, high = stats.clopper_pearson(count, groups if count == 0 else trials)
        arms[arm] = Estimate(value=count / trials, low=low, high=high)
    return Measure(
        name="simulated_breaches", better="lower", arms=arms, n=trials, groups=groups, events=events,
        trials=dict.fromkeys(events, trials),
    )  # fmt: skip


def _truths() -> None:
    """The true figures of each kind of release, from 200,000 items a task."""
    print(f"{'truth':<32} {'score, by task':<24} pass^{REPEATS}, by task")
    for truth in TRUTHS:
        rng = np.random.default_rng(0)
        pairs = [draw(rng, 200_000, (0.0, gain), truth.sharpness) for gain in truth.gains]
        score = " ".join(f"{np.mean(tuned.greedy) - np.mean(base.greedy):+.3f}" for base, tuned in pairs)
        stable = " ".join(f"{np.mean(passes(tuned)) - np.mean(passes(base)):+.3f}" for base, tuned in pairs)
        print(f"{truth.name:<32} {score:<24} {stable}")


def _table(rule: str, counts: dict[str, Counter[str]]) -> None:
    names = ("PROMOTE", "BLOCK", "INCONCLUSIVE", "INVALID")
    print(f"\n{rule:<32} {'n':>4} " + " ".join(f"{name:>12}" for name in names) + "   right")
    for truth in TRUTHS:
        found, n = counts[truth.name], sum(counts[truth.name].values())
        right = sum(found[name] for name in truth.right)
        cells = " ".join(f"{found[name]:>12}" for name in names)
        print(f"{truth.name:<32} {n:>4} {cells}   {100 * right / n:.0f} %")
    worse = [found for truth in TRUTHS if "PROMOTE" not in truth.right for found in (counts[truth.name],)]
    promoted, of = sum(found["PROMOTE"] for found in worse), sum(sum(found.values()) for found in worse)
    good = [counts[truth.name] for truth in TRUTHS if truth.name == "equal" or "PROMOTE" in truth.right]
    blocked, fair = sum(found["BLOCK"] for found in good), sum(sum(found.values()) for found in good)
    print(f"wrong promotes {promoted} of {of} ({100 * promoted / of:.1f} %), ", end="")
    print(f"wrong blocks {blocked} of {fair} ({100 * blocked / fair:.1f} %)")


def _bounds(counts: dict[str, Counter[str]], no_loss: Counter[str]) -> int:
    def share(names: Sequence[str], verdict: str) -> float:
        return sum(counts[name][verdict] for name in names) / sum(sum(counts[name].values()) for name in names)

    better, worse, equal = (truth.name for truth in TRUTHS[:3])
    others = [truth.name for truth in TRUTHS if truth.name != better]
    checks = (
        ("wrong promotes", share(others, "PROMOTE"), "at most", 0.05),
        ("wrong blocks", share([better, equal], "BLOCK"), "at most", 0.05),
        ("truly better promoted", share([better], "PROMOTE"), "at least", 0.80),
        ("truly worse blocked", share([worse], "BLOCK"), "at least", 0.80),
        ("mixed releases blocked", share([t.name for t in TRUTHS[3:6]], "BLOCK"), "at least", 0.80),
        ("equal promoted without a target", no_loss["PROMOTE"] / sum(no_loss.values()), "at least", 0.80),
    )
    print()
    missed = 0
    for name, value, which, bound in checks:
        kept = value <= bound if which == "at most" else value >= bound
        missed += not kept
        print(f"{name:<32} {100 * value:5.1f} %   wanted {which} {100 * bound:.0f} %   {'ok' if kept else 'MISSED'}")
    return missed


if __name__ == "__main__":
    main()
