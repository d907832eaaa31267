"""Targets: claims that the tuned model is better. All claims of a policy share one level, by Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.gate import words
from evals.gate.bounds import gain
from evals.gate.figures import BEYOND_FORMAT, INVALID_RATE, OVER_FORMAT_ONLY, SCORE, Figures
from evals.gate.findings import Finding, Verdict
from evals.gate.planning import more_items, one_sided_p, smallest_gain
from evals.gate.policy import GatePolicy, TargetRule
from evals.gate.preconditions import invalid_difference
from evals.measures import Measure
from evals.stats import holm

_OF_FORMAT = {OVER_FORMAT_ONLY, BEYOND_FORMAT, INVALID_RATE}
_REPLACED: Mapping[str, str] = {
    OVER_FORMAT_ONLY: "over format-only",
    BEYOND_FORMAT: "beyond what readable answers alone could give",
}


@dataclass(frozen=True)
class Claim:
    """One task's part of a target: every measure must exceed its bound for the claim to hold.

    Attributes:
        parts: measures with the gain that their lower bound must exceed; the first is the metric of the rule.
        format_gap: by how much the models' shares of unreadable answers differ, where the gain may be of format alone
            and no part tells it apart; then nothing is shown.
    """

    rule: TargetRule
    parts: Sequence[tuple[Measure, float]]
    format_gap: float | None = None

    def p(self, confidence: float) -> float:
        """Largest p-value of the parts: all must hold, an intersection-union test."""
        if self.format_gap is not None:
            return 1.0
        return max(one_sided_p(gain(measure), bound, measure.groups, confidence) for measure, bound in self.parts)

    @property
    def ruled_out(self) -> bool:
        """Whether the data show that the claim is false: a whole interval at or below its bound."""
        highs = [(gain(measure).high, bound) for measure, bound in self.parts]
        return any(high is not None and high <= bound for high, bound in highs)

    def describe(self) -> str:
        (first, _), *others = self.parts
        told = f"{words.name(first)} {words.signed(gain(first))}"
        for measure, _ in others:
            told += f", {_REPLACED[measure.name]} {words.signed(gain(measure))}"
        if self.format_gap is not None:
            told += ", which may be of format alone: shares of unreadable answers differ by "
            told += words.percent(abs(self.format_gap))
        return told


def claim(rule: TargetRule, measure: Measure, figures: Figures, policy: GatePolicy) -> Claim | str:
    """The claim of a rule on one task, or the metric that it needs and that was not measured."""
    tasks = (measure.task,) if measure.task else figures.tasks
    found = (invalid_difference(figures, task) for task in tasks)
    gaps = [gap for gap in found if gap is not None and abs(gap) > policy.max_invalid_difference]
    if rule.metric != SCORE and gaps and _needs_readable(measure):
        return Claim(rule, [(measure, rule.min_gain)], max(gaps, key=abs))
    needed = [OVER_FORMAT_ONLY] if rule.beat_format_only else []
    # An answer that cannot be read scores nothing: only the base's can make a gain.
    if rule.metric == SCORE and min(gaps, default=0.0) < 0 and policy.format_change != "refuse":
        needed.append(OVER_FORMAT_ONLY if policy.format_change == "control" else BEYOND_FORMAT)
    parts = [(measure, rule.min_gain)]
    for metric in dict.fromkeys(needed):
        control = figures.find(metric, measure.task)
        if control is None:
            return metric
        # The control is to be beaten; the gain that is asked for is one over the base.
        parts.append((control, 0.0 if metric == OVER_FORMAT_ONLY else rule.min_gain))
    return Claim(rule, parts)


def _needs_readable(measure: Measure) -> bool:
    """Whether what cannot be read moves the metric: repeats of it do not agree, and never pass. It is no event that
    must not happen, and the metrics of format are about nothing else."""
    return measure.name not in _OF_FORMAT and (measure.events is None or measure.better == "higher")


def judge_claims(claims: Sequence[Claim], figures: Figures) -> list[Finding]:
    """One finding a claim, or one for all claims of a rule that asks for a number of tasks."""
    confidence = figures.confidence
    alpha = (1 - confidence) / 2
    adjusted = holm([entry.p(confidence) for entry in claims])
    holds = [p <= alpha for p in adjusted]
    findings = []
    counted: dict[int, list[int]] = {}
    for index, entry in enumerate(claims):
        if entry.rule.min_tasks is not None:
            counted.setdefault(id(entry.rule), []).append(index)
            continue
        verdict: Verdict = "PROMOTE" if holds[index] else "BLOCK" if entry.ruled_out else "INCONCLUSIVE"
        remedy = "" if verdict == "PROMOTE" else _remedy(entry, figures, len(claims), ruled_out=verdict == "BLOCK")
        wanted = (
            f"wanted above {entry.rule.min_gain:g}, adjusted p {adjusted[index]:.4f} of {len(claims)} claims (Holm)"
        )
        findings.append(
            Finding(
                verdict,
                f"{entry.describe()}; {wanted}",
                "target",
                remedy,
                words.name(entry.parts[0][0]),
                entry.rule.metric,
            )
        )
    for indices in counted.values():
        findings.append(_enough(claims, indices, holds, figures))
    return findings


def _enough(claims: Sequence[Claim], indices: Sequence[int], holds: Sequence[bool], figures: Figures) -> Finding:
    rule = claims[indices[0]].rule
    wanted = rule.min_tasks or 0
    proven = sum(holds[index] for index in indices)
    possible = sum(holds[index] or not claims[index].ruled_out for index in indices)
    verdict: Verdict = "PROMOTE" if proven >= wanted else "INCONCLUSIVE" if possible >= wanted else "BLOCK"
    listed = "; ".join(claims[index].describe() for index in indices)
    above = "" if rule.min_gain == 0 else f" by more than {rule.min_gain:g}"
    told = (
        f"{proven} of {len(indices)} tasks improved{above} (Holm over {len(claims)} claims), {wanted} wanted ({listed})"
    )
    open_ones = [index for index in indices if not holds[index] and not claims[index].ruled_out]
    remedy = "; ".join(
        f"{claims[index].parts[0][0].task}: {_remedy(claims[index], figures, len(claims))}" for index in open_ones
    )
    if verdict == "BLOCK":
        remedy = "train again: the data rule the improvement out"
    remedy = "" if verdict == "PROMOTE" else remedy
    return Finding(verdict, told, "target", remedy, f"{rule.metric} of {wanted} tasks", rule.metric)


def _remedy(entry: Claim, figures: Figures, claims: int, ruled_out: bool = False) -> str:
    if ruled_out:
        return "train again: the data rule the improvement out"
    if entry.format_gap is not None:
        return "give both models the format, or ask for a gain in score, of which the share of format is known"
    # What a claim lacks is decided by its weakest part.
    measure, bound = max(
        entry.parts, key=lambda part: one_sided_p(gain(part[0]), part[1], part[0].groups, figures.confidence)
    )
    found = gain(measure)
    distance = (found.value or 0.0) - bound
    told = more_items(measure, found, distance, figures.confidence, claims)
    smallest = smallest_gain(measure, found, figures.confidence, claims)
    return told if smallest is None else f"{told}; {measure.n:,} items find a gain of {smallest:.3f}"
