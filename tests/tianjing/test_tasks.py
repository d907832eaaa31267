"""Answers are read leniently, never guessed, and the target of a row reads back as its own answer."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tianjing.finance.offers import PlanPolicy
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
    "negotiation": {
        "product": "轻舟贷",
        "outstanding": "12345.67",
        "as_of": "2026-04-15",
        "policy": PlanPolicy().model_dump(mode="json"),
        "turns": [
            {"speaker": "agent", "text": "您每个月能拿出多少？"},
            {"speaker": "customer", "text": "最多600块，12天后才有钱。"},
        ],
    },
    "finance_qa": {"kind": "computing", "instruction": "1+1等于几？"},
    "intent": {
        "intents": [{"id": "R1", "title": "失业"}, {"id": "R2", "title": "费用争议"}, {"id": "R3", "title": "争议"}],
        "turns": [{"speaker": "customer", "text": "厂子关门了，我失业了。"}],
    },
    "call_summary": {
        "turns": [
            {"speaker": "agent", "text": "您有2148元过期43天了，怎么没还上呢？"},
            {"speaker": "customer", "text": "我失业了。"},
            {"speaker": "agent", "text": "给您登记延期，十五号还，可以吗？"},
        ]
    },
    "handoff_triage": {"turns": [{"speaker": "customer", "text": "太气人了，我要投诉你们！"}]},
    "complaint_prediction": {
        "turns": [
            {"speaker": "customer", "text": "你再宽限几天。"},
            {"speaker": "agent", "text": "再拖就上你家去。"},
        ]
    },
    "mediation": {
        "turns": [{"speaker": "customer", "text": "厂子关门了，愁得睡不着。"}],
        "practices": [
            {"situation": "失业", "act": "offer_deferral", "title": "延期", "text": "履约率高40个百分点"},
            {"situation": "忘记还款", "act": "offer_autopay", "title": "自动扣款", "text": "履约率高30个百分点"},
        ],
        "clauses": CLAUSES,
    },
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
    "negotiation": {"step": "quote", "call": {"monthly_yuan": "600", "wait_days": 12}, "reply": ""},
    "finance_qa": {"answer": "1+1=2，答案是2", "number": 2.0},
    "intent": {"intent": "R1", "title": "失业"},
    "call_summary": {"reason": "失业", "action": "延期", "request": "", "amount": "2148元", "date": "15号"},
    "handoff_triage": {"route": "human", "reason": "complaint", "evidence": "我要投诉"},
    "complaint_prediction": {"label": "yes", "sign": "上你家去"},
    "mediation": {
        "situation": "失业",
        "emotion": "焦虑",
        "practice": "延期",
        "words": "愁得睡不着",
        "analysis": "同类情形用“延期”履约率高40个百分点，是关联，不代表因果。",
        "empathy": "我理解您，确实不容易。",
        "reasoning": "我帮您申请延期。",
        "clause": "《还款办法》第四条",
        "law": CLAUSES[0]["text"],
        "risk": "同类通话出现过“威胁恐吓”，不得再犯。",
        "act": "offer_deferral",
        "clause_id": "a:第四条",
    },
}


@pytest.mark.parametrize("task_id", TASKS)
def test_the_target_reads_back_as_a_right_answer(task_id: str) -> None:
    task, fields, reference = TASKS[task_id], FIELDS[task_id], REFERENCES[task_id]
    assert task.score(task.read(task.target(reference), fields), reference, fields) == 1.0
    assert task.decisive(reference) in task.target(reference)


@pytest.mark.parametrize("task_id", TASKS)
def test_right_answers_of_a_closed_task_read_the_same_in_other_words(task_id: str) -> None:
    task, fields, reference = TASKS[task_id], FIELDS[task_id], REFERENCES[task_id]
    words = {"reply", "evidence", "rewrite", "quote", "sign", "answer", "request", "empathy", "reasoning"}
    other = {name: f"另{value}" if name in words else value for name, value in reference.items()}
    if task_id == "finance_qa":
        fields = {**fields, "kind": "text"}  # sums are read as numbers, its other rows as text
    said, again = (task.read(task.target(each), fields).answer for each in (reference, other))
    assert (said == again) == task.closed


@pytest.mark.parametrize("task_id", TASKS)
def test_nothing_is_read_out_of_an_empty_answer(task_id: str) -> None:
    task, fields = TASKS[task_id], FIELDS[task_id]
    reading = task.read("  ", fields)
    assert not reading.valid
    assert task.score(reading, REFERENCES[task_id], fields) == 0.0


@pytest.mark.parametrize("task_id", TASKS)
def test_every_wording_carries_the_same_input(task_id: str) -> None:
    fields = FIELDS[task_id]
    inputs = {
        "policy_qa": "延期一次能延多久",
        "quality_inspection": "等着警察",
        "next_reply": "我失业了",
        "negotiation": "最多600块",
        "intent": "我失业了",
        "call_summary": "我失业了",
        "handoff_triage": "我要投诉",
        "complaint_prediction": "再宽限几天",
        "mediation": "愁得睡不着",
    }
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


@pytest.mark.parametrize("task_id", TASKS)
def test_three_wordings_ask_the_same_thing_differently(task_id: str) -> None:
    assert len({TASKS[task_id].render(FIELDS[task_id], wording) for wording in range(3)}) == 3


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("失业", "R1", "opening"),
        ("【失业】", "R1", "opening"),
        ("客户属于费用争议。", "R2", "title"),  # 争议 inside it names nothing of its own
        ("r3", None, "unreadable"),
        ("R3", "R3", "id"),
        ("可能是失业，也可能是费用争议", None, "several"),
        ("不好说", None, "unreadable"),
    ],
)
def test_an_intent_is_read_by_its_title_and_never_guessed_among_several(
    text: str, answer: str | None, rule: str
) -> None:
    reading = TASKS["intent"].read(text, FIELDS["intent"])
    assert (reading.answer, reading.rule) == (answer, rule)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"reason": "失业", "action": "延期", "request": "", "amount": "2,148", "date": "十五号"}', 1.0),
        ('{"逾期原因": "失业", "办理事项": "延期", "欠款金额": "两千一百四十八元", "约定日期": "15日"}', 1.0),
        ('{"reason": "失业", "action": "延期", "request": "", "amount": "2148元", "da', 0.8),  # cut short
        ("逾期原因：失业，办理事项：延期", 0.6),
        ('{"reason": "失业", "action": "延期", "request": "", "amount": "3000元", "date": "15号"}', 0.0),  # invented
        ('{"reason": "生病", "action": "分期", "request": "", "amount": "", "date": ""}', 0.2),
    ],
)
def test_a_summary_is_scored_field_by_field_and_an_invented_amount_voids_it(text: str, score: float) -> None:
    task, fields = TASKS["call_summary"], FIELDS["call_summary"]
    assert task.score(task.read(text, fields), REFERENCES["call_summary"], fields) == pytest.approx(score)


@pytest.mark.parametrize(
    ("text", "answer", "score"),
    [
        ("【转人工：投诉】“我要投诉”", "human:complaint", 1.0),
        ("应转给专员处理，客户要投诉。", "human:complaint", 1.0),
        ("【转人工：困难】", "human:hardship", 0.5),
        ("【转人工：投诉】“我要起诉”", "human:complaint", 0.5),  # nobody said so
        ("转人工", "human", 0.5),
        ("不用转人工", "ai", 0.0),
        ("【AI答复】", "ai", 0.0),
        ("看情况", None, 0.0),
    ],
)
def test_a_hand_off_is_read_with_its_reason_and_a_forged_quotation_costs(
    text: str, answer: str | None, score: float
) -> None:
    task, fields = TASKS["handoff_triage"], FIELDS["handoff_triage"]
    reading = task.read(text, fields)
    assert (reading.answer, task.score(reading, REFERENCES["handoff_triage"], fields)) == (answer, score)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("【会投诉】“上你家去”", "yes"),
        ("可能投诉", "yes"),
        ("【不会投诉】", "no"),
        ("客户不太可能会投诉", "no"),
        ("【会投诉】“我不会还的”", "yes"),  # the denial stands in the quotation
        ("说不准", None),
    ],
)
def test_a_prediction_is_read_without_its_quotation(text: str, answer: str | None) -> None:
    assert TASKS["complaint_prediction"].read(text, FIELDS["complaint_prediction"]).answer == answer


def test_a_question_that_misstates_the_clause_must_be_denied() -> None:
    task, fields = TASKS["policy_qa"], {**FIELDS["policy_qa"], "question": "延期还款每次最长60日，对吗？"}
    reference = {**REFERENCES["policy_qa"], "corrects": "60日"}
    target = task.target(reference)
    assert target.startswith("不对。《还款办法》第四条：")
    assert task.score(task.read(target, fields), reference, fields) == 1.0
    assert task.score(task.read(target.removeprefix("不对。"), fields), reference, fields) == 0.0
    assert task.score(task.read("对。《还款办法》第四条规定最长60日。", fields), reference, fields) == 0.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("【问原因】是遇到什么事了吗？", "reason"),
        ("【失业：延期】我帮您申请延期。", "offer_deferral"),
        ("【没钱分期：延期】我帮您申请延期。", "offer_deferral"),
        ("坐席：我帮您申请延期。", "offer_deferral"),
        ("【试算：分24期，30天后】", "quote:分24期，每期514.40元，首期5月15日，延期30天"),
        ("[试算:每月514.4元,30天后", "quote:分24期，每期514.40元，首期5月15日，延期30天"),  # cut short
        ("【试算：分2期，现在】", "quote:分3期，每期4115.22元，首期4月15日"),
        ("您好呀。", "none"),
        ("客户：我要延期", None),
    ],
)
def test_a_step_of_a_negotiation_is_read_by_its_name_its_call_or_its_words(text: str, answer: str | None) -> None:
    assert TASKS["negotiation"].read(text, FIELDS["negotiation"]).answer == answer


def test_an_offer_with_another_amount_than_the_quotation_is_wrong() -> None:
    task, fields = TASKS["negotiation"], FIELDS["negotiation"]
    quoted = {"speaker": "system", "text": "试算结果：分21期，每期587.89元，首期4月30日，延期15天"}
    fields = {**fields, "turns": [*fields["turns"], quoted]}
    reference = {"step": "offer", "reply": "分21期，每期587.89元，您看行吗？"}
    assert task.score(task.read(task.target(reference), fields), reference, fields) == 1.0
    wrong = task.target({"step": "offer", "reply": "分21期，每期578.89元，您看行吗？"})
    assert task.score(task.read(wrong, fields), reference, fields) == 0.0
