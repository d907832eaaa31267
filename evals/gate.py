"""The release gate: from a summary and a policy to a verdict with its reasons, and a signed release.

Order of verdicts: an evaluation that cannot be trusted is INVALID, proven harm BLOCKs, what is not proven either way
is INCONCLUSIVE, and only what is left is PROMOTEd. All guardrails must hold together (an intersection-union test),
so their levels need no splitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from evals.config import GatePolicy
from evals.errors import EvalError

Verdict = Literal["PROMOTE", "BLOCK", "INCONCLUSIVE", "INVALID"]
EXIT_CODES: dict[Verdict, int] = {"PROMOTE": 0, "BLOCK": 1, "INCONCLUSIVE": 2, "INVALID": 3}
_SEVERITY: tuple[Verdict, ...] = ("INVALID", "BLOCK", "INCONCLUSIVE", "PROMOTE")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One rule of the policy and what it says: PROMOTE means that this rule holds."""

    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        return f"{'ok' if self.verdict == 'PROMOTE' else self.verdict}: {self.reason}"


def decide(summary: Json, policy: GatePolicy, broken: list[str] | None = None) -> tuple[Verdict, list[Finding]]:
    """Apply the policy.

    Args:
        broken: why the evidence cannot be trusted at all (changed files, other models than those evaluated).

    Returns:
        The verdict and every finding, the most severe first.

    Raises:
        EvalError: the policy names a task that was not evaluated.
    """
    invalid = [Finding("INVALID", reason) for reason in broken or []] + _preconditions(summary, policy)
    if invalid:
        return "INVALID", invalid
    tasks = summary["tasks"]
    unknown = sorted(set(policy.must_improve) - set(tasks))
    if unknown:
        raise EvalError(
            f"the gate policy asks for task '{unknown[0]}', which was not evaluated",
            f"evaluated tasks: {', '.join(sorted(tasks))}",
        )
    findings = _targets(tasks, policy)
    for name, task in sorted(tasks.items()):
        findings.append(_guardrail(name, task, policy))
        findings.append(_readable(name, task, policy))
        if task["stability"]["tuned"]:
            findings.append(_stable(name, task["stability"]["tuned"], policy))
    findings.sort(key=lambda finding: _SEVERITY.index(finding.verdict))
    return findings[0].verdict, findings


def release_body(
    verdict: Verdict,
    findings: list[Finding],
    digests: Mapping[str, str],
    policy: GatePolicy,
    now: datetime,
    temperature: float,
) -> dict[str, Any]:
    """The unsigned release (`tianjing.lineage.Release`): what was decided about which content, why, and until when."""
    return {
        **digests,
        "verdict": verdict.lower(),
        "reasons": [str(finding) for finding in findings],
        "temperature": temperature,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "expires": (now + timedelta(days=policy.expiry_days)).astimezone(UTC).isoformat(timespec="seconds"),
    }


def _preconditions(summary: Json, policy: GatePolicy) -> list[Finding]:
    found = []
    if summary["unmatched"]:
        found.append(
            f"{len(summary['unmatched'])} requests are not there for both models, e.g. {summary['unmatched'][0]}"
        )
    if summary["shared_groups"]:
        found.append(f"{summary['shared_groups']} groups of test items (customers, documents) also have training rows")
    if summary["error_rate"] is None or summary["error_rate"] > policy.max_error_rate:
        found.append(f"error rate {_percent(summary['error_rate'])} exceeds {_percent(policy.max_error_rate)}")
    return [Finding("INVALID", reason) for reason in found]


def _targets(tasks: Json, policy: GatePolicy) -> list[Finding]:
    findings = []
    proven = [name for name, task in sorted(tasks.items()) if _improved(task, policy)]
    possible = [name for name, task in sorted(tasks.items()) if not _ruled_out(task, policy)]
    for name in policy.must_improve:
        detail = f"{name} must improve: {_describe(tasks[name], policy)}"
        verdict: Verdict = "PROMOTE" if name in proven else "INCONCLUSIVE" if name in possible else "BLOCK"
        findings.append(Finding(verdict, detail))
    if policy.min_tasks_improved:
        wanted = policy.min_tasks_improved
        enough: Verdict = "PROMOTE" if len(proven) >= wanted else "INCONCLUSIVE" if len(possible) >= wanted else "BLOCK"
        listed = "; ".join(f"{name}: {_describe(task, policy)}" for name, task in sorted(tasks.items()))
        findings.append(Finding(enough, f"{len(proven)} of {len(tasks)} tasks improved, {wanted} wanted ({listed})"))
    return findings


def _improved(task: Json, policy: GatePolicy) -> bool:
    return _above(task["ci_low"]) and (not policy.beat_format_only or _above(task["format_only"]["ci_low"]))


def _ruled_out(task: Json, policy: GatePolicy) -> bool:
    """Whether the data show that the task has not improved: a whole interval at or below 0."""
    highs = [task["ci_high"]] + ([task["format_only"]["ci_high"]] if policy.beat_format_only else [])
    return any(high is not None and high <= 0 for high in highs)


def _above(low: float | None) -> bool:
    return low is not None and low > 0


def _describe(task: Json, policy: GatePolicy) -> str:
    text = f"{_signed(task['difference'])} {_interval(task['ci_low'], task['ci_high'])}"
    if policy.beat_format_only:
        control = task["format_only"]
        text += (
            f", over format-only {_signed(control['difference'])} {_interval(control['ci_low'], control['ci_high'])}"
        )
    return text


def _guardrail(name: str, task: Json, policy: GatePolicy) -> Finding:
    margin = policy.guardrail_margin
    shown = f"{name}: difference {_signed(task['difference'])} {_interval(task['ci_low'], task['ci_high'])}"
    if task["ci_high"] is not None and task["ci_high"] < -margin:
        return Finding("BLOCK", f"{shown} is a loss of more than {margin:g}")
    if policy.require_non_inferiority and (task["ci_low"] is None or task["ci_low"] <= -margin):
        return Finding("INCONCLUSIVE", f"{shown} does not rule out a loss of more than {margin:g}")
    return Finding("PROMOTE", f"{shown}, a loss of more than {margin:g} is not shown")


def _readable(name: str, task: Json, policy: GatePolicy) -> Finding:
    invalid, cap = task["invalid"]["tuned"], policy.max_invalid_rate
    shown = f"{name}: unreadable answers {_percent(invalid['rate'])}, cap {_percent(cap)}"
    if invalid["rate"] <= cap:
        return Finding("PROMOTE", shown)
    return Finding("BLOCK" if invalid["ci_low"] > cap else "INCONCLUSIVE", shown)


def _stable(name: str, tuned: Json, policy: GatePolicy) -> Finding:
    ratio, k = tuned["pass_ratio"], tuned["k"]
    if ratio["estimate"] is None:
        verdict: Verdict = "INCONCLUSIVE" if policy.min_pass_ratio else "PROMOTE"
        return Finding(verdict, f"{name}: pass^{k}/pass^1 is not defined: no repeat succeeded")
    shown = (
        f"{name}: pass^{k}/pass^1 {ratio['estimate']:.2f} {_interval(ratio['ci_low'], ratio['ci_high'], '.2f')}, "
        f"wanted {policy.min_pass_ratio:g}"
    )
    if ratio["estimate"] >= policy.min_pass_ratio:
        return Finding("PROMOTE", shown)
    proven = ratio["ci_high"] is not None and ratio["ci_high"] < policy.min_pass_ratio
    return Finding("BLOCK" if proven else "INCONCLUSIVE", shown)


def _interval(low: float | None, high: float | None, form: str = "+.3f") -> str:
    return "[no interval]" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"
