"""Rules of one figure each: guardrail, absolute bound, zero tolerance, and what is only shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evals.gate import words
from evals.gate.findings import Finding, Verdict
from evals.gate.planning import more_items, one_sided_p
from evals.gate.policy import AbsoluteRule, GuardrailRule, ZeroToleranceRule
from evals.measures import Estimate, Measure
from evals.stats import benjamini_hochberg

NEW = "new"
"""Key of `Measure.events`: events of the tuned model on items where the base had none."""


def gain(measure: Measure) -> Estimate:
    """The difference, turned so that above 0 is better; without value where there is no base."""
    found = measure.difference or Estimate(value=None)
    return found if measure.better == "higher" else _turned(found)


def guardrail(rule: GuardrailRule, measure: Measure, confidence: float) -> Finding:
    """Three-way: a whole interval beyond the margin is harm, one that excludes the margin holds, the rest is open.

    Without an interval the figures say neither. To hold, Newcombe's interval must exclude the margin as well.
    """
    found, margin, name = gain(measure), rule.margin, words.name(measure)
    shown = f"{name} difference {words.signed(_told(measure))} ({words.sample(measure)})"
    if found.low is None or found.high is None or found.least is None:
        remedy = more_items(measure, found, margin, confidence)
        return Finding("INCONCLUSIVE", f"{shown} says nothing of a loss", rule.kind, remedy, name)
    if found.high < -margin:
        remedy = "look at the flips in the report"
        return Finding("BLOCK", f"{shown} is a loss of more than {margin:g}", rule.kind, remedy, name)
    if not rule.must_be_shown:
        return Finding("PROMOTE", f"{shown}, a loss of more than {margin:g} is not shown", rule.kind, name=name)
    if found.least > -margin:
        return Finding("PROMOTE", f"{shown} rules out a loss of more than {margin:g}", rule.kind, name=name)
    if found.low > -margin:
        shown += f", at worst {-found.least:g} lost by Newcombe's interval,"
    # Planned for models that are equal in truth: to be shown equal is what a guardrail asks for.
    remedy = more_items(measure, found, margin + max(0.0, found.value or 0.0), confidence)
    return Finding("INCONCLUSIVE", f"{shown} does not rule out a loss of more than {margin:g}", rule.kind, remedy, name)


def absolute(rule: AbsoluteRule, measure: Measure, confidence: float) -> Finding:
    """The tuned model's own value against a bound."""
    value = measure.arms.get("tuned", Estimate(value=None))
    sign, bound = (1, rule.at_least) if rule.at_least is not None else (-1, rule.at_most)
    assert bound is not None
    name = words.name(measure)
    comparison = "at least" if sign > 0 else "at most"
    told = f"{name} of the tuned model {words.plain(value)} ({words.sample(measure)}), wanted {comparison} {bound:g}"
    if value.value is None:
        return Finding("INCONCLUSIVE", told, rule.kind, "see the note of the metric in summary.json", name)
    worst, best = (value.low, value.high) if sign > 0 else (value.high, value.low)
    deciding = worst if rule.must_be_shown else value.value
    if deciding is not None and sign * (deciding - bound) >= 0:
        return Finding("PROMOTE", told, rule.kind, name=name)
    if best is not None and sign * (best - bound) < 0:
        return Finding("BLOCK", told, rule.kind, "look at the failures in the report", name)
    remedy = more_items(measure, value, sign * (value.value - bound), confidence)
    return Finding("INCONCLUSIVE", told, rule.kind, remedy, name)


def zero_tolerance(rule: ZeroToleranceRule, measure: Measure) -> Finding:
    """No new event, and the upper bound of the rate at most at the cap."""
    assert measure.events is not None and measure.trials is not None
    events, trials, value = measure.events["tuned"], measure.trials["tuned"], measure.arms["tuned"]
    new, name = measure.events.get(NEW, events), words.name(measure)
    unit = "" if measure.unit == "share" else f" {measure.unit}"
    told = (
        f"{name}: {events} in {trials:,} trials ({words.sample(measure)}), new on {new:,} items, "
        f"{words.plain(value)}{unit}; wanted none new and at most {rule.cap:g} possible"
    )
    if new or (value.low is not None and value.low > rule.cap):
        return Finding("BLOCK", told, rule.kind, "read each in the report; no number of items mends it", name)
    if value.high is not None and value.high <= rule.cap:
        return Finding("PROMOTE", told, rule.kind, name=name)
    if value.high is None:
        return Finding("INCONCLUSIVE", told, rule.kind, "ask items of more groups: these give no bound", name)
    # The bound of a rare event falls with the number of groups (the rule of three).
    needed = math.ceil(measure.groups * value.high / rule.cap)
    remedy = f"about {needed - measure.groups:,} more groups without an event, {needed:,} in all"
    return Finding("INCONCLUSIVE", told, rule.kind, remedy, name)


def advisories(measures: Sequence[Measure], confidence: float) -> list[Finding]:
    """What is shown and never decides; over several differences q-values by Benjamini and Hochberg."""
    tested = [measure for measure in measures if gain(measure).value is not None]
    p = [_two_sided(measure, confidence) for measure in tested]
    q = {id(measure): value for measure, value in zip(tested, benjamini_hochberg(p), strict=True)}
    verdict: Verdict = "PROMOTE"
    findings = []
    for measure in measures:
        arms = ", ".join(f"{arm} {words.plain(value)}" for arm, value in measure.arms.items())
        told = f"{words.name(measure)} {arms}".strip()
        if id(measure) in q:
            told += f", difference {words.signed(_told(measure))}, exploratory: q {q[id(measure)]:.3f}"
        findings.append(Finding(verdict, f"{told} ({words.sample(measure)})", "advisory", name=words.name(measure)))
    return findings


def _two_sided(measure: Measure, confidence: float) -> float:
    if measure.p is not None:
        return measure.p
    found = gain(measure)
    turned = _turned(found)
    return min(1.0, 2 * min(one_sided_p(side, 0.0, measure.groups, confidence) for side in (found, turned)))


def _turned(estimate: Estimate) -> Estimate:
    """The same with the sign changed."""

    def minus(end: float | None) -> float | None:
        return None if end is None else -end

    return estimate.model_copy(
        update={
            "value": minus(estimate.value),
            "low": minus(estimate.high),
            "high": minus(estimate.low),
            "newcombe_low": minus(estimate.newcombe_high),
            "newcombe_high": minus(estimate.newcombe_low),
        }
    )


def _told(measure: Measure) -> Estimate:
    """The difference as the report tells it, tuned minus base, whichever way is better."""
    return measure.difference or Estimate(value=None)
