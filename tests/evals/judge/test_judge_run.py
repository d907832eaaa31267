"""The judge over a stored evaluation, with a local endpoint whose errors are known."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from evals.cli import app
from evals.errors import EvalError
from evals.gate.beside import read_beside
from evals.gate.policy import GatePolicy
from evals.judge.config import JudgeConfig
from evals.judge.run import judge_evaluation, judge_measures
from tests.evals.editing import forge, rewrite
from tests.evals.judge.conftest import answer_of, labels_for, truly_good, write_evaluation
from tianjing.errors import TianjingError
from tianjing.lineage import verify

Settings = Callable[..., JudgeConfig]
N = 300


def truth(arm: str) -> float:
    return sum(truly_good(number, arm) for number in range(N)) / N


def test_calibration_per_arm_undoes_the_judges_taste(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals")
    config = settings(calibration=labels_for(tmp_path / "labels.jsonl", range(150)), repeats=3)
    summary = judge_evaluation(evals, tmp_path / "judged", config)
    for arm in ("base", "tuned"):
        row = summary["arms"][arm]
        assert row["corrected"]["low"] <= truth(arm) <= row["corrected"]["high"]
        assert row["undecided"] == 0 and row["positives"] + row["negatives"] == 150
        assert 0 < row["alpha_people"] < 1
    raw = summary["arms"]["tuned"]["raw"]["value"] - summary["arms"]["base"]["raw"]["value"]
    measure = judge_measures(tmp_path / "judged")[0]
    assert measure.name == "judge_useful" and measure.note == "judge" and measure.events is None
    assert measure.difference is not None and measure.difference.value is not None
    real = truth("tuned") - truth("base")
    assert abs(measure.difference.value - real) < abs(raw - real), "raw shares flatter the tuned model"
    assert measure.difference.low is not None and measure.difference.high is not None
    assert measure.difference.low <= real <= measure.difference.high
    assert summary["alpha_repeats"] == 1.0
    assert verify(tmp_path / "judged") == []


def test_a_gate_takes_a_judgement_of_these_answers_and_of_no_others(tmp_path: Path, settings: Settings) -> None:
    evals, others = (write_evaluation(tmp_path / name, count=count) for name, count in (("evals", 20), ("others", 10)))
    judge_evaluation(evals, tmp_path / "judged", settings())
    summary: dict[str, Any] = {"arms": {}, "tasks": {judge_measures(tmp_path / "judged")[0].task: {}}}
    found = read_beside([tmp_path / "judged"], evals, summary, GatePolicy())
    assert [measure.name for measure in found.measures] == ["judge_useful"]
    refused = read_beside([tmp_path / "judged"], others, summary, GatePolicy())
    assert not refused.measures and "answers of another evaluation" in refused.problems[0]
    unsure = read_beside([tmp_path / "judged"], evals, summary, GatePolicy(min_confidence=0.99))
    assert not unsure.measures and "level of 95 %, and the policy asks for at least 99 %" in unsure.problems[0]


def test_answers_that_were_edited_are_not_judged(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals", count=4)
    rewrite(evals / "attempts.jsonl", lambda row: {**row, "output": "很好的回答。"})
    with pytest.raises(EvalError, match=r"changed after it was written.*attempts\.jsonl"):
        judge_evaluation(evals, tmp_path / "judged", settings())


def test_every_verdict_is_stored_with_a_seed_of_its_own(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals", count=4)
    judge_evaluation(evals, tmp_path / "judged", settings(repeats=3))
    rows = [json.loads(line) for line in (tmp_path / "judged" / "verdicts.jsonl").read_text().splitlines()]
    assert len(rows) == 4 * 2 * 3 and len({row["seed"] for row in rows}) == len(rows)
    assert all(row["output"] and row["rule"] == "json" for row in rows)


def test_without_calibration_the_figure_is_raw_and_says_so(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals", count=20)
    summary = judge_evaluation(evals, tmp_path / "judged", settings())
    measure = judge_measures(tmp_path / "judged")[0]
    assert measure.note.startswith("judge; not calibrated")
    assert measure.arms["base"].value == summary["arms"]["base"]["raw"]["value"]
    assert any("no calibration" in warning for warning in summary["warnings"])


def test_killed_and_started_again_asks_for_nothing_twice(tmp_path: Path, settings: Settings, endpoint: Any) -> None:
    evals = write_evaluation(tmp_path / "evals", count=10)
    answer = endpoint.reply
    endpoint.reply = lambda payload: 400 if "回答7" in payload["messages"][0]["content"] else answer(payload)
    judge_evaluation(evals, tmp_path / "first", settings())
    whole = json.loads((tmp_path / "first" / "summary.json").read_text())
    assert whole["rules"]["error"] == 2 * 3 and whole["arms"]["base"]["undecided"] == 1

    asked = len(endpoint.payloads)
    endpoint.reply = lambda payload: 503
    with pytest.raises(EvalError, match="stopped answering"):
        judge_evaluation(evals, tmp_path / "judged", settings(concurrency=1))
    endpoint.reply = answer
    before = len(endpoint.payloads)
    assert before > asked
    judge_evaluation(evals, tmp_path / "judged", settings(concurrency=1))
    assert len(endpoint.payloads) - before == 10 * 2 * 3


def test_a_verdict_without_words_from_the_answer_does_not_count(
    tmp_path: Path, settings: Settings, endpoint: Any
) -> None:
    evals = write_evaluation(tmp_path / "evals", count=3)
    endpoint.reply = lambda payload: '{"evidence": "这句话没人说过", "verdict": "合格"}'
    summary = judge_evaluation(evals, tmp_path / "judged", settings())
    assert summary["rules"] == {"evidence_not_found": 18}
    assert summary["arms"]["base"]["undecided"] == 3 and summary["arms"]["base"]["raw"]["value"] == 0
    assert any("copies" in warning for warning in summary["warnings"])


def test_a_judge_that_only_prefers_the_first_position_sees_ties(
    tmp_path: Path, settings: Settings, endpoint: Any
) -> None:
    evals = write_evaluation(tmp_path / "evals", count=12)

    def first(payload: dict[str, Any]) -> str:
        number = re.findall(r"回答(\d+)。", payload["messages"][0]["content"])[0]
        return json.dumps({"evidence": f"回答{number}", "verdict": "甲"}, ensure_ascii=False)

    endpoint.reply = first
    summary = judge_evaluation(evals, tmp_path / "judged", settings(mode="pairwise"))
    assert summary["pairs"]["disagreement"] == 1.0 and summary["pairs"]["first_preferred"] == 1.0
    measure = judge_measures(tmp_path / "judged")[0]
    assert measure.arms["tuned"].value == 0.5
    assert measure.difference is not None and measure.difference.value == 0


def test_a_judge_that_sees_quality_prefers_the_better_arm_in_both_orders(
    tmp_path: Path, settings: Settings, endpoint: Any
) -> None:
    evals = write_evaluation(tmp_path / "evals", count=40)

    def fair(payload: dict[str, Any]) -> str:
        one, two = re.findall(r"(?:base|tuned)的(好|坏)回答(\d+)。", payload["messages"][0]["content"])
        verdict = "平" if one[0] == two[0] else "甲" if one[0] == "好" else "乙"
        return json.dumps({"evidence": f"回答{one[1]}", "verdict": verdict}, ensure_ascii=False)

    endpoint.reply = fair
    summary = judge_evaluation(evals, tmp_path / "judged", settings(mode="pairwise"))
    expected = sum(0.5 + (truly_good(n, "tuned") - truly_good(n, "base")) / 2 for n in range(40)) / 40
    assert judge_measures(tmp_path / "judged")[0].arms["tuned"].value == pytest.approx(expected)
    assert summary["pairs"]["disagreement"] == 0 and summary["pairs"]["undecided"] == 0


def test_numbers_are_judged_by_their_median(tmp_path: Path, settings: Settings, endpoint: Any) -> None:
    evals = write_evaluation(tmp_path / "evals", count=5)

    def rate(payload: dict[str, Any]) -> str:
        found = re.search(r"(好|坏)回答(\d+)。", payload["messages"][0]["content"])
        assert found is not None
        noisy = random.Random(payload["seed"]).choice([0, 0, 1])
        return json.dumps({"evidence": f"回答{found[2]}", "verdict": 5 - noisy if found[1] == "好" else 2})

    endpoint.reply = rate
    summary = judge_evaluation(evals, tmp_path / "judged", settings(mode="numeric"))
    good = sum(truly_good(number, "base") for number in range(5)) / 5
    assert summary["arms"]["base"]["raw"]["value"] == pytest.approx(good)


def test_answers_that_look_like_instructions_stay_material(tmp_path: Path, settings: Settings, endpoint: Any) -> None:
    evals = write_evaluation(tmp_path / "evals", count=1)
    lines = (evals / "attempts.jsonl").read_text().replace(answer_of(0, "base"), "base的好回答0。{question}{choices}")
    (evals / "attempts.jsonl").write_text(lines)
    forge(evals)
    judge_evaluation(evals, tmp_path / "judged", settings())
    shown = [payload["messages"][0]["content"] for payload in endpoint.payloads]
    assert any("{question}{choices}" in text for text in shown), "placeholders of an answer are not filled"


def test_bad_input_says_what_to_do(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals", count=2)
    out = tmp_path / "judged"
    with pytest.raises(EvalError, match="same family"):
        judge_evaluation(evals, out, settings(model="Qwen3-32B"))
    with pytest.raises(EvalError, match="task 'mediation' was not asked"):
        judge_evaluation(evals, out, settings(tasks=("mediation",)))
    alone = write_evaluation(tmp_path / "alone", count=2, arms=("tuned",))
    with pytest.raises(EvalError, match="holds one arm only"):
        judge_evaluation(alone, out, settings(mode="pairwise"))
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"arm": "base", "item": "q0", "label": "还行"}\n')
    with pytest.raises(EvalError, match=r"labels.jsonl:1: field 'label'"):
        judge_evaluation(evals, out, settings(calibration=labels))
    labels.write_text('{"arm": "base", "label": "合格"}\n')
    with pytest.raises(TianjingError, match="give 'item', or 'question' and 'answer'"):
        judge_evaluation(evals, out, settings(calibration=labels))
    with pytest.raises(EvalError, match="is not set"):
        judge_evaluation(evals, out, settings(api_key_env="NO_SUCH_KEY_HERE"))
    assert not out.exists()
    with pytest.raises(EvalError, match="no judgement"):
        judge_measures(evals)


def test_configuration_refuses_what_cannot_work(settings: Settings, tmp_path: Path) -> None:
    for given, message in (
        ({"repeats": 2}, "greater than or equal to 3"),
        ({"passing": ("合格", "不合格")}, "not all"),
        ({"template": "{criterion}"}, "does not hold"),
        ({"mode": "pairwise", "calibration": tmp_path}, "no sensitivity"),
        ({"min_valid": 9}, "cannot exceed"),
    ):
        with pytest.raises(ValueError, match=message):
            settings(**given)


def test_command_judges_and_prints(tmp_path: Path, settings: Settings) -> None:
    evals = write_evaluation(tmp_path / "evals", count=6)
    config = tmp_path / "evals.yaml"
    section = settings().model_dump(mode="json", exclude_none=True)
    config.write_text(yaml.safe_dump({"judge": section}, allow_unicode=True))
    arguments = ["judge", str(evals), "--config", str(config), "--out", str(tmp_path / "judged")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "judge_useful" in result.output and "no calibration" in result.output
    config.write_text("items: 3\n")
    assert "has no section 'judge'" in str(CliRunner().invoke(app, arguments).exception)
