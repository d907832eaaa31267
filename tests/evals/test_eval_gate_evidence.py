"""The gate over evidence on disk: signed releases, exit statuses, files for CI, and edits that it refuses."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.errors import EvalError
from evals.gate.policy import GatePolicy
from evals.gate.preconditions import of_evidence
from evals.gate.release import judge, policy_digest
from evals.records import RawAttempt
from evals.run import evaluate, read_evidence
from tests.evals.conftest import World
from tests.evals.editing import forge
from tianjing.errors import TianjingError
from tianjing.lineage import artefact, artefact_digest, read_release, verify_release
from tianjing.lineage.manifest import MANIFEST


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
    assert (status, release["verdict"]) == (0, "promote"), output
    assert "PROMOTE" in output and "policy_qa: invalid_rate of the tuned model 0.000" in output
    for name in ("base", "adapter", "dataset"):
        assert release[name] == artefact_digest(getattr(world, name))
    assert release["merged"] == artefact_digest(world.tuned) and release["evaluation"] == artefact_digest(world.out)
    assert release["policy"] == policy_digest(GatePolicy())
    assert "note: every interval has a level of 95 % or more" in release["reasons"]
    days = datetime.fromisoformat(release["expires"]) - datetime.fromisoformat(release["created"])
    assert days.days == 90
    path = world.out.parent / "release.json"
    assert verify_release(path).verdict == "promote"
    page = world.out.parent / "report.html"
    shown = CliRunner().invoke(app, ["report", str(world.out), "--release", str(path), "--out", str(page)])
    assert shown.exit_code == 0 and "equal to the stored summary" in shown.output
    assert "准予发布（PROMOTE）" in page.read_text()


def test_figures_beside_the_evaluation_come_from_a_known_stage_alone(world: World) -> None:
    evaluated(world)
    with pytest.raises(EvalError, match="neither a parity check nor a judgement"):
        judge(world.out, GatePolicy(), [world.dataset])


def test_the_verdict_is_the_exit_status_and_reaches_ci(world: World) -> None:
    world.skill = {"base": 0.9, "merged": 0.2}
    evaluated(world)
    files = {name: world.out.parent / f"gate.{name}" for name in ("junit", "markdown")}
    status, output, release = gate(world, *(f"--{name}={path}" for name, path in files.items()))
    assert (status, release["verdict"]) == (1, "block") and "is a loss of more than" in output
    assert gate(world, "--exit-zero")[0] == 0
    suite = ET.parse(files["junit"]).getroot()[0]
    failed = {case.get("name"): case for case in suite if case.find("failure") is not None}
    assert "guardrail policy_qa: score" in failed
    told = failed["guardrail policy_qa: score"].find("failure")
    assert told is not None and "is a loss of more than 0.03" in str(told.get("message"))
    assert suite.get("failures") == str(len(failed)) and suite.get("errors") == "0"
    lines = files["markdown"].read_text().splitlines()
    assert lines[0].startswith("## BLOCK") and any("| BLOCK | guardrail | policy_qa: score" in line for line in lines)


def test_an_equal_model_is_inconclusive(world: World) -> None:
    world.skill = {"base": 0.5, "merged": 0.5}
    evaluated(world)
    status, output, _ = gate(world)
    assert status == 2 and "→" in output


def test_without_a_release_file_it_only_decides(world: World) -> None:
    evaluated(world)
    result = CliRunner().invoke(app, ["gate", str(world.out)])
    assert result.exit_code == 0 and "PROMOTE" in result.output
    incomplete = CliRunner().invoke(app, ["gate", str(world.out), "--out", str(world.out.parent / "r.json")])
    assert "--base is not given" in str(incomplete.exception)


def edits(whole: bytes, name: str) -> Iterator[bytes]:
    """The file with one byte changed, several times."""
    rng = random.Random(name)
    for _ in range(8):
        at, value = rng.randrange(len(whole)), rng.randrange(1, 256)
        yield whole[:at] + bytes([whole[at] ^ value]) + whole[at + 1 :]


@pytest.mark.parametrize("name", ["attempts.jsonl", "items.jsonl", "run.json", "summary.json", "report.html"])
def test_random_edits_of_every_file_of_the_evidence_are_refused(world: World, name: str) -> None:
    evaluated(world)
    path = world.out / name
    whole = path.read_bytes()
    for edited in edits(whole, name):
        path.write_bytes(edited)
        assert judge(world.out, GatePolicy()).verdict == "INVALID"
    path.write_bytes(whole)
    assert judge(world.out, GatePolicy()).verdict == "PROMOTE"


def test_an_edited_manifest_is_refused_even_where_it_only_tells(world: World) -> None:
    evaluated(world)
    path = world.out / MANIFEST
    for edited in edits(path.read_bytes(), MANIFEST):
        path.write_bytes(edited)
        with contextlib.suppress(TianjingError):
            assert judge(world.out, GatePolicy()).verdict == "INVALID"


def test_a_changed_evidence_is_signed_as_invalid(world: World) -> None:
    evaluated(world)
    (world.out / "note.txt").write_text("added later")
    status, output, release = gate(world)
    assert (status, release["verdict"]) == (3, "invalid") and "was changed after it was written" in output


def test_figures_that_the_raw_outputs_do_not_give_are_refused_even_under_a_fitting_manifest(world: World) -> None:
    world.skill = {"base": 0.9, "merged": 0.2}
    evaluated(world)
    path = world.out / "summary.json"
    summary = json.loads(path.read_text())
    for task in summary["tasks"].values():
        task.update(difference=0.5, ci_low=0.4, ci_high=0.6)
    path.write_text(json.dumps(summary))
    forge(world.out)
    decision = judge(world.out, GatePolicy())
    assert decision.verdict == "INVALID" and "not those that the raw outputs give" in decision.findings[0].reason


def problems(world: World, policy: GatePolicy | None = None, **changes: Any) -> list[str]:
    """What the gate says of the evidence once every tuned attempt is changed so."""
    evidence = read_evidence(world.out)
    attempts = [row.model_copy(update=changes if row.arm == "tuned" else {}) for row in evidence.attempts]
    return of_evidence(attempts, evidence.run, policy or GatePolicy())


def test_models_that_were_asked_differently_are_not_compared(world: World) -> None:
    evaluated(world)
    assert problems(world) == []
    assert "sampled at other temperatures" in problems(world, temperature=1.5)[0]
    assert "error rate 100.0 % of the tuned model" in problems(world, error="timeout")[0]
    assert "answered twice" in problems(world, item="i", condition="greedy", repeat=0)[0]


def test_copies_are_refused_where_no_seed_canary_shows_that_seeds_are_heeded(world: World) -> None:
    evaluated(world)
    assert problems(world, output="same") == [], "a model may be this certain"
    evidence = read_evidence(world.out)
    copies = [row.model_copy(update={"output": "same"}) for row in evidence.attempts]

    def told(attempts: list[RawAttempt], canary: Any) -> list[str]:
        arms = {arm: {**details, "seed_canary": canary} for arm, details in evidence.run["arms"].items()}
        return of_evidence(attempts, {**evidence.run, "arms": arms}, GatePolicy())

    for unknown in (None, {"outputs": []}, {"outputs": ["a"]}):
        assert "repeated items are byte-identical" in told(copies, unknown)[0], "as before there were canaries"
        assert told(evidence.attempts, unknown) == []
    assert "the server ignored the seeds" in told(evidence.attempts, {"outputs": ["a", "a", "a"]})[0]


def test_prompts_may_differ_by_the_worked_examples_that_the_run_names_and_by_nothing_else(world: World) -> None:
    evaluated(world)
    strict = GatePolicy(allow_worked_examples=False)
    assert "worked examples are not allowed" in problems(world, strict)[0]
    evidence = read_evidence(world.out)
    unnamed = {**evidence.run, "shots": {}}
    assert "names no worked examples" in of_evidence(evidence.attempts, unnamed, GatePolicy())[0]
    world.config = world.config.model_copy(update={"shots": 0})
    evaluated(world)
    assert problems(world, strict) == []


def test_another_model_than_the_evaluated_one_is_invalid(world: World) -> None:
    evaluated(world)
    (world.base / "weights.bin").write_text("other weights")
    status, output, _ = gate(world)
    assert status == 3 and "is not what was evaluated as base" in output


def test_a_merged_model_of_another_adapter_is_invalid(world: World) -> None:
    evaluated(world)
    (world.adapter / "weights.bin").write_text("another adapter")
    status, output, _ = gate(world)
    assert status == 3 and "was not made from" in output


def test_a_model_may_be_judged_against_the_one_released_so_far(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.base, tmp_path / "incumbent")
    (tmp_path / "incumbent" / "weights.bin").write_text("incumbent")
    world.skill["incumbent"] = 0.3
    evaluate(world.dataset, tmp_path / "incumbent", world.tuned, world.out, world.config)
    assert gate(world)[0] == 3
    status, output, release = gate(world, f"--against={tmp_path / 'incumbent'}")
    assert status == 0 and release["base"] == artefact_digest(world.base), output


def test_a_model_tuned_in_full_is_released_without_an_adapter_and_merged_weights_are_not(world: World) -> None:
    evaluated(world)
    out = world.out.parent / "release.json"
    given = [f"--base={world.base}", f"--dataset={world.dataset}", f"--out={out}"]
    result = CliRunner().invoke(app, ["gate", str(world.out), *given, f"--merged={world.tuned}"])
    assert isinstance(result.exception, EvalError) and "give --adapter FOLDER" in str(result.exception)
    assert result.exception.exit_code == 3 and not out.exists()

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


def test_a_policy_typo_is_named_and_nothing_is_decided(world: World) -> None:
    evaluated(world)
    config = world.out.parent / "gate.yaml"
    config.write_text("min_task_improved: 1\n")
    result = gate(world, f"--config={config}")
    assert result[0] != 0 and result[2] == {}


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
