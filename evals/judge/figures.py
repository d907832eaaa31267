"""From verdicts to figures: what an answer's repeats decide, shares per arm, corrected by calibration, and pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from evals.judge.calibration import Calibration, alpha, corrected, corrected_difference
from evals.judge.config import EVEN, FIRST, JudgeConfig
from evals.judge.labelled import Labelled, good
from evals.judge.verdicts import StoredVerdict
from evals.measures import Estimate, Measure
from evals.records import ARMS, Arm, Item
from evals.safety.rates import Counts, rate, rate_difference
from evals.stats import mean_interval

Json = dict[str, Any]
# Every measure of a judge carries it: a gate may show it, or take it together with a rule, never block by it alone.
JUDGE = "judge"
Decided = Mapping[tuple[str, Arm], bool]


def decided(verdicts: Sequence[StoredVerdict], config: JudgeConfig) -> Decided:
    """Whether each answer is good, by majority or median; absent where tied or where too few can be read."""
    by_answer: dict[tuple[str, Arm], list[str]] = {}
    for verdict in verdicts:
        if verdict.arm is not None and verdict.verdict is not None:
            by_answer.setdefault((verdict.subject, verdict.arm), []).append(verdict.verdict)
    found: dict[tuple[str, Arm], bool] = {}
    for answer, read in by_answer.items():
        if len(read) < config.min_valid:
            continue
        if config.mode == "numeric":
            found[answer] = median(map(float, read)) >= config.pass_at
        else:
            passed = sum(bool(good(label, config)) for label in read)
            if 2 * passed != len(read):
                found[answer] = 2 * passed > len(read)
    return found


def compare_arms(
    items: Sequence[Item],
    verdicts: Decided,
    arms: Sequence[Arm],
    labelled: Sequence[Labelled],
    config: JudgeConfig,
    confidence: float,
) -> Json:
    """Per arm the raw and the corrected share of good answers, and the one measure of the criterion.

    An undecided answer is not good. Where an arm cannot be corrected neither is: corrected and raw do not compare.
    """
    groups = [item.group for item in items]
    passes = {arm: [int(verdicts.get((item.id, arm), False)) for item in items] for arm in arms}
    calibrations = {arm: Calibration.of(_pairs(labelled, verdicts, arm, config)) for arm in arms}
    usable = all(calibration.usable for calibration in calibrations.values())
    rows: Json = {}
    raw, shares = {}, {}
    for arm in arms:
        counts = Counts(passes[arm], [1] * len(items))
        raw[arm] = rate(counts, groups, confidence)
        shares[arm] = corrected(passes[arm], groups, calibrations[arm], confidence)
        told = [(bool(good(row.label, config)), verdicts.get((row.subject, arm))) for row in labelled if row.arm == arm]
        rows[arm] = {
            "items": len(items),
            "undecided": sum((item.id, arm) not in verdicts for item in items),
            "raw": raw[arm].model_dump(),
            "corrected": shares[arm].model_dump(),
            "specificity": calibrations[arm].specificity,
            "sensitivity": calibrations[arm].sensitivity,
            "negatives": calibrations[arm].negatives,
            "positives": calibrations[arm].positives,
            "alpha_people": alpha([[str(p), str(j)] for p, j in told if j is not None]),
        }
    difference = None
    if len(arms) == len(ARMS):
        tuned, base = passes["tuned"], passes["base"]
        if usable:
            pair = (calibrations["tuned"], calibrations["base"])
            difference = corrected_difference(tuned, base, groups, pair, confidence)
        else:
            ones = [1] * len(items)
            difference = rate_difference(Counts(tuned, ones), Counts(base, ones), groups, confidence)
    note = JUDGE if usable else f"{JUDGE}; not calibrated for every arm: the judge's raw share, with its errors in it"
    measure = _measure(config, shares if usable else raw, difference, items, note)
    return {"measures": [measure], "arms": rows, "warnings": _warnings(calibrations, labelled)}


def compared_pairs(
    items: Sequence[Item],
    answers: Mapping[tuple[str, Arm], str],
    verdicts: Sequence[StoredVerdict],
    config: JudgeConfig,
    confidence: float,
) -> Json:
    """How often tuned is preferred, ties half: a repeat counts for an arm only if both orders prefer it.

    An empty answer loses against one that is not; an item with too few readable repeats is a tie.
    """
    read = {(v.subject, v.repeat, v.order): v.verdict for v in verdicts if v.verdict is not None}
    scores, disagreed, first, compared, undecided = [], 0, 0, 0, 0
    for item in items:
        empty = [not answers.get((item.id, arm)) for arm in ("base", "tuned")]
        if any(empty):
            scores.append((1 + empty[0] - empty[1]) / 2)
            continue
        results = []
        for repeat in range(config.repeats):
            both = [read.get((item.id, repeat, order)) for order in ("tuned", "base")]
            if None in both:
                continue
            # The tuned answer is 甲 in the first order and 乙 in the second.
            tuned = [_for_tuned(both[0], True), _for_tuned(both[1], False)]
            results.append(tuned[0] if tuned[0] == tuned[1] else 0.5)
            compared += 1
            disagreed += tuned[0] != tuned[1]
            first += both.count(FIRST)
        undecided += len(results) < config.min_valid
        scores.append(mean(results) if len(results) >= config.min_valid else 0.5)
    groups = [item.group for item in items]
    won = mean_interval(scores, groups, confidence)
    twice = mean_interval([2 * score - 1 for score in scores], groups, confidence, bounds=(-1.0, 1.0))
    shares = {
        "tuned": _estimate(won.estimate, won.low, won.high),
        "base": _estimate(1 - won.estimate, 1 - won.high, 1 - won.low),
    }
    difference = _estimate(twice.estimate, twice.low, twice.high)
    note = f"{JUDGE}; share of items in which the arm is preferred in both orders, ties half"
    return {
        "measures": [_measure(config, shares, difference, items, note)],
        "pairs": {
            "items": len(items),
            "undecided": undecided,
            "compared": compared,
            "disagreement": disagreed / compared if compared else None,
            "first_preferred": first / (2 * compared) if compared else None,
        },
        "warnings": [],
    }


def _pairs(labelled: Sequence[Labelled], verdicts: Decided, arm: Arm, config: JudgeConfig) -> list[tuple[bool, bool]]:
    """(people, judge) of one arm. An undecided answer counts as not passed, as it does among the items."""
    return [
        (bool(good(row.label, config)), verdicts.get((row.subject, arm), False)) for row in labelled if row.arm == arm
    ]


def _for_tuned(verdict: str | None, tuned_first: bool) -> float:
    if verdict == EVEN:
        return 0.5
    return float((verdict == FIRST) == tuned_first)


def _measure(
    config: JudgeConfig,
    shares: Mapping[Any, Estimate],
    difference: Estimate | None,
    items: Sequence[Item],
    note: str,
) -> Json:
    measure = Measure(
        name=f"judge_{config.name}",
        task=config.tasks[0] if len(config.tasks) == 1 else "",
        arms=dict(shares),
        difference=difference,
        n=len(items),
        groups=len({item.group for item in items}),
        note=note,
    )
    return measure.model_dump(mode="json")


def _warnings(calibrations: Mapping[Arm, Calibration], labelled: Sequence[Labelled]) -> list[str]:
    if not labelled:
        return ["no calibration: the judge's errors are not known, so its figures are raw shares"]
    return [
        f"{arm}: {found.negatives} bad and {found.positives} good labelled answers, specificity {found.specificity}, "
        f"sensitivity {found.sensitivity}: no better than chance or too few, so nothing can be corrected"
        for arm, found in calibrations.items()
        if not found.usable
    ]


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=None if math.isnan(low) else low, high=None if math.isnan(high) else high)
