"""How figures are written in findings."""

from __future__ import annotations

from evals.measures import Estimate, Measure


def name(measure: Measure) -> str:
    """`policy_qa: TAR@4`, or the metric alone for all tasks together."""
    return f"{measure.task}: {measure.name}" if measure.task else measure.name


def signed(estimate: Estimate) -> str:
    """`+0.120 [+0.034, +0.206]`, a difference."""
    return _shown(estimate, "+.3f")


def plain(estimate: Estimate) -> str:
    """`0.82 [0.75, 0.89]`, a value."""
    return _shown(estimate, ".3f")


def sample(measure: Measure) -> str:
    """`n 36, 18 groups`."""
    return f"n {measure.n}, {measure.groups} groups"


def _shown(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{form}} [no interval]"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


def percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def level(confidence: float) -> str:
    """`95 %`, the level of an interval."""
    return f"{100 * confidence:g} %"
