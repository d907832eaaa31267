"""Two runs joined into one paired evaluation: what makes them comparable, and what must not be passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.compare import compare
from evals.errors import EvalError
from evals.gate.policy import GatePolicy
from evals.gate.release import judge
from evals.material import task_table
from evals.run import ATTEMPTS, ITEMS, RUN, SUMMARY, Evidence, evaluate, read_evidence
from evals.scoring import score_all
from tests.evals.conftest import World
from tianjing.files import write_jsonl
from tianjing.lineage import artefact, artefact_digest

Change = Callable[[Evidence], Evidence]


def unchanged(evidence: Evidence) -> Evidence:
    return evidence


def alone(world: World, name: str, arm: str, change: Change = unchanged) -> Path:
    """A run that holds one model, as its arm `tuned`, made from one arm of the evaluation at `world.out`."""
    whole = read_evidence(world.out)
    run = {**whole.run, "shots": {}, "arms": {"tuned": whole.run["arms"][arm]}}
    attempts = [row.model_copy(update={"arm": "tuned", "prompt": "p"}) for row in whole.attempts if row.arm == arm]
    evidence = change(Evidence(whole.items, attempts, run))
    folder = world.out.parent / name
    with artefact(folder, kind="evaluation") as work:
        scored = score_all(evidence.attempts, {i.id: i for i in evidence.items}, task_table(run["definitions"]))
        write_jsonl(work.dir / ITEMS, (item.model_dump(mode="json") for item in evidence.items))
        write_jsonl(work.dir / ATTEMPTS, (row.model_dump(mode="json") for row in scored))
        (work.dir / RUN).write_text(json.dumps(evidence.run))
        (work.dir / SUMMARY).write_text(json.dumps({**evidence.run, "tasks": {}, "measures": []}))
    return folder


@pytest.fixture
def runs(world: World) -> World:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    return world


def joined(runs: World, change: Change, allow: bool = False) -> dict[str, Any]:
    first, second = alone(runs, "first", "base"), alone(runs, "second", "tuned", change)
    return compare(str(first), str(second), runs.out.parent / "joined", allow)


def test_two_runs_of_one_model_each_give_the_figures_of_a_paired_run(runs: World) -> None:
    summary = joined(runs, unchanged)
    paired = json.loads((runs.out / SUMMARY).read_text())
    assert summary["tasks"] == paired["tasks"] and summary["differences"] == []
    assert judge(runs.out.parent / "joined", GatePolicy()).verdict == "PROMOTE"
    assert summary["joined"]["base"]["run"] == artefact_digest(runs.out.parent / "first")
    assert summary["arms"]["tuned"]["digest"] == artefact_digest(runs.tuned)


def test_an_arm_of_a_paired_run_may_be_picked_and_must_be(runs: World) -> None:
    out = runs.out.parent / "joined"
    other = alone(runs, "other", "tuned")
    with pytest.raises(EvalError, match=f"{runs.out}:base or {runs.out}:tuned"):
        compare(str(runs.out), str(other), out)
    with pytest.raises(EvalError, match="has no arm 'base'"):
        compare(f"{other}:base", f"{runs.out}:tuned", out)
    again = compare(f"{runs.out}:tuned", f"{runs.out}:tuned", out)
    assert all(task["difference"] == 0 for task in again["tasks"].values())


def test_worked_examples_that_the_first_run_names_are_no_difference(runs: World) -> None:
    summary = compare(f"{runs.out}:base", f"{runs.out}:tuned", runs.out.parent / "joined")
    assert summary["shots"] == json.loads((runs.out / RUN).read_text())["shots"]
    assert summary["tasks"] == json.loads((runs.out / SUMMARY).read_text())["tasks"]


def drop_item(evidence: Evidence) -> Evidence:
    gone = evidence.items[0].id
    rows = [row for row in evidence.attempts if row.item != gone]
    return Evidence(evidence.items[1:], rows, evidence.run)


def drop_request(evidence: Evidence) -> Evidence:
    return Evidence(evidence.items, [row for row in evidence.attempts if row.condition != "wording1"], evidence.run)


def other_prompt(evidence: Evidence) -> Evidence:
    rows = [row.model_copy(update={"prompt": "q"} if row.repeat == 1 else {}) for row in evidence.attempts]
    return Evidence(evidence.items, rows, evidence.run)


def hotter(evidence: Evidence) -> Evidence:
    rows = [row.model_copy(update={"temperature": 0.9} if row.temperature else {}) for row in evidence.attempts]
    return Evidence(evidence.items, rows, {**evidence.run, "config": {**evidence.run["config"], "temperature": 0.9}})


def twice(evidence: Evidence) -> Evidence:
    return Evidence(evidence.items, [*evidence.attempts, evidence.attempts[0]], evidence.run)


def other_gold(evidence: Evidence) -> Evidence:
    first = evidence.items[0]
    changed = first.model_copy(update={"reference": {**first.reference, "quote": "另一条"}})
    return Evidence([changed, *evidence.items[1:]], evidence.attempts, evidence.run)


def in_run(**values: Any) -> Change:
    return lambda evidence: Evidence(evidence.items, evidence.attempts, {**evidence.run, **values})


def in_arm(**values: Any) -> Change:
    def change(evidence: Evidence) -> Evidence:
        arms = {"tuned": {**evidence.run["arms"]["tuned"], **values}}
        return Evidence(evidence.items, evidence.attempts, {**evidence.run, "arms": arms})

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop_item, "items only in the first run \\(1\\): next_reply-test"),
        (drop_request, "requests only in the first run \\(18\\): .*/wording1/0"),
        (other_prompt, "prompts \\(18\\): .*/sampled/1"),
        (hotter, "setting temperature: 0.3 and 0.9"),
        (hotter, "temperatures \\(72\\)"),
        (twice, "answered twice in .*second:tuned \\(1\\)"),
        (other_gold, "items of other content under one id \\(1\\)"),
        (in_run(dataset="0" * 64), "dataset: "),
        (in_run(definitions=[{}]), "task definitions"),
        (in_arm(engine="vllm 0"), "engine: .* and vllm 0"),
        (in_arm(chat_template="t"), "chat template: None and t"),
    ],
)
def test_every_difference_is_named_and_nothing_is_intersected(runs: World, change: Change, named: str) -> None:
    with pytest.raises(EvalError, match=named):
        joined(runs, change)
    assert not (runs.out.parent / "joined").exists()


@pytest.mark.parametrize("change", [drop_item, in_arm(engine="vllm 0")])
def test_differences_that_are_allowed_stay_in_the_evidence_and_the_gate_refuses_it(runs: World, change: Change) -> None:
    summary = joined(runs, change, allow=True)
    assert summary["differences"]
    assert judge(runs.out.parent / "joined", GatePolicy()).verdict == "INVALID"
    items = {item.id for item in read_evidence(runs.out.parent / "joined").items}
    assert items == {item.id for item in read_evidence(runs.out).items}, "the union, never the intersection"


def test_an_edited_run_is_not_joined(runs: World) -> None:
    first, second = alone(runs, "first", "base"), alone(runs, "second", "tuned")
    (second / ATTEMPTS).write_text((second / ATTEMPTS).read_text().replace('"score": 0.0', '"score": 1.0', 1))
    with pytest.raises(EvalError, match="changed after it was written"):
        compare(str(first), str(second), runs.out.parent / "joined")


def test_the_command_prints_the_figures(runs: World) -> None:
    first, second = alone(runs, "first", "base"), alone(runs, "second", "tuned")
    out = runs.out.parent / "joined"
    result = CliRunner().invoke(app, ["compare", str(first), str(second), f"--out={out}"])
    assert result.exit_code == 0 and "policy_qa" in result.output and (out / "report.html").exists()
