"""What stands in a policy: mistakes that are named, and what a rule cannot mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.errors import EvalError
from evals.gate.decide import decide
from evals.gate.metrics import require_known
from evals.gate.policy import GatePolicy
from evals.gate.release import policy_digest
from evals.run import evaluate
from tests.conftest import REPOSITORY
from tests.evals.conftest import World
from tests.evals.deciding import measure, ruled, summary
from tianjing.config import load, parse
from tianjing.errors import TianjingError

__all__ = ["summary"]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"rules": [{"kind": "guardrail", "metric": "score", "margn": 0.1}]}, "did you mean 'margin'"),
        ({"rules": [{"kind": "veto", "metric": "score"}]}, "'target', 'guardrail'"),
        ({"rules": [{"kind": "advisory", "metric": "score"}]}, "never decide"),
        ({"rules": [{"kind": "absolute", "metric": "score"}]}, "at_least or at_most"),
        ({"rules": [{"kind": "target", "metric": "score"}], "min_tasks_improved": 1}, "short form"),
        ({"rules": [{"kind": "target", "metric": "score", "task": "a", "min_tasks": 2}]}, "task '\\*'"),
        ({"rules": [{"kind": "target", "metric": "TAR@4", "beat_format_only": True}]}, "metric 'score'"),
        ({"rules": [{"kind": "target", "metric": "score", "task": ["a", "a"], "min_tasks": 2}]}, "'a' is listed twice"),
        ({"rules": [{"kind": "target", "metric": "score", "task": []}]}, "names no task"),
        ({"rules": [{"kind": "target", "metric": "score", "task": ["", "a"], "min_tasks": 2}]}, "all of them"),
        ({"guardrail_margin": 3}, "guardrail_margin"),
    ],
)
def test_a_mistake_in_the_policy_is_named(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(TianjingError, match=message):
        parse(GatePolicy, policy, "gate.yaml")


def test_the_short_form_is_the_same_policy_as_its_rules(summary: dict[str, Any]) -> None:
    short = GatePolicy(min_tasks_improved=1, must_improve=("a",), guardrail_margin=0.2)
    written = GatePolicy(rules=short.in_force())
    assert decide(summary, short) == decide(summary, written)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples" / "gate").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_policies_read(path: Path) -> None:
    assert load(GatePolicy, path).in_force()


def test_policy_digest_depends_on_the_rules_not_on_where_the_key_lies() -> None:
    assert policy_digest(GatePolicy(signing_key=Path("/k"))) == policy_digest(GatePolicy())
    assert policy_digest(GatePolicy(guardrail_margin=0.5)) != policy_digest(GatePolicy())


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "guardrail", "metric": "score", "margin": 3},
        {"kind": "guardrail", "metric": "score", "margin": 1},
        {"kind": "target", "metric": "score", "min_gain": 2},
        {"kind": "absolute", "metric": "score", "at_most": 5},
        {"kind": "absolute", "metric": "score", "at_most": 1},
        {"kind": "absolute", "metric": "score", "at_least": 80},
        {"kind": "zero_tolerance", "metric": "pii_leaks", "cap": 1},
    ],
    ids=str,
)
def test_a_bound_that_decides_nothing_is_refused(summary: dict[str, Any], rule: dict[str, Any]) -> None:
    """Percent written where a share is meant: a loss of three whole units never happens."""
    counts = {"events": {"tuned": 0}, "trials": {"tuned": 200}, "better": "lower"}
    summary["measures"] = [measure("pii_leaks", value=(0.0, 0.0, 0.03), **counts)]
    found = ruled(summary, {**rule, "task": "a"}).findings[0]
    assert found.verdict == "INVALID" and "a share reaches to 1" in found.reason and "0.03" in found.remedy


def test_a_bound_in_the_unit_of_its_metric_is_judged(summary: dict[str, Any]) -> None:
    summary["measures"] = [
        measure(
            "breaches",
            "",
            unit="per 1,000 agent turns",
            value=(0.0, 0.0, 9.0),
            better="lower",
            events={"tuned": 0},
            trials={"tuned": 500},
        ),
        measure("semantic_entropy", unit="nats", value=(1.2, 1.0, 1.4), better="lower"),
        measure("parity", value=(1.0, 1.0, 1.0)),
    ]
    rules = [
        {"kind": "zero_tolerance", "metric": "breaches", "task": "", "cap": 10},
        {"kind": "absolute", "metric": "semantic_entropy", "task": "a", "at_most": 1.5},
        {"kind": "absolute", "metric": "parity", "task": "a", "at_least": 1},
    ]
    assert ruled(summary, *rules).verdict == "PROMOTE"
    assert "reaches to 1000" in ruled(summary, {**rules[0], "cap": 1000}).findings[0].reason


def test_a_rule_that_was_left_out_is_named(summary: dict[str, Any]) -> None:
    passing = {"kind": "target", "metric": "score", "task": "a"}
    skipped = {"kind": "guardrail", "metric": "pass^4", "task": ["a", "b"], "margin": 0.1, "if_measured": True}
    decision = ruled(summary, passing, skipped)
    told = [str(finding) for finding in decision.findings if finding.name == "pass^4"]
    assert decision.verdict == "PROMOTE"
    assert told == [f"note: MISSING: pass^4 of {task} was not measured: its rule was not applied" for task in "ab"]


@pytest.mark.parametrize(
    ("name", "meant"), [("scroe", "score"), ("pii_leak", "pii_leaks"), ("flip_rate/nonsense", "flip_rate")]
)
@pytest.mark.parametrize("skippable", [True, False])
def test_a_metric_that_there_is_not_is_a_mistake_in_the_policy(
    summary: dict[str, Any], name: str, meant: str, skippable: bool
) -> None:
    passing = {"kind": "target", "metric": "score", "task": "a"}
    with pytest.raises(EvalError, match=f"'{name}', which is no metric; did you mean '{meant}'"):
        ruled(summary, passing, {"kind": "guardrail", "metric": name, "margin": 0.03, "if_measured": skippable})


def test_every_metric_that_is_measured_may_be_named_where_it_was_not(world: World) -> None:
    config = world.config.model_copy(
        update={"conditions": ("concurrent1", "concurrent4"), "variant_repeats": ("text",)}
    )
    world.answers_others("无依据")
    measures = evaluate(world.dataset, world.base, world.tuned, world.out, config)["measures"]
    names = {row["name"] for row in measures} | {"judge_useful", "injection_success", "canary_hits", "parity"}
    assert {"wording_effect", "batch_determinism", "breaches"} <= names
    rules = [{"kind": "guardrail", "metric": name, "margin": 0.1} for name in sorted(names)]
    require_known(parse(GatePolicy, {"rules": rules}, "policy").rules, ())
