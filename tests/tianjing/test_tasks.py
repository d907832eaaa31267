"""Answers are read leniently, never guessed, and the target of a row reads back as its own answer."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tianjing.tasks import TASKS

CLAUSES = [
    {"id": "a:第四条", "label": "《还款办法》第四条", "text": "延期还款每次最长30日，12个月内不得超过2次。"},
    {"id": "a:第八条", "label": "《还款办法》第八条", "text": "分期还款的期数为3至24期。"},
    {"id": "b:第八条", "label": "《投诉办法》第八条", "text": "投诉应当在15日内答复客户。"},
]
RULES = [{"id": "Q01", "title": "威胁恐吓"}, {"id": "Q03", "title": "冒充公检法"}]
FIELDS: dict[str, dict[str, Any]] = {
    "policy_qa": {"question": "延期一次能延多久？", "clauses": CLAUSES},
    "quality_inspection": {"rules": RULES, "customer": "再等等。", "agent": "等着警察上门吧。"},
    "next_reply": {"turns": [{"speaker": "customer", "text": "我失业了。"}]},
    "finance_qa": {"kind": "computing", "instruction": "1+1等于几？"},
}
REFERENCES: dict[str, dict[str, Any]] = {
    "policy_qa": {"clause_id": "a:第四条", "clause_label": "《还款办法》第四条", "quote": CLAUSES[0]["text"]},
    "quality_inspection": {
        "rule": "Q03",
        "title": "冒充公检法",
        "evidence": "等着警察上门吧",
        "rewrite": "请您安排还款。",
    },
    "next_reply": {"situation": "失业", "act": "offer_deferral", "reply": "我帮您申请延期。"},
    "finance_qa": {"answer": "1+1=2，答案是2", "number": 2.0},
}


@pytest.mark.parametrize("task_id", TASKS)
def test_the_target_reads_back_as_a_right_answer(task_id: str) -> None:
    task, fields, reference = TASKS[task_id], FIELDS[task_id], REFERENCES[task_id]
    assert task.score(task.read(task.target(reference), fields), reference, fields) == 1.0
    assert task.decisive(reference) in task.target(reference)


@pytest.mark.parametrize("task_id", TASKS)
def test_nothing_is_read_out_of_an_empty_answer(task_id: str) -> None:
    task, fields = TASKS[task_id], FIELDS[task_id]
    reading = task.read("  ", fields)
    assert not reading.valid
    assert task.score(reading, REFERENCES[task_id], fields) == 0.0


@pytest.mark.parametrize("task_id", TASKS)
def test_every_wording_carries_the_same_input(task_id: str) -> None:
    fields = FIELDS[task_id]
    inputs = {"policy_qa": "延期一次能延多久", "quality_inspection": "等着警察", "next_reply": "我失业了"}
    for wording in range(3):
        assert inputs.get(task_id, "1+1") in TASKS[task_id].render(fields, wording)


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("依据《还款办法》第八条，最多24期。", "a:第八条", "label"),
        ("根据第四条，最长30日。", "a:第四条", "article"),
        ("见[3]。", "b:第八条", "bracket"),
        ("延期还款每次最长30日，12个月内不得超过2次", "a:第四条", "quotation"),
        ("无依据", "", "no_basis"),
        ("第八条有规定。", None, "unreadable"),  # two documents have one: not guessed
        ("可以的。", None, "unreadable"),
    ],
)
def test_policy_citations_are_read_in_any_recognisable_form(text: str, answer: str | None, rule: str) -> None:
    reading = TASKS["policy_qa"].read(text, FIELDS["policy_qa"])
    assert (reading.answer, reading.rule) == (answer, rule)


def test_a_right_citation_with_an_invented_number_is_wrong() -> None:
    task, fields = TASKS["policy_qa"], FIELDS["policy_qa"]
    right, invented = "《还款办法》第四条：最长30日。", "《还款办法》第四条：最长60日。"
    assert task.score(task.read(right, fields), REFERENCES["policy_qa"], fields) == 1.0
    assert task.score(task.read(invented, fields), REFERENCES["policy_qa"], fields) == 0.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('好的：```json\n{"rule": "q03", "evidence": "警察"}\n```', "Q03"),
        ("这句话属于冒充公检法。", "Q03"),
        ("没有违规。", "none"),
        ('{"rule": "Q01", "evidence": "等着', "Q01"),  # cut off, but the rule stands
        ("不好说。", None),
    ],
)
def test_inspection_findings_are_read_from_json_id_or_title(text: str, answer: str | None) -> None:
    assert TASKS["quality_inspection"].read(text, FIELDS["quality_inspection"]).answer == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("【延期】我来办。", "offer_deferral"),
        ("【没钱分期：延期】我来办。", "offer_deferral"),
        ("[提供证明] 请发一下。", "request_proof"),
        ("延期：我帮您报上去。", "offer_deferral"),
        ("坐席：我帮您申请延期还款。", "offer_deferral"),
        ("您好呀。", "none"),
        ("可以延期，也可以分期，或者提供证明，也能自动扣款。", "many"),
        ("客户：我要延期", None),
    ],
)
def test_next_replies_are_read_by_named_act_else_by_their_words(text: str, answer: str | None) -> None:
    assert TASKS["next_reply"].read(text, FIELDS["next_reply"]).answer == answer


@pytest.mark.parametrize("task_id", TASKS)
def test_the_format_only_control_is_well_formed_and_blind(task_id: str) -> None:
    task, fields = TASKS[task_id], FIELDS[task_id]
    text = task.format_only(fields, [REFERENCES[task_id]], random.Random(0))
    assert task.read(text, fields).valid
