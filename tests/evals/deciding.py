"""Hand-made summaries, and what the gate decides on them."""

from __future__ import annotations

from typing import Any

import pytest

from evals.gate.decide import decide
from evals.gate.findings import Decision, Finding
from evals.gate.policy import GatePolicy
from evals.measures import Estimate, Measure
from tianjing.config import parse


def make_task(difference: float, low: float | None, high: float | None, n: int = 60) -> dict[str, Any]:
    return {
        "n": n,
        "groups": n // 2,
        "base": 0.4,
        "tuned": 0.4 + difference,
        "intervals": {"base": [0.3, 0.5], "tuned": [0.3 + difference, 0.5 + difference]},
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "degrees": n // 2 - 1,
        "format_only": {"difference": 0.3, "ci_low": 0.2, "ci_high": 0.4, "degrees": n // 2 - 1},
        "beyond_format": {"difference": difference, "ci_low": low, "ci_high": high, "degrees": n // 2 - 1},
        "invalid": {arm: {"rate": 0.0, "ci_low": 0.0, "ci_high": 0.06} for arm in ("base", "tuned")},
        "stability": {"tuned": {"k": 4, "pass_ratio": {"estimate": 0.9, "ci_low": 0.8, "ci_high": 1.0}}},
    }


def measure(name: str, task: str = "a", **values: Any) -> dict[str, Any]:
    """A measure of 200 items in 100 groups; `value`, `gain` give the tuned value and the difference with bounds."""
    value, difference = values.pop("value", (0.8, 0.75, 0.85)), values.pop("difference", None)
    arms = {"tuned": Estimate(value=value[0], low=value[1], high=value[2])}
    if difference is not None:
        arms["base"] = Estimate(value=value[0] - difference[0])
        values["difference"] = Estimate(value=difference[0], low=difference[1], high=difference[2])
    return Measure(name=name, task=task, arms=arms, n=200, groups=100, **values).model_dump(mode="json")


@pytest.fixture
def summary() -> dict[str, Any]:
    tasks = {"a": make_task(0.3, 0.2, 0.4), "b": make_task(0.2, 0.08, 0.32), "c": make_task(0.0, -0.1, 0.1)}
    config = {"confidence": 0.95, "temperature": 0.3, "stability_items": 6}
    return {"tasks": tasks, "measures": [], "unmatched": [], "error_rate": 0.0, "shared_groups": 0, "config": config}


def verdict(summary: dict[str, Any], policy: GatePolicy | None = None, broken: list[str] | None = None) -> str:
    return decide(summary, policy or GatePolicy(), broken or []).verdict


def ruled(summary: dict[str, Any], *rules: dict[str, Any], **fields: Any) -> Decision:
    """The decision by these rules alone; `summary` gets the measures that a test adds."""
    return decide(summary, parse(GatePolicy, {"rules": list(rules), **fields}, "policy"))


def only(decision: Decision, kind: str) -> Finding:
    (found,) = [finding for finding in decision.findings if finding.kind == kind]
    return found
