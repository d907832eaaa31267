"""Apply a policy to a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evals.gate import bounds, preconditions, words
from evals.gate.figures import Figures, read_figures
from evals.gate.findings import Decision, Finding, decision
from evals.gate.metrics import JUDGE, out_of_reach, require_known
from evals.gate.policy import AbsoluteRule, GatePolicy, GuardrailRule, Rule, ZeroToleranceRule
from evals.gate.targets import Claim, claim, judge_claims
from evals.measures import Measure

Json = Mapping[str, Any]


def decide(summary: Json, policy: GatePolicy, broken: Sequence[str] = ()) -> Decision:
    """Apply the policy.

    All guardrails and bounds must hold together (an intersection-union test), so their levels need no splitting;
    claims of improvement are corrected by Holm.

    Args:
        summary: content of summary.json.
        broken: why the evidence cannot be trusted at all (changed files, other models than those evaluated).

    Raises:
        EvalError: the policy names a task that was not evaluated, or a metric that there is not.
    """
    findings = [Finding("INVALID", reason, "precondition") for reason in broken]
    figures = read_figures(summary)
    require_known(policy.in_force(), figures.metrics)
    findings += preconditions.of_summary(summary, figures, policy)
    told = f"every interval has a level of {words.level(figures.confidence)} or more"
    level = Finding("PROMOTE", told, "advisory", name="confidence")
    if findings:
        return decision([*findings, level])
    claims: list[Claim] = []
    shown: list[Measure] = []
    for rule in policy.in_force():
        if rule.kind == "target" and (rule.min_tasks or 0) > len(figures.names(rule)):
            told = f"{rule.min_tasks} improved tasks are wanted, of {len(figures.names(rule))}"
            findings.append(Finding("INVALID", told, "precondition", "ask for fewer, or evaluate more tasks"))
            continue
        for measure in _measures(rule, figures, findings):
            if told := out_of_reach(rule, measure):
                remedy = "give it in the unit of the metric: three in a hundred are a share of 0.03"
                findings.append(Finding("INVALID", told, "precondition", remedy, words.name(measure)))
            elif rule.kind == "target":
                made = claim(rule, measure, figures, policy)
                if isinstance(made, str):
                    findings.append(_missing(made, measure.task, figures))
                else:
                    claims.append(made)
            elif rule.kind == "advisory":
                shown.append(measure)
            else:
                findings.append(replace(_bounded(rule, measure, figures.confidence), metric=rule.metric))
    findings += judge_claims(claims, figures)
    findings = _judge_alone(findings)
    if not any(finding.kind != "advisory" for finding in findings):
        remedy = "give the policy a rule whose metric was measured"
        findings.append(Finding("INVALID", "no rule of the policy could be applied", "precondition", remedy))
    findings += bounds.advisories(shown, figures.confidence)
    return decision([*findings, level])


def _bounded(rule: GuardrailRule | AbsoluteRule | ZeroToleranceRule, measure: Measure, confidence: float) -> Finding:
    if rule.kind == "guardrail":
        return bounds.guardrail(rule, measure, confidence)
    if rule.kind == "absolute":
        return bounds.absolute(rule, measure, confidence)
    return bounds.zero_tolerance(rule, measure)


def _judge_alone(findings: Sequence[Finding]) -> list[Finding]:
    """Where only a judge's figures BLOCK, the release is INCONCLUSIVE: a judge is never the only one to say no."""
    if any(finding.verdict == "BLOCK" and not finding.metric.startswith(JUDGE) for finding in findings):
        return list(findings)
    remedy = "have people read these answers: a judge alone blocks nothing"
    return [
        replace(finding, verdict="INCONCLUSIVE", remedy=remedy) if finding.verdict == "BLOCK" else finding
        for finding in findings
    ]


def _measures(rule: Rule, figures: Figures, findings: list[Finding]) -> Iterator[Measure]:
    """What the rule is about; what was not measured becomes a finding, a note where the rule allows for it."""
    for task in figures.names(rule):
        measure = figures.find(rule.metric, task)
        if measure is not None and _serves(rule, measure):
            yield measure
        elif rule.kind == "advisory":
            told = f"{rule.metric} of {task or 'all tasks'} was not measured"
            findings.append(Finding("PROMOTE", told, rule.kind, name=rule.metric))
        elif rule.if_measured:
            told = _missing(rule.metric, task, figures, rule.kind).reason
            findings.append(Finding("PROMOTE", f"{told}: its rule was not applied", "advisory", name=rule.metric))
        else:
            findings.append(_missing(rule.metric, task, figures, rule.kind))


def _serves(rule: Rule, measure: Measure) -> bool:
    """Whether the measure holds what this kind of rule reads."""
    if rule.kind in ("target", "guardrail"):
        return measure.difference is not None
    if rule.kind == "absolute":
        return "tuned" in measure.arms
    if rule.kind == "zero_tolerance":
        return all("tuned" in (part or {}) for part in (measure.events, measure.trials, measure.arms))
    return True


def _missing(metric: str, task: str, figures: Figures, kind: str = "target") -> Finding:
    where = f" of {task}" if task else ""
    found = figures.find(metric, task)
    if found is None:
        elsewhere = sorted(name or "all tasks together" for measured, name in figures.measures if measured == metric)
        remedy = (
            f"measured of: {', '.join(elsewhere)}; name these in the rule, or set if_measured"
            if elsewhere
            else f"evaluate with what it needs, or mend the name; measured: {', '.join(figures.metrics)}"
        )
        return Finding("INVALID", f"MISSING: {metric}{where} was not measured", "precondition", remedy, metric)
    if kind == "zero_tolerance":
        lacks, remedy = "counts no events", "use an absolute rule"
    elif kind == "absolute":
        lacks, remedy = "has no value of the tuned model alone", "use a guardrail"
    else:
        lacks, remedy = "has no difference to a base", "join two runs: tianjing eval compare BASE TUNED --out DIR"
    return Finding("INVALID", f"MISSING: {metric}{where} {lacks}", "precondition", remedy, metric)
