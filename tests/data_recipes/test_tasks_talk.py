"""Rows from calls: the label is what was logged, found or what came of it, and the question never gives it away."""

from __future__ import annotations

from collections import Counter

import pytest

from data_recipes.config import BuildConfig
from data_recipes.knowledge import Knowledge, QualityRule
from data_recipes.surface import NearDuplicates, surface
from data_recipes.tasks.call_summary import draft_call_summary
from data_recipes.tasks.complaint_prediction import draft_complaint_prediction
from data_recipes.tasks.config import CallSummaryConfig, HandoffTriageConfig, IntentConfig, QualityInspectionConfig
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.handoff_triage import draft_handoff_triage
from data_recipes.tasks.intent import draft_intent
from data_recipes.tasks.quality_inspection import draft_quality_inspection
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, articles, call, ended, logged
from tianjing.records import Dialogue, Event, Outcome
from tianjing.rulebook import Rulebook
from tianjing.tasks import TASKS
from tianjing.tasks.talk import said

CONFIG = BuildConfig(intent=IntentConfig(min_cases=2))


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts(Rulebook.load())


# Intent

COMMON = (("没工作", "失业"), ("被裁了", "失业"), ("忘了", "忘记还款"), ("没注意", "忘记还款"))


def _reasons(*pairs: tuple[str, str]) -> Knowledge:
    dialogues = [call(f"P{n}", "坐：怎么没还？", f"客：{text}", "坐：好的。") for n, (text, _) in enumerate(pairs)]
    events = [logged(f"P{n}", 1, "登记逾期原因", reason=reason) for n, (_, reason) in enumerate(pairs)]
    return Knowledge(dialogues=dialogues, events=events)


def test_an_intent_is_what_the_agent_logged_at_the_customers_words() -> None:
    knowledge = _reasons(("我没工作了", "失业"), ("厂子关了", "失业"), ("忘了", "忘记还款"), ("没留意", "忘记还款"))
    made = draft_intent(knowledge, all_train(knowledge.dialogues), CONFIG)
    assert [(row.fields["turns"][-1]["text"], row.reference["intent"]) for row in made.rows] == [
        ("我没工作了", "失业"),
        ("厂子关了", "失业"),
        ("忘了", "忘记还款"),
        ("没留意", "忘记还款"),
    ]
    assert {intent["id"] for intent in made.rows[0].fields["intents"]} == {"失业", "忘记还款"}


def test_rare_and_doubtful_intents_are_dropped_with_the_reason() -> None:
    knowledge = _reasons(*COMMON, ("遭灾了", "受灾"))
    events = [*knowledge.events, logged("P0", 1, "登记逾期原因", reason="生病住院")]
    made = draft_intent(Knowledge(dialogues=knowledge.dialogues, events=events), all_train(knowledge.dialogues), CONFIG)
    assert made.dropped == {
        "intent: two intents logged for one turn": 1,
        "intent: fewer than two intents with enough cases to choose from": 4,
    }
    made = draft_intent(knowledge, all_train(knowledge.dialogues), CONFIG)
    assert len(made.rows) == 4 and made.dropped == {"intent: an intent with too few cases to learn from": 1}


def test_an_intent_only_the_held_out_have_is_not_offered() -> None:
    knowledge = _reasons(*COMMON, ("遭灾了", "受灾"), ("发大水了", "受灾"))
    splits = {**all_train(knowledge.dialogues), "CP4": "test", "CP5": "test"}
    made = draft_intent(knowledge, splits, CONFIG)
    assert {intent["id"] for row in made.rows for intent in row.fields["intents"]} == {"失业", "忘记还款"}


# Call summary

TALK = (
    "坐：您的账单2148元过期43天了，怎么没还？",
    "客：我失业了。",
    "坐：给您申请延期，可以吗？",
    "客：行。",
    "坐：《还款安排办法》第一条有写，再见。",
)


def _summary(lines: tuple[str, ...], *events: Event, closed: bool = True, config: BuildConfig = CONFIG) -> Drafts:
    closing = [logged("P1", len(lines) - 1, "填写通话小结")] if closed else []
    knowledge = Knowledge(
        dialogues=[call("P1", *lines)], events=[*events, *closing], clauses=articles("还款安排办法", "延期最长30日。")
    )
    return draft_call_summary(knowledge, {"CP1": "train"}, config)


REASON, DEFERRED = logged("P1", 1, "登记逾期原因", reason="失业"), logged("P1", 2, "发起延期申请")


def test_a_summary_holds_what_was_logged_and_heard() -> None:
    (row,) = _summary(TALK, REASON, DEFERRED).rows
    assert row.reference == {
        "reason": "失业",
        "action": "延期",
        "request": "还款安排办法第一条",
        "amount": "2148元",
        "date": "",
    }
    task = TASKS["call_summary"]
    assert task.score(task.read(task.target(row.reference), row.fields), row.reference, row.fields) == 1.0


def test_log_and_words_must_agree_on_the_steps() -> None:
    silent = (*TALK[:2], "坐：请您尽快处理。", *TALK[3:])
    assert _summary(silent, REASON, DEFERRED).dropped == {"call_summary: a step is logged and not heard": 1}
    assert _summary(TALK, REASON).dropped == {"call_summary: a step is heard and not logged": 1}
    assert _summary(silent, REASON).rows[0].reference["action"] == ""


def test_amount_and_date_of_the_log_count_if_they_were_said() -> None:
    lines = (*TALK[:2], "坐：那我登记个日期，十五号可以吗？", "客：十五号行。", "坐：再见。")
    agreed = logged("P1", 2, "登记承诺日期", date="2026-03-15", amount="2148")
    (row,) = _summary(lines, REASON, agreed).rows
    assert (row.reference["amount"], row.reference["date"]) == ("2148元", "15号")
    (row,) = _summary(lines, REASON, logged("P1", 2, "登记承诺日期")).rows
    assert row.reference["date"] == "15号"
    other = logged("P1", 2, "登记承诺日期", date="2026-03-16")
    assert _summary(lines, REASON, other).dropped == {"call_summary: the date logged is not said": 1}
    other = logged("P1", 2, "登记承诺日期", amount="9000")
    assert _summary(lines, REASON, other).dropped == {"call_summary: the amount logged is not said": 1}


def test_calls_that_cannot_be_summarised_are_left_out() -> None:
    assert not _summary(TALK, REASON, DEFERRED, closed=False).rows
    short = BuildConfig(call_summary=CallSummaryConfig(max_chars=100))
    long = (*TALK[:-1], "坐：" + "好的" * 60)
    assert _summary(long, REASON, DEFERRED, config=short).dropped == {
        "call_summary: the call is too long to show whole": 1
    }
    nothing = ("坐：您好。", "客：没事了。", "坐：再见。")
    assert _summary(nothing).dropped == {"call_summary: neither the log nor a citation says what the call was about": 1}


# Hand-off triage

ORDINARY = ("坐：您好。", "客：还款日可以改到二十号吗，我想问一下？", "坐：可以申请。")


def _triage(verdicts: Verdicts, dialogues: list[Dialogue], *events: Event, config: BuildConfig = CONFIG) -> Drafts:
    knowledge = Knowledge(dialogues=dialogues, events=events)
    return draft_handoff_triage(knowledge, all_train(dialogues), verdicts, config)


def test_a_person_answers_what_the_rulebook_hands_off_and_the_words_are_quoted(verdicts: Verdicts) -> None:
    angry = call("P1", "坐：您好。", "客：好的你说。", "坐：怎么没还？", "客：太气人了，我要投诉你们！", "坐：别急。")
    made = _triage(verdicts, [angry, call("P2", *ORDINARY), call("P3", *ORDINARY)])
    human, ai = sorted(made.rows, key=lambda row: row.stratum, reverse=True)
    assert human.reference == {"route": "human", "reason": "complaint", "evidence": "我要投诉"}
    assert human.fields["turns"][-1]["text"] == "太气人了，我要投诉你们！"
    assert ai.reference == {"route": "ai", "reason": "", "evidence": ""} and ai.session in ("P2", "P3")


def test_the_most_urgent_reason_counts(verdicts: Verdicts) -> None:
    both = call("P1", "坐：您好。", "客：我要投诉你们，我真的活不下去了。")
    assert _triage(verdicts, [both]).rows[0].reference["reason"] == "self_harm"


def test_a_hand_off_that_log_and_rules_disagree_about_gives_no_row(verdicts: Verdicts) -> None:
    seen = call("P1", *ORDINARY)
    asked = call("P2", "坐：您好。", "客：我想投诉，几天有结果？", "坐：《投诉办法》第一条，15天内。")
    dropped = {
        "handoff_triage: handed on in the log, no rule says why": 1,
        "handoff_triage: a rule is met, the agent answered from a policy": 1,
    }
    made = _triage(verdicts, [seen, asked], logged("P1", 2, "转派专员"))
    assert not made.rows and made.dropped == dropped
    made = _triage(verdicts, [asked], logged("P2", 2, "转派专员"))
    assert [row.reference["route"] for row in made.rows] == ["human"]


def test_a_grave_reason_in_words_the_rules_do_not_know_is_never_taught_as_ordinary(verdicts: Verdicts) -> None:
    known = call("P1", "坐：怎么没还？", "客：我上个月失业了。", "坐：了解。")
    unknown = call("P2", "坐：怎么没还？", "客：领导叫我卷铺盖走人，零工都没有。", "坐：了解。")
    events = [logged("P1", 1, "登记逾期原因", reason="失业"), logged("P2", 1, "登记逾期原因", reason="失业")]
    made = _triage(verdicts, [known, unknown], *events)
    assert [row.session for row in made.rows] == ["P1"]
    assert made.dropped == {"handoff_triage: no rule is met, but the reason logged comes with one elsewhere": 1}


def test_a_rule_of_a_companys_own_without_a_kind_gives_no_row(verdicts: Verdicts) -> None:
    config = BuildConfig(handoff_triage=HandoffTriageConfig(reasons={}))
    made = _triage(verdicts, [call("P1", "坐：您好。", "客：我要投诉你们！")], config=config)
    assert made.dropped == {"handoff_triage: a hand-off rule without a kind of reason": 1}


# Complaint prediction

THREATENED = (
    "坐：您好。",
    "客：再宽限我几天。",
    "坐：再拖我们就上你家去砸门！",
    "客：你怎么这样说话！",
    "坐：自己想清楚。",
    "客：行，我要投诉你们！",
    "坐：随便。",
    "客：等着瞧。",
)


def _predicted(
    verdicts: Verdicts, dialogues: list[Dialogue], outcomes: list[Outcome], events: list[Event] | None = None
) -> Drafts:
    knowledge = Knowledge(dialogues=dialogues, outcomes=outcomes, events=events or [])
    return draft_complaint_prediction(knowledge, all_train(dialogues), "质检", verdicts, CONFIG)


def test_a_prediction_never_sees_the_complaint_nor_the_last_word(verdicts: Verdicts) -> None:
    calm = call("P2", *ORDINARY, "客：好的谢谢。")
    made = _predicted(verdicts, [call("P1", *THREATENED), calm], [ended("P1", 1), ended("P2", 0)])
    yes, no = made.rows
    assert [turn["text"] for turn in yes.fields["turns"]] == [line[2:] for line in THREATENED[:5]]
    assert yes.reference["label"] == "yes" and said(yes.reference["sign"], yes.fields["turns"])
    assert no.reference == {"label": "no", "sign": ""} and no.fields["turns"][-1]["text"] == "可以申请。"
    assert (yes.at_most, no.at_most) == (None, 0.5)


def test_the_inspectors_words_are_the_sign_before_the_rulebooks(verdicts: Verdicts) -> None:
    finding = logged("P1", 4, "质检", turn=4, rule="Q02", evidence="自己想清楚", rewrite="请您考虑。")
    made = _predicted(verdicts, [call("P1", *THREATENED)], [ended("P1", 1)], [finding])
    assert made.rows[0].reference["sign"] == "自己想清楚"


def test_a_complaint_nobody_can_explain_has_no_invented_sign(verdicts: Verdicts) -> None:
    made = _predicted(verdicts, [call("P1", *ORDINARY, "客：好的谢谢。")], [ended("P1", 1)])
    assert made.rows[0].reference == {"label": "yes", "sign": ""}


def test_a_case_without_outcome_or_with_nothing_before_the_complaint_gives_no_row(verdicts: Verdicts) -> None:
    assert not _predicted(verdicts, [call("P1", *THREATENED)], []).rows
    at_once = call("P1", "坐：您好。", "客：我要投诉你们！", "坐：请讲。", "客：快点。")
    made = _predicted(verdicts, [at_once], [ended("P1", 1)])
    assert made.dropped == {"complaint_prediction: nothing was said before the complaint could be known": 1}


# Quality inspection

RULES = [QualityRule(id="Q01", title="威胁恐吓", text="以安全相威胁。")]
THREAT = "再拖我们就上你家去砸门"


def _inspected(verdicts: Verdicts, rewrite: str, share: float = 0.5) -> tuple[list[Draft], Counter[str]]:
    """Ten inspected calls with a threat each, every other one held out, and a call that nobody inspected."""
    dialogues, events = [], []
    for number in range(10):
        lines = ["坐：您好。", "客：没钱。", f"坐：{THREAT}，给你{number}天。", "客：哼。"]
        dialogues.append(call(f"P{number}", *lines, f"坐：再拖下去我们也没办法，{number}号见。"))
        finding = {"turn": 2, "rule": "Q01", "evidence": THREAT, "rewrite": rewrite.format(number)}
        events.append(logged(f"P{number}", 4, "质检", **finding))
    dialogues.append(call("P10", "坐：您好。", "客：没钱。", "坐：再拖我们就上你家去坐坐。"))
    config = BuildConfig(quality_inspection=QualityInspectionConfig(max_none_share=0.5, hard_negative_share=share))
    splits = {f"CP{number}": "test" if number % 2 else "train" for number in range(11)}
    knowledge = Knowledge(dialogues=dialogues, events=events, quality_rules=RULES)
    made = draft_quality_inspection(knowledge, splits, "质检", verdicts, config)
    return [row for row in made.rows if row.reference["rule"] == "none"], made.dropped


def test_rewrites_and_near_turns_become_turns_without_a_breach(verdicts: Verdicts) -> None:
    hard, _ = _inspected(verdicts, "请您在{}日内安排还款")
    texts = [row.fields["agent"] for row in hard]
    assert len(hard) == 4 and {row.origin for row in hard} == {"derived"}  # half of five, in each split
    assert sum(text.startswith("请您在") for text in texts) == sum(text.startswith("再拖下去") for text in texts) == 2
    near = NearDuplicates([surface(THREAT)], 0.6)
    assert not any(near.seen(surface(text)) or verdicts.breaches(call("X", "坐：好。"), text) for text in texts)
    assert all(row.session != "P10" for row in hard)  # nobody inspected that call
    groups = {row.split: {r.group for r in hard if r.split == row.split} for row in hard}
    assert not groups["train"] & groups["test"]


def test_what_is_nearly_a_breach_is_no_negative_although_no_rule_knows_it(verdicts: Verdicts) -> None:
    said_twice = "这一笔今天下班前务必处理干净，其他的我不想听"
    dialogue = call(
        "P1", "坐：您好。", f"坐：{said_twice}！", "坐：这一笔今天处理完就结束了。", f"坐：好，{said_twice}。"
    )
    finding = {"turn": 1, "rule": "Q01", "evidence": said_twice, "rewrite": "请您安排还款"}
    knowledge = Knowledge(dialogues=[dialogue], events=[logged("P1", 3, "质检", **finding)], quality_rules=RULES)
    config = BuildConfig(quality_inspection=QualityInspectionConfig(max_none_share=0.8, hard_negative_share=0.9))
    made = draft_quality_inspection(knowledge, {"CP1": "train"}, "质检", verdicts, config)
    negatives = {row.fields["agent"] for row in made.rows if row.reference["rule"] == "none"}
    assert negatives == {"请您安排还款", "这一笔今天处理完就结束了。"}


def test_a_rewrite_that_breaks_a_rule_is_taught_neither_as_rewrite_nor_as_negative(verdicts: Verdicts) -> None:
    hard, dropped = _inspected(verdicts, "不还就上门砸你家，第{}次说了")
    assert not hard and dropped == {"quality_inspection: the rulebook finds a breach in the rewrite": 10}


def test_a_near_turn_that_breaks_a_rule_is_no_negative_and_is_counted(verdicts: Verdicts) -> None:
    lines = ("坐：您好。", "坐：再拖下去不会有好结果的。", "坐：再拖下去就上门砸你家。", "坐：再拖下去罚息会多。")
    finding = {"turn": 1, "rule": "Q01", "evidence": "再拖下去", "rewrite": "请您安排还款"}
    knowledge = Knowledge(
        dialogues=[call("P1", *lines)], events=[logged("P1", 3, "质检", **finding)], quality_rules=RULES
    )
    config = BuildConfig(quality_inspection=QualityInspectionConfig(max_none_share=0.8, hard_negative_share=0.9))
    made = draft_quality_inspection(knowledge, {"CP1": "train"}, "质检", verdicts, config)
    assert not any("砸" in row.fields["agent"] for row in made.rows)
    assert made.dropped == {"quality_inspection: the rulebook finds a breach in a hard negative": 1}


def test_hard_negatives_are_as_many_as_configured(verdicts: Verdicts) -> None:
    assert _inspected(verdicts, "请您在{}日内安排还款", share=0.0)[0] == []
