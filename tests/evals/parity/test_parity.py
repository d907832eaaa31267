"""Parity is met when three ways to one model answer alike, and what is said when they do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.errors import EvalError
from evals.gate.beside import read_beside
from evals.gate.policy import GatePolicy
from evals.measures import Measure
from evals.parity.compare import bfloat16_step, first_divergence
from evals.parity.run import check_parity, parity_measures
from tests.evals.parity.conftest import Ways, refused
from tianjing.lineage import artefact_digest


def run(ways: Ways) -> dict[str, Any]:
    base, adapter, merged = ways.folders.values()
    return check_parity(ways.dataset, base, adapter, merged, ways.out, ways.config)


def only(cell: str, words: str, answer: str) -> Callable[[str, str, str], str]:
    """Answers `answer` in `cell` (or way) to the one question with these words."""
    return lambda asked, question, text: answer if asked.startswith(cell) and words in question else text


@pytest.mark.parametrize(
    ("a", "b", "position"),
    [([5, 6, 0], [5, 6, 0], None), ([5, 6, 0], [5, 7, 0], 1), ([5, 0], [5, 6, 0], 1), ([5], [5, 6], 1), ([], [5], 0)],
)
def test_the_end_of_an_answer_counts_as_a_token(a: list[int], b: list[int], position: int | None) -> None:
    assert first_divergence(a, b) == first_divergence(b, a) == position


def test_a_step_is_the_distance_to_the_next_bfloat16_number() -> None:
    torch = pytest.importorskip("torch")
    for value in (0.3, 1.0, 1.99, 15.9, 16.0, 31.0, -40.0):
        near = torch.tensor(value, dtype=torch.bfloat16)
        away = torch.nextafter(near, torch.tensor(float("inf")).copysign(near).to(torch.bfloat16))
        assert bfloat16_step(float(near)) == abs(float(away - near))


def test_equal_answers_of_all_ways_meet_parity_and_the_page_says_so(ways: Ways) -> None:
    summary = run(ways)
    assert summary["met"] and summary["reasons"] == []
    assert summary["items"] == summary["closed_items"] == 24
    engines = (f"{way}-bfloat16@{load}" for way in ("merged", "lora") for load in (1, 4))
    assert {name: (cell["items"], cell["dtype"]) for name, cell in summary["cells"].items()} == {
        **dict.fromkeys(("peft-float32@1", "peft-float32@4"), (24, "float32")),
        **dict.fromkeys(engines, (24, "bfloat16")),
    }
    # Two ways at the same load decide; beside them stands what load alone changes.
    assert [pair["decides"] for pair in summary["pairs"]].count("bfloat16") == 6 and len(summary["pairs"]) == 9
    page = (ways.out / "parity.md").read_text(encoding="utf-8")
    assert page.startswith("# Parity: met") and "No closed-form answer differs" in page


def test_one_other_answer_of_24_is_not_parity_and_is_shown_with_both_texts(ways: Ways) -> None:
    ways.change = only("merged", "还差5天", '{"rule":"Q01"}')
    summary = run(ways)
    assert not summary["met"]
    # Both loads of the merged weights, each against both other ways.
    told = [reason for reason in summary["reasons"] if "23 of 24 closed-form answers equal, 95.8 %" in reason]
    assert len(told) == 4 and all("quality_inspection-test-005" in reason for reason in told)
    assert all("wanted 99.5 %" in reason and "1 rounding" in reason for reason in told)
    page = (ways.out / "parity.md").read_text(encoding="utf-8")
    assert "### quality_inspection-test-005: peft-float32@1 and merged-bfloat16@1, rounding" in page
    assert '> {"rule":"Q01"}' in page and "merged-bfloat16@1 (answer `Q01`)" in page
    by_pair = {(pair["a"], pair["b"]): pair for pair in summary["pairs"]}
    assert by_pair["merged-bfloat16@1", "merged-bfloat16@4"]["closed"]["equal"] == 24


def test_texts_that_part_at_a_tie_after_the_same_answer_are_parity_and_past_a_tie_are_not(ways: Ways) -> None:
    ways.change = lambda cell, question, text: text + "。" if cell == "lora-bfloat16@4" else text
    ways.behind = 0.9  # 7.2 steps of 0.125
    summary = run(ways)
    assert summary["met"]
    pair = next(pair for pair in summary["pairs"] if (pair["a"], pair["b"]) == ("lora-bfloat16@1", "lora-bfloat16@4"))
    parted = pair["outcomes"]["rounding"]
    assert parted > 12 and parted + pair["outcomes"]["identical"] == pair["closed"]["equal"] == 24
    ways.behind = 1.2
    ways.out = ways.out.with_name("again")
    summary = run(ways)
    assert not summary["met"]
    assert (
        f"peft-float32@4 and lora-bfloat16@4: {parted} texts part where rounding does not explain it"
        in summary["reasons"][0]
    )
    assert "1.200 logits behind the best, 9.6 bfloat16 steps, allowed 8" in summary["reasons"][0]


def test_other_probabilities_behind_the_same_answers_are_another_model(ways: Ways) -> None:
    ways.nats = {"merged-bfloat16@1": 0.05, "merged-bfloat16@4": -0.05}
    summary = run(ways)
    assert summary["met"] and summary["distances"]["merged-bfloat16@4"]["steps"] == pytest.approx(0.4)
    assert summary["distances"]["peft-float32@1"] is None and summary["distances"]["lora-bfloat16@1"]["mean_nats"] == 0
    ways.nats["merged-bfloat16@4"], ways.out = -0.2, ways.out.with_name("again")
    summary = run(ways)
    assert not summary["met"]
    assert summary["reasons"] == [
        "merged-bfloat16@4: log-probabilities are 1.60 bfloat16 steps (0.2000 nats) from the adapter's in float32 on "
        "average, allowed 1.5: it serves another model"
    ]


def test_float32_that_is_met_does_not_stand_for_the_served_bfloat16_that_is_not(ways: Ways) -> None:
    ways.config = ways.config.model_copy(update={"formats": ("served", "float32")})
    ways.change = only("lora-bfloat16", "还差5天", '{"rule":"Q01"}')
    summary = run(ways)
    assert not summary["met"] and summary["served"] == "bfloat16" and "23 of 24" in summary["reasons"][0]
    assert {dtype: verdict["met"] for dtype, verdict in summary["formats"].items()} == {
        "bfloat16": False,
        "float32": True,
    }
    roles = {(pair["a"], pair["b"]): pair["decides"] for pair in summary["pairs"]}
    assert roles["peft-float32@1", "lora-float32@1"] == "float32" and roles["lora-bfloat16@4", "lora-float32@4"] is None
    assert ("merged-bfloat16@1", "lora-float32@1") not in roles
    page = (ways.out / "parity.md").read_text(encoding="utf-8")
    assert "engines in bfloat16 (as served): not met" in page
    assert "engines in float32 (apart from rounding: merge, template, adapter and sampling): met" in page
    assert "| lora-float32@4 | adapter in vLLM | float32 | 4 |" in page
    assert {m.name: m.events["tuned"] for m in parity_measures(ways.out) if not m.task} == {
        "parity": 1,
        "parity_faults": 0,
    }


def test_float32_alone_is_no_parity_of_what_is_served(ways: Ways) -> None:
    ways.config = ways.config.model_copy(update={"formats": ("float32",)})
    summary = run(ways)
    assert summary["formats"] == {"float32": {"served": False, "met": True, "reasons": []}}
    assert not summary["met"]
    assert summary["reasons"] == ["bfloat16, which is served, was not asked: what holds in float32 says nothing of it"]
    assert not any("bfloat16" in cell for cell in summary["cells"])
    with pytest.raises(EvalError, match="did not ask in bfloat16, which is served"):
        parity_measures(ways.out)


def test_where_engines_serve_in_float32_both_formats_are_one(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.parity.run.precision", lambda on_gpu: "float32")
    ways.config = ways.config.model_copy(update={"formats": ("served", "float32")})
    summary = run(ways)
    assert summary["met"] and len(summary["cells"]) == 6
    assert summary["formats"] == {"float32": {"served": True, "met": True, "reasons": []}}


def test_what_bfloat16_may_be_off_by_is_a_fault_in_float32(ways: Ways) -> None:
    ways.config = ways.config.model_copy(update={"formats": ("served", "float32")})
    limits = [ways.config.limits(dtype) for dtype in ("float32", "bfloat16")]
    ways.behind = 0.125 * (limits[0].rounding_steps + limits[1].rounding_steps) / 2
    ways.change = lambda cell, question, text: text + "。" if cell.startswith("merged") else text
    nats = 0.125 * (limits[0].distance_steps + limits[1].distance_steps) / 2
    ways.nats = dict.fromkeys(("lora-float32@1", "lora-bfloat16@1"), nats)
    summary = run(ways)
    assert summary["formats"]["bfloat16"]["met"] and not summary["formats"]["float32"]["met"]
    told = "\n".join(summary["formats"]["float32"]["reasons"])
    assert "peft-float32@1 and merged-float32@1: 18 texts part where rounding does not explain it" in told
    assert "lora-float32@1: log-probabilities are" in told and "bfloat16@" not in told


def test_transformers_answer_their_own_whatever_the_engines_answered(ways: Ways) -> None:
    said: dict[str, str] = {"merged": "嗯", "lora": "啊"}
    ways.change = lambda cell, question, text: said.get(cell.partition("-")[0], text)
    run(ways)
    rows = [json.loads(line) for line in (ways.out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    batched, alone = ({row["item"]: row["text"] for row in rows if row["cell"] == f"peft-float32@{n}"} for n in (4, 1))
    assert len(alone) == 24 and alone == batched


def test_answers_that_nobody_can_read_are_equal_only_as_the_same_tokens(ways: Ways) -> None:
    ways.change = lambda cell, question, text: "嗯" if "还差5天" in question else text
    assert run(ways)["met"]
    said = {"peft-float32@1": "嗯"}
    ways.change = lambda cell, question, text: said.get(cell, "啊") if "还差5天" in question else text
    ways.out = ways.out.with_name("again")
    summary = run(ways)
    assert not summary["met"] and "peft-float32@1 and merged-bfloat16@1: 23 of 24" in summary["reasons"][0]


def test_what_load_alone_changes_is_said_beside_the_verdict(ways: Ways) -> None:
    ways.change = only("merged-bfloat16@4", "还差5天", '{"rule":"Q01"}')
    summary = run(ways)
    assert not summary["met"]
    note = "note: load alone changes answers: merged-bfloat16@1 and merged-bfloat16@4 agree on 95.8 %"
    assert any(reason.startswith(note) for reason in summary["reasons"])
    assert not any("merged-bfloat16@1: " in reason for reason in summary["reasons"])


def test_a_prompt_of_other_tokens_is_found(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    import evals.parity.ask as ask

    digest = ask.ids_digest
    seen = iter(range(10_000))
    monkeypatch.setattr(ask, "ids_digest", lambda ids: digest([*ids, 7]) if next(seen) == 0 else digest(ids))
    summary = run(ways)
    assert not summary["met"]
    assert "peft-float32@1 and merged-bfloat16@1: 1 items were asked in different tokens: " in summary["reasons"][0]


def test_an_item_that_was_refused_is_no_parity_and_the_next_call_asks_it_alone(ways: Ways) -> None:
    ways.change = lambda cell, question, text: (
        refused(400) if cell == "lora-bfloat16@1" and "还差5天" in question else text
    )
    summary = run(ways)
    assert not summary["met"] and summary["cells"]["lora-bfloat16@1"]["errors"] == 1
    assert any("1 items were not answered: quality_inspection-test-005: HTTP 400" in r for r in summary["reasons"])
    ways.asked.clear()
    ways.change = lambda cell, question, text: text
    assert run(ways)["met"]
    assert [cell for cell, _ in ways.asked] == ["lora-bfloat16@1"]


def test_a_killed_check_goes_on_where_it_stopped(ways: Ways) -> None:
    limit = 40

    def kill(cell: str, question: str, text: str) -> str:
        if len(ways.asked) > limit:
            raise KeyboardInterrupt
        return text

    for _ in range(12):
        ways.change = kill
        limit = len(ways.asked) + 15
        try:
            run(ways)
            break
        except KeyboardInterrupt:
            assert not ways.out.exists()
    assert json.loads((ways.out / "parity.json").read_text(encoding="utf-8"))["met"]
    # What was being asked at a kill is asked again, at most a full load each time.
    assert 6 * 24 <= len(ways.asked) <= 6 * 24 + 12 * (ways.config.concurrency + 1)


def test_an_engine_that_is_gone_stops_the_check(ways: Ways) -> None:
    from tianjing.engine import EngineError

    ways.change = lambda cell, question, text: EngineError("refused") if cell == "merged-bfloat16@1" else text
    with pytest.raises(
        EvalError, match=r"the engine of merged-bfloat16@1 stopped answering: refused(.|\n)*engine-merged-bfloat16.log"
    ):
        run(ways)
    assert sum(cell == "merged-bfloat16@1" for cell, _ in ways.asked) == 5


def test_a_gate_reads_the_least_equal_pair_of_all_tasks_and_of_each(ways: Ways) -> None:
    ways.change = only("merged", "还差5天", '{"rule":"Q01"}')
    run(ways)
    found: dict[tuple[str, str], Measure] = {(m.name, m.task): m for m in parity_measures(ways.out)}
    assert found["parity", ""].arms["tuned"].value == pytest.approx(23 / 24)
    assert found["parity", ""].events == {"tuned": 1} and found["parity", ""].n == 24
    assert found["parity", "quality_inspection"].arms["tuned"].value == pytest.approx(7 / 8)
    assert found["parity", "policy_qa"].arms["tuned"].value == 1
    assert found["parity_faults", ""].events == {"tuned": 0}
    with pytest.raises(EvalError, match="no parity check"):
        parity_measures(ways.dataset)


def test_a_gate_takes_only_a_parity_check_of_the_evaluated_model_as_it_was_written(ways: Ways) -> None:
    run(ways)
    arms = {"tuned": {"digest": artefact_digest(ways.folders["merged"])}}
    summary = {"arms": arms, "tasks": {"policy_qa": {}}}
    found = read_beside([ways.out], ways.dataset, summary, GatePolicy())
    assert not found.problems and artefact_digest(ways.out) in found.notes[0]
    assert {(m.name, m.task) for m in found.measures} == {
        ("parity", ""),
        ("parity", "policy_qa"),
        ("parity_faults", ""),
    }
    other = read_beside([ways.out], ways.dataset, {**summary, "arms": {"tuned": {"digest": "0" * 64}}}, GatePolicy())
    assert not other.measures and "compares another model than was evaluated" in other.problems[0]
    (ways.out / "pairs.jsonl").write_text("")
    edited = read_beside([ways.out], ways.dataset, summary, GatePolicy())
    assert not edited.measures and "was changed after it was written" in edited.problems[0]
    with pytest.raises(EvalError, match="neither a parity check nor a judgement"):
        read_beside([ways.dataset], ways.dataset, summary, GatePolicy())


def test_the_command_exits_0_when_met_and_1_with_the_reasons_when_not(ways: Ways) -> None:
    def command(out: str) -> Any:
        folders = [part for name, folder in ways.folders.items() for part in (f"--{name}", str(folder))]
        config = ways.out.with_name("parity.yaml")
        config.write_text("items: 8\nconcurrency: 4\n", encoding="utf-8")
        given = ["parity", str(ways.dataset), *folders, "--out", str(ways.out.with_name(out)), "--config", str(config)]
        return CliRunner().invoke(app, given)

    good = command("good")
    assert good.exit_code == 0, good.output
    assert "parity met" in good.output and "24/24, 100.0 %" in good.output
    ways.change = only("merged", "还差5天", '{"rule":"Q01"}')
    bad = command("bad")
    assert bad.exit_code == 1
    assert "parity not met" in bad.output and "quality_inspection-test-005" in bad.output
