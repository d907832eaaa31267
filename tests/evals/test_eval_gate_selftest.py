"""The self-test of a policy on an evaluation's own items."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from evals.cli import app
from evals.gate.policy import GatePolicy
from evals.gate.selftest import selftest
from evals.run import evaluate
from tests.conftest import REPOSITORY
from tests.evals.conftest import World
from tianjing.config import load, parse


def trials(world: World, **policy: Any) -> dict[str, bool]:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    return {trial.told: trial.passed for trial in selftest(world.out, parse(GatePolicy, policy, "policy"), rounds=25)}


def test_a_sound_policy_mistakes_equal_models_rarely_and_blocks_a_model_that_knows_nothing(world: World) -> None:
    told = trials(world)
    assert all(told.values()), told
    assert any("harm is found by a guardrail in" in line for line in told)
    assert any("promoted in" in line for line in told)
    assert any("answers every item wrong, against one that answers all right: BLOCK" in line for line in told)


def test_a_policy_that_would_let_a_useless_model_pass_fails(world: World) -> None:
    rule = {"kind": "absolute", "metric": "invalid_rate", "at_most": 0.5, "must_be_shown": False}
    told = trials(world, rules=[rule])
    failed = [line for line, passed in told.items() if not passed]
    assert len(failed) == 1 and "PROMOTE, must be BLOCK" in failed[0]


def test_the_shipped_release_policy_can_be_tried_safety_and_all(world: World) -> None:
    policy = load(GatePolicy, REPOSITORY / "examples" / "gate" / "release.yaml")
    told = trials(world, **policy.model_dump(exclude_unset=True))
    assert all(told.values()), told
    assert not any(line.startswith("left out") for line in told), "breaches and leaks follow from the answers"


def test_rules_whose_figures_do_not_follow_from_the_answers_are_left_out_and_named(world: World) -> None:
    score = {"kind": "guardrail", "metric": "score", "margin": 0.1}
    beside = [
        {"kind": "absolute", "metric": "parity", "task": "", "at_least": 0.9},
        {"kind": "guardrail", "metric": "judge_useful", "task": "next_reply", "margin": 0.1},
    ]
    told = trials(world, rules=[score, *beside])
    assert all(told.values()), told
    assert [line for line in told if line.startswith("left out")] == [
        "left out: absolute on parity, not a figure of these answers",
        "left out: guardrail on judge_useful, not a figure of these answers",
    ]
    nothing = {
        trial.told: trial.passed for trial in selftest(world.out, parse(GatePolicy, {"rules": beside}, "policy"))
    }
    assert nothing.pop("no rule is left that these items alone could try") is False


def test_the_command_says_so_by_its_exit_status(world: World) -> None:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    lax = world.out.parent / "lax.yaml"
    lax.write_text("rules:\n  - {kind: absolute, metric: invalid_rate, at_most: 0.5}\n")
    result = CliRunner().invoke(app, ["gate", str(world.out), "--selftest", f"--config={lax}"])
    assert result.exit_code == 1 and "FAILED" in result.output, result.output
