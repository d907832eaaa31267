"""What an inspector found in a turn holds for that turn, however its number is written; else for every agent turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_recipes.build import build
from data_recipes.cleaning.alignment import Aligned
from data_recipes.cleaning.redaction import CaseLog, redact_events
from data_recipes.config import BuildConfig
from data_recipes.extract import extract
from data_recipes.knowledge import Knowledge, QualityRule
from data_recipes.tasks.complaint_prediction import draft_complaint_prediction
from data_recipes.tasks.config import QualityInspectionConfig
from data_recipes.tasks.draft import Drafts
from data_recipes.tasks.quality_inspection import breached_turns, draft_quality_inspection
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, call, ended, logged
from tests.data_recipes.material import BUILD, EXTRACT, write_raw
from tianjing.dataset import read_examples
from tianjing.privacy import Session
from tianjing.rulebook import Rulebook

CALL = call("P1", "坐：您好。", "客：没钱。", "坐：自己想清楚后果。", "客：哼。", "坐：拖着不是办法。", "客：再见。")
RULES = [QualityRule(id="Q01", title="威胁恐吓", text="以安全相威胁。")]
WRITTEN = [2, 2.0, "2", " 2 ", "2.0", "２"]
UNREADABLE = ["第二句", "", "2.5", 2.5, True, -1, "9" * 5000, 99, 1]


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts(Rulebook.load())


def _found(**attributes: Any) -> Knowledge:
    finding = {"rule": "Q01", "evidence": "想清楚后果", "rewrite": "请您安排还款", **attributes}
    events = [logged("P1", 5, "质检", **finding)]
    return Knowledge(dialogues=[CALL], events=events, quality_rules=RULES, outcomes=[ended("P1", 1)])


def _inspection(knowledge: Knowledge, verdicts: Verdicts) -> Drafts:
    config = BuildConfig(quality_inspection=QualityInspectionConfig(max_none_share=0.8, hard_negative_share=0.9))
    return draft_quality_inspection(knowledge, all_train(knowledge.dialogues), "质检", verdicts, config)


@pytest.mark.parametrize("turn", WRITTEN, ids=repr)
def test_a_turn_is_the_same_one_however_its_number_is_written(turn: Any, verdicts: Verdicts) -> None:
    knowledge = _found(turn=turn)
    assert breached_turns(knowledge, "质检") == {("P1", 2)}
    rows = _inspection(knowledge, verdicts).rows
    assert rows == _inspection(_found(turn=2), verdicts).rows
    assert {row.reference["rule"] for row in rows} == {"Q01", "none"}
    predicted = draft_complaint_prediction(knowledge, all_train([CALL]), "质检", verdicts, BuildConfig())
    assert predicted.rows[0].reference["sign"] == "想清楚后果"


@pytest.mark.parametrize("turn", UNREADABLE, ids=lambda turn: repr(turn)[:8])
def test_a_breach_that_names_no_agent_turn_keeps_every_agent_turn_from_being_taught(
    turn: Any, verdicts: Verdicts
) -> None:
    knowledge = _found(turn=turn)
    assert breached_turns(knowledge, "质检") == {("P1", 0), ("P1", 2), ("P1", 4)}
    assert not _inspection(knowledge, verdicts).rows


def test_a_finding_without_a_turn_and_one_without_a_breach(verdicts: Verdicts) -> None:
    without = _found()
    assert breached_turns(without, "质检") == {("P1", 0), ("P1", 2), ("P1", 4)}
    assert _inspection(without, verdicts).dropped == {"quality_inspection: the turn is no number": 1}
    assert breached_turns(_found(turn="第二句", rule="none"), "质检") == set()


def test_the_reason_says_whether_the_number_or_the_turn_is_wrong(verdicts: Verdicts) -> None:
    assert _inspection(_found(turn="第二句"), verdicts).dropped == {"quality_inspection: the turn is no number": 1}
    other = _inspection(_found(turn="1"), verdicts).dropped
    assert other == {"quality_inspection: the turn inspected is no agent turn": 1}


def test_no_turn_is_called_clean_in_which_a_finding_without_a_row_names_a_breach(verdicts: Verdicts) -> None:
    """The second finding has no rewrite and gives no row; its turn is nearest to the first one's."""
    dialogue = call("P1", "坐：再拖下去不会有好结果。", "坐：再拖下去我们也没办法。", "坐：拖下去罚息会多。")
    events = [
        logged("P1", 2, "质检", turn=0, rule="Q01", evidence="再拖下去", rewrite="请您安排还款"),
        logged("P1", 2, "质检", turn=1, rule="Q01", evidence="没办法"),
    ]
    made = _inspection(Knowledge(dialogues=[dialogue], events=events, quality_rules=RULES), verdicts)
    assert made.dropped == {"quality_inspection: a breach without a compliant rewrite": 1}
    negatives = {row.fields["agent"] for row in made.rows if row.reference["rule"] == "none"}
    assert negatives == {"请您安排还款", "拖下去罚息会多。"}


@pytest.mark.parametrize("turn", ["1", 1.0, "1.0"])
def test_cleaning_writes_the_number_of_the_cleaned_turn(turn: Any) -> None:
    raw = ["您好，我想问，", "利率是多少", "百分之十二"]
    log = CaseLog(
        [{"turn": turn, "evidence": "利率"}],
        Session(),
        raw,
        [Aligned("您好，我想问，利率是多少"), Aligned("百分之十二")],
        ((0, 1), (2,)),
    )
    assert redact_events([log]) == [[{"turn": 0, "evidence": "利率"}]]


@pytest.mark.parametrize("turn", ["4", "第四句"])
def test_a_breach_written_as_text_is_never_an_answer(turn: str, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw")
    marked = {f"P{number:04d}" for number in range(0, 240, 4)}
    breach = {"turn": turn, "rule": "Q01", "evidence": "您", "rewrite": "好"}
    with open(raw / "events.jsonl", "a", encoding="utf-8") as stream:
        for case in sorted(marked):
            row = {"case": case, "at": "2026-05-01T09:00:00+08:00", "actor": "qa", "activity": "质检"}
            stream.write(json.dumps({**row, "attributes": breach}, ensure_ascii=False) + "\n")
    extract(raw, tmp_path / "k", EXTRACT)
    build(tmp_path / "k", tmp_path / "d", BUILD)
    rows = [row for row in read_examples(tmp_path / "d" / "train.parquet") if row.task == "next_reply"]
    assert rows and not {row.sources[0].split("#")[0] for row in rows} & marked
