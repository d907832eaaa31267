"""Rows made of practices: mediation says what was said and found, pairs set what worked against what did not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from data_recipes.config import BuildConfig
from data_recipes.experience.evidence import evidence, weigh
from data_recipes.selection import select
from data_recipes.tasks.config import PreferenceConfig
from data_recipes.tasks.draft import Draft
from data_recipes.tasks.emotions import emotion
from data_recipes.tasks.mediation import draft_mediation
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, articles, call
from tests.data_recipes.talks import (
    BREACHED,
    CONFIG,
    MINING,
    TALK,
    WORKS,
    pairs_of,
    practice,
    world,
)
from tianjing.records import Practice, Support
from tianjing.rulebook import Rulebook
from tianjing.tasks import TASKS


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts(Rulebook.load())


# Mediation


def test_a_mediation_row_says_what_was_said_and_found(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    (row,) = made.rows
    assert row.reference == {
        "situation": "失业",
        "emotion": "焦虑",
        "practice": "延期",
        "words": "愁",
        "analysis": "同类情形用“延期”履约率高40个百分点（95%区间30至50，100件），是关联，不代表因果。",
        "empathy": "换作是我也难，我理解您。",
        "reasoning": "给您申请延期，缓一段再还。",
        "clause": "《还款安排办法》第一条",
        "law": "延期还款每次最长30日。",
        "risk": "同类通话出现过“威胁恐吓”，不得以安全相威胁。",
        "act": "offer_deferral",
        "clause_id": "还款安排办法:第一条",
    }
    assert row.sources == ("P0#1", "P0#2", "P0#4") and row.practice_ids == ("失业/offer_deferral",)
    task = TASKS["mediation"]
    assert task.score(task.read(task.target(row.reference), row.fields), row.reference, row.fields) == 1.0
    assert made.dropped == {
        "mediation: the agent did not follow the practice": 3,
        "mediation: no words of empathy where such a promise was kept": 1,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clauses": articles("办法", "投诉当日答复。")}, "no clause speaks of the practice or of the situation"),
        ({"quality_rules": ()}, "no rule was broken in such talks, and none calls for a person"),
    ],
)
def test_a_part_without_evidence_gives_no_row_and_is_counted(
    change: dict[str, Any], reason: str, verdicts: Verdicts
) -> None:
    knowledge = replace(world(WORKS), **change)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    assert not made.rows and made.dropped[f"mediation: {reason}"] == 1


def test_words_with_a_number_that_is_not_shown_are_not_taught(verdicts: Verdicts) -> None:
    knowledge = world(WORKS, [("失业", "我理解您。给您延期到26号，缓一段再还。", 1)])
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    assert not made.rows and made.dropped["mediation: the agent's words state a number that is not shown"] == 1


def test_a_customer_who_needs_a_person_is_the_risk(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    angry = call(
        "P0", "坐：怎么没还？", "客：气人，我要投诉你们！", *("坐：我理解您。给您申请延期。", "客：行。", "坐：再见。")
    )
    knowledge = replace(knowledge, dialogues=[angry, *knowledge.dialogues[1:]])
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    (row,) = made.rows
    assert row.reference["risk"] == "客户说“我要投诉”（投诉），应转人工处理。" and row.reference["emotion"] == "愤怒"


def test_an_emotion_is_what_the_words_show() -> None:
    assert emotion(["网贷滚雪球一样，你说怎么办"]) == ("未表露", "")
    assert emotion(["我愁得睡不着", "真是气死人"]) == ("愤怒", "气死")
    assert emotion(["催命嘛，晚点说"]) == ("抵触", "催命")
    assert emotion(["不知道先还谁，压力大"]) == ("焦虑", "不知道先")
    assert emotion(["忘了还"]) == ("未表露", "")


def test_a_mediation_answer_that_breaks_a_rule_or_invents_a_number_scores_nothing(verdicts: Verdicts) -> None:
    knowledge = world(WORKS)
    made = draft_mediation(knowledge, all_train(knowledge.dialogues), BREACHED, MINING, "质检", verdicts, CONFIG)
    row, task = made.rows[0], TASKS["mediation"]

    def scored(**parts: str) -> float:
        answer = json.dumps({**json.loads(task.target(row.reference)), **parts}, ensure_ascii=False)
        return round(task.score(task.read(answer, row.fields), row.reference, row.fields), 3)

    assert scored(reasoning="再不还我们上门砸了你家。") == 0.0
    assert scored(analysis="履约率高90个百分点。") == 0.0
    assert scored(law="延期还款每次都可以。") == round(5 / 6, 3)
    assert scored(clause="《还款安排办法》第九条") == round(4 / 6, 3)  # cited as nothing, so its words stand nowhere
    assert scored(emotion="愤怒", situation="受灾", practice="分期", words="我没说过") == round(2 / 6, 3)


# Preference pairs


def test_a_pair_has_the_prompt_of_the_next_reply_and_says_why_the_other_did_not_work(verdicts: Verdicts) -> None:
    harmful = practice("失业", "confirm_date", -0.3)
    replies = [("失业", text, kept) for text in TALK["失业"][1].values() for kept in (1, 0)]
    knowledge = world([*WORKS, harmful], replies)
    splits = all_train(knowledge.dialogues)
    drafts = draft_next_reply(knowledge, splits, BREACHED, MINING, CONFIG).rows
    (reply,) = select(drafts, CONFIG, [])
    config = BuildConfig(preference=PreferenceConfig(pairs=3))
    pairs = pairs_of(knowledge, verdicts, config)
    assert [(pair.why, pair.rejected[0].content) for pair in sorted(pairs, key=lambda pair: pair.why)] == [
        ("harmful", "【失业：约定日期】约个日期，您看哪天？"),
        ("other", "【失业：全额还款】请您全额还清。"),
    ]
    for pair in pairs:
        assert (*pair.prompt, *pair.chosen) == reply.messages and pair.weight == reply.weight
        assert pair.chosen[0].content == "【失业：延期】换作是我也难，我理解您。给您申请延期，缓一段再还。"


def test_an_unlawful_answer_is_rejected_as_a_breach_with_its_rules(verdicts: Verdicts) -> None:
    veto = practice("失业", "demand_full_payment", 0.6, verdict="vetoed", rules=("Q01",))
    replies = [
        ("失业", TALK["失业"][1]["offer_deferral"], 1),
        ("失业", "请您全额还清。", 1),
        ("失业", "约个日期，您看哪天？不还就上门砸你家。", 1),
    ]
    knowledge = world([*WORKS, veto], replies)
    found = pairs_of(knowledge, verdicts, BuildConfig(preference=PreferenceConfig(pairs=3)))
    assert {pair.why for pair in found} == {"breach"} and {"Q01"} in [set(pair.rules) for pair in found]
    assert any("collect.threat.violence" in pair.rules for pair in found)
    lawful = BuildConfig(preference=PreferenceConfig(pairs=3, breaches=False))
    assert not pairs_of(knowledge, verdicts, lawful)


def test_both_answers_of_a_pair_or_neither_state_a_number_that_is_not_shown(verdicts: Verdicts) -> None:
    plain, counted = TALK["失业"][1]["offer_deferral"], "给您延期20天，缓一段再还。"
    bare, priced = "请您全额还清。", "请您全额还清3200元。"
    for chosen, rejected, expected in ((plain, priced, 0), (plain, bare, 1), (counted, bare, 0), (counted, priced, 1)):
        replies = [("失业", chosen, 1), ("失业", rejected, 0)]
        assert len(pairs_of(world(WORKS, replies), verdicts)) == expected


# Weights


def test_rows_weigh_by_the_evidence_of_their_practice() -> None:
    sure, unsure = practice("失业", "offer_deferral", 0.5), practice("多头负债", "offer_instalment", 0.2)
    few = practice("失业", "offer_deferral", 0.5, support=Support(cases=40, treated=10, agents=2))
    assert evidence(sure) > evidence(few) > 0 and evidence(practice("失业", "x", 0.05)) == 0.0
    rows = [_row("a", sure), _row("b", sure), _row("c", unsure)]
    weights = [row.weight for row in weigh(rows, {one.id: one for one in (sure, unsure)})]
    assert weights[0] == weights[1] > 1 > weights[2] >= 0.5
    assert [row.weight for row in weigh([_row("d", sure)], {sure.id: sure})] == [1.0]


def _row(name: str, followed: Practice) -> Draft:
    return Draft(
        id=name,
        task="next_reply",
        group=name,
        split="train",
        fields={},
        reference={},
        informative=name,
        stratum="",
        sources=(),
        practice_ids=(followed.id,),
    )
