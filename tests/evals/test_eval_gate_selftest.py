"""The self-test of a policy on an evaluation's own items."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from evals.cli import app
from evals.gate.policy import GatePolicy
from evals.gate.selftest import selftest
from evals.run import evaluate
from tests.evals.conftest import World
from tianjing.config import parse


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


def test_the_command_says_so_by_its_exit_status(world: World) -> None:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    lax = world.out.parent / "lax.yaml"
    lax.write_text("rules:\n  - {kind: absolute, metric: invalid_rate, at_most: 0.5}\n")
    result = CliRunner().invoke(app, ["gate", str(world.out), "--selftest", f"--config={lax}"])
    assert result.exit_code == 1 and "FAILED" in result.output, result.output
