"""Verdicts of the release gate, from hand-made summaries and from evidence on disk."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.config import GatePolicy
from evals.errors import EvalError
from evals.gate import decide
from evals.release import policy_digest
from evals.run import evaluate
from tests.evals.conftest import World
from tianjing.lineage import artefact, artefact_digest, read_release, verify_release


def make_task(difference: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "format_only": {"difference": 0.3, "ci_low": 0.2, "ci_high": 0.4},
        "invalid": {"tuned": {"rate": 0.0, "ci_low": 0.0, "ci_high": 0.06}},
        "stability": {"tuned": {"k": 4, "pass_ratio": {"estimate": 0.9, "ci_low": 0.8, "ci_high": 1.0}}},
    }


@pytest.fixture
def summary() -> dict[str, Any]:
    tasks = {"a": make_task(0.3, 0.2, 0.4), "b": make_task(0.2, 0.05, 0.35), "c": make_task(0.0, -0.1, 0.1)}
    return {"tasks": tasks, "unmatched": [], "error_rate": 0.0, "shared_groups": 0}


def verdict(summary: dict[str, Any], policy: GatePolicy | None = None, broken: list[str] | None = None) -> str:
    return decide(summary, policy or GatePolicy(), broken)[0]


def test_enough_improvement_without_harm_is_promoted(summary: dict[str, Any]) -> None:
    decision, findings = decide(summary, GatePolicy())
    assert decision == "PROMOTE" and {finding.verdict for finding in findings} == {"PROMOTE"}
    assert "2 of 3 tasks improved" in findings[0].reason and "+0.300 [+0.200, +0.400]" in findings[0].reason


def test_must_block_a_task_that_got_worse(summary: dict[str, Any]) -> None:
    summary["tasks"]["c"] = make_task(-0.2, -0.3, -0.1)
    decision, findings = decide(summary, GatePolicy())
    assert decision == "BLOCK"
    assert findings[0].reason.startswith("c: difference -0.200 [-0.300, -0.100] is a loss")


def test_must_block_when_the_wanted_improvement_is_ruled_out(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(-0.02, -0.03, -0.01)
    assert verdict(summary) == "INCONCLUSIVE", "c may still be better"
    summary["tasks"]["c"] = make_task(-0.02, -0.02, 0.0)
    assert verdict(summary) == "BLOCK"


def test_an_interval_across_zero_is_inconclusive(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(0.1, -0.05, 0.25)
    assert verdict(summary) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(min_tasks_improved=1)) == "PROMOTE"


def test_no_interval_proves_nothing(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"] = make_task(0.9, None, None)
    assert verdict(summary) == "INCONCLUSIVE"


def test_learning_the_format_alone_is_no_improvement(summary: dict[str, Any]) -> None:
    summary["tasks"]["b"]["format_only"] = {"difference": 0.05, "ci_low": -0.05, "ci_high": 0.15}
    assert verdict(summary) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(beat_format_only=False)) == "PROMOTE"


def test_a_named_task_must_improve(summary: dict[str, Any]) -> None:
    assert verdict(summary, GatePolicy(must_improve=("a",))) == "PROMOTE"
    assert verdict(summary, GatePolicy(must_improve=("c",))) == "INCONCLUSIVE"
    with pytest.raises(EvalError, match="'poetry'"):
        decide(summary, GatePolicy(must_improve=("poetry",)))


def test_strict_guardrail_asks_for_proof_of_no_loss(summary: dict[str, Any]) -> None:
    assert verdict(summary, GatePolicy(require_non_inferiority=True)) == "INCONCLUSIVE"
    assert verdict(summary, GatePolicy(require_non_inferiority=True, guardrail_margin=0.15)) == "PROMOTE"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ({"estimate": 0.3, "ci_low": 0.1, "ci_high": 0.45}, "BLOCK"),
        ({"estimate": 0.4, "ci_low": 0.2, "ci_high": 0.7}, "INCONCLUSIVE"),
        ({"estimate": 0.5, "ci_low": 0.2, "ci_high": 0.7}, "PROMOTE"),
        ({"estimate": None, "ci_low": None, "ci_high": None}, "INCONCLUSIVE"),
    ],
)
def test_instability_holds_a_release_back(summary: dict[str, Any], ratio: dict[str, Any], expected: str) -> None:
    summary["tasks"]["a"]["stability"]["tuned"]["pass_ratio"] = ratio
    assert verdict(summary) == expected


def test_unreadable_answers_hold_a_release_back(summary: dict[str, Any]) -> None:
    summary["tasks"]["c"]["invalid"]["tuned"] = {"rate": 0.15, "ci_low": 0.05, "ci_high": 0.3}
    assert verdict(summary) == "INCONCLUSIVE"
    summary["tasks"]["c"]["invalid"]["tuned"] = {"rate": 0.4, "ci_low": 0.3, "ci_high": 0.5}
    assert verdict(summary) == "BLOCK"


def test_accuracy_alone_can_be_gated(summary: dict[str, Any]) -> None:
    for task in summary["tasks"].values():
        task["stability"] = {"tuned": {}}
    assert verdict(summary) == "PROMOTE"


@pytest.mark.parametrize(
    "damage",
    [{"error_rate": 0.011}, {"error_rate": None}, {"unmatched": ["a/i/greedy/0"], "tasks": {}}, {"shared_groups": 1}],
)
def test_evidence_that_cannot_be_trusted_is_invalid_whatever_it_says(
    summary: dict[str, Any], damage: dict[str, Any]
) -> None:
    assert verdict({**deepcopy(summary), **damage}) == "INVALID"
    assert verdict(summary, broken=["the evidence was changed"]) == "INVALID"


def gate(world: World, *options: str) -> tuple[int, str, dict[str, Any]]:
    out = world.out.parent / "release.json"
    folders = [f"--{name}={getattr(world, name)}" for name in ("base", "adapter", "dataset")]
    result = CliRunner().invoke(
        app, ["gate", str(world.out), f"--out={out}", *folders, f"--merged={world.tuned}", *options]
    )
    return result.exit_code, result.output, json.loads(out.read_text()) if out.exists() else {}


def evaluated(world: World) -> None:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)


def test_a_release_is_signed_and_names_what_was_decided_on(world: World) -> None:
    evaluated(world)
    status, output, release = gate(world)
    assert (status, release["verdict"]) == (0, "promote")
    assert "PROMOTE" in output and "policy_qa: unreadable answers 0.0 %" in output
    for name in ("base", "adapter", "dataset"):
        assert release[name] == artefact_digest(getattr(world, name))
    assert release["merged"] == artefact_digest(world.tuned) and release["evaluation"] == artefact_digest(world.out)
    assert release["policy"] == policy_digest(GatePolicy())
    days = datetime.fromisoformat(release["expires"]) - datetime.fromisoformat(release["created"])
    assert days.days == 90
    path = world.out.parent / "release.json"
    assert verify_release(path).verdict == "promote"
    page = world.out.parent / "report.html"
    shown = CliRunner().invoke(app, ["report", str(world.out), "--release", str(path), "--out", str(page)])
    assert shown.exit_code == 0 and "equal to the stored summary" in shown.output
    assert "准予发布（PROMOTE）" in page.read_text()


def test_a_worse_model_is_blocked_and_only_strict_fails_the_command(world: World) -> None:
    world.skill = {"base": 0.9, "merged": 0.2}
    evaluated(world)
    status, output, release = gate(world)
    assert (status, release["verdict"]) == (0, "block") and "is a loss of more than" in output
    assert gate(world, "--strict")[0] == 1


def test_an_equal_model_is_inconclusive(world: World) -> None:
    world.skill = {"base": 0.5, "merged": 0.5}
    evaluated(world)
    assert gate(world, "--strict")[0] == 2


def test_changed_evidence_is_invalid(world: World) -> None:
    evaluated(world)
    path = world.out / "summary.json"
    path.write_text(path.read_text().replace('"unmatched": []', '"unmatched": [] '))
    status, output, release = gate(world, "--strict")
    assert (status, release["verdict"]) == (3, "invalid") and "was changed after it was written" in output


def test_another_model_than_the_evaluated_one_is_invalid(world: World) -> None:
    evaluated(world)
    (world.base / "weights.bin").write_text("other weights")
    status, output, _ = gate(world, "--strict")
    assert status == 3 and "is not what was evaluated as base" in output


def test_a_merged_model_of_another_adapter_is_invalid(world: World) -> None:
    evaluated(world)
    (world.adapter / "weights.bin").write_text("another adapter")
    status, output, _ = gate(world, "--strict")
    assert status == 3 and "was not made from" in output


def test_a_model_tuned_in_full_is_released_without_an_adapter_and_merged_weights_are_not(world: World) -> None:
    evaluated(world)
    out = world.out.parent / "release.json"
    given = [f"--base={world.base}", f"--dataset={world.dataset}", f"--out={out}"]
    result = CliRunner().invoke(app, ["gate", str(world.out), *given, f"--merged={world.tuned}"])
    assert isinstance(result.exception, EvalError) and "give --adapter FOLDER" in str(result.exception)
    assert not out.exists()

    shutil.rmtree(world.tuned)
    shutil.rmtree(world.out)
    with artefact(world.tuned, kind="full", inputs=[world.dataset, world.base]) as work:
        (work.dir / "weights.bin").write_text("merged")
    evaluated(world)
    result = CliRunner().invoke(app, ["gate", str(world.out), *given, f"--merged={world.tuned}"])
    assert result.exit_code == 0 and "PROMOTE" in result.output, result.output
    release = verify_release(out)
    assert release.verdict == "promote" and release.adapter is None
    assert release.merged == artefact_digest(world.tuned)


def test_a_policy_typo_is_named(world: World) -> None:
    evaluated(world)
    config = world.out.parent / "gate.yaml"
    config.write_text("min_task_improved: 1\n")
    result = gate(world, f"--config={config}")
    assert result[0] != 0 and result[2] == {}


def test_policy_digest_depends_on_the_rules_not_on_where_the_key_lies() -> None:
    assert policy_digest(GatePolicy(signing_key=Path("/k"))) == policy_digest(GatePolicy())
    assert policy_digest(GatePolicy(guardrail_margin=0.5)) != policy_digest(GatePolicy())


def test_own_key_signs(world: World) -> None:
    from tianjing.lineage import keygen

    evaluated(world)
    public = keygen(world.out.parent / "own.pem")
    config = world.out.parent / "gate.yaml"
    config.write_text(f"signing_key: {world.out.parent / 'own.pem'}\n")
    gate(world, f"--config={config}")
    path = world.out.parent / "release.json"
    assert verify_release(path, trusted=public).verdict == "promote"
    assert read_release(path).policy == policy_digest(GatePolicy())
