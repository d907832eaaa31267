from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from evals.perturb import checks, family_of, refused, vary
from evals.perturb.checks import said_the_same
from evals.perturb.slots import Asked
from evals.records import Variant
from tests.evals.perturb.conftest import CLAUSES, choice, policy, triage
from tianjing.tasks import TASKS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("最多24期", "最多25期"), ("欠三个月", "欠四个月"), ("过三五天还", "过四六天还"), ("先拿一千五", "先拿一千二"),
        ("宽限3天", "宽限3个月"), ("利率15%", "利率15‰"), ("1.5万元", "1.5千元"), ("5月20日前", "5月21日前"),
        ("我没有逾期", "我有逾期"), ("不能减免", "能减免"), ("可以还", "不可以还"), ("别再打了", "再打了"),
        ("王先生来电", "李先生来电"), ("我叫王建国，来还款", "我叫李建国，来还款"), ("联系【姓名1】", "联系【姓名2】"),
        ("依据《还款管理办法》", "依据《投诉管理办法》"), ("号〔手机1〕", "号〔手机2〕"),
        ("打13812345678", "打13812345679"), ("最多宽限几天", "至少宽限几天"), ("罚息超过本金", "罚息低于本金"),
        ("还款日之前", "还款日之后"), ("应当提前告知", "可以提前告知"),
        ("我明天还", "我昨天还"), ("下个月发工资", "上个月发工资"), ("已经还了", "准备还了"), ("月底给你", "月初给你"),
        ("我失业了", "我生病了"), ("我要投诉", "我要咨询"), ("我同意分期", "我拒绝分期"), ("我朋友借的", "我自己借的"),
        ("请问怎么还款", "请问怎么借款"), ("厂子倒了，没活干", "厂子倒了"),
        ("拍卖买卖合同", "拍卖合同"), ("我想延期", "我想延期，他也想延期"),
    ],
)  # fmt: skip
def test_a_change_of_meaning_is_caught(before: str, after: str) -> None:
    assert said_the_same(before, after, "spoken") is not None
    assert said_the_same(before, before, "spoken") is None


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("这期没还", "这期梅还", "negations"), ("最多缓一缓", "罪多缓一缓", "quantities"),
        ("王先生来电", "汪先生来电", "names"),
        ("外文认不，要翻译吗", "外文认不要翻译吗", "pauses behind negations"),
        ("还三千，一直没断", "还三千一直没断", "numbers"),
        ("我要投诉", "我要投素", "deciding words"), ("我叫王建国，来还款", "我叫王见国，来还款", "personal data"),
        ("宽限3天", "宽限4天", "numbers"), ("厂子倒了", "铺子倒了", "words"),
    ],
)  # fmt: skip
def test_what_only_sounds_the_same_is_caught_where_it_matters(before: str, after: str, reason: str) -> None:
    assert said_the_same(before, after, "spoken") == reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("逾期3个月怎么办？", "您好，逾期三个月怎么办?"), ("我想延期。", "我想延期，您看。"),
        ("现在咋个还", "这会儿怎么还"), ("现在公司没钱", "呃，线在公司没钱"), ("我就是没钱", "我我就就是没钱"),
        ("利率15%，借15000元", "利率百分之十五，借1.5万元"), ("2024年5月1日入职", "2024-05-01入职"),
    ],
)  # fmt: skip
def test_the_same_in_other_words_passes(before: str, after: str) -> None:
    assert said_the_same(before, after, "spoken") is None


def spoilt(asked: Asked, name: str, **changes: Any) -> str | None:
    """What the checks say of a variant whose fields were changed further."""
    variant = vary(asked, (name,), "seed", [asked.reference])[0][name]
    assert variant.fields is not None
    known = checks.probes(asked, [asked.reference], random.Random(0))
    fields = copy.deepcopy(variant.fields) | changes
    return refused(asked, family_of(name), Variant(fields=fields, check=variant.check), lambda: known)


def test_nothing_but_the_customers_words_may_differ() -> None:
    other = [CLAUSES[0], CLAUSES[1] | {"text": "自受理之日起51日内作出处理决定。"}, CLAUSES[2]]
    assert spoilt(policy(), "asr") is None
    assert spoilt(policy(), "asr", clauses=other) == "something else changed"
    assert spoilt(policy(), "order1", clauses=[other[1], other[2], other[0]]) == "entries"
    assert spoilt(policy(), "order1", question="别的") == "something else changed"


def test_what_the_answer_needs_must_be_there() -> None:
    assert spoilt(policy(), "fewer") is None
    assert spoilt(policy(), "fewer", clauses=CLAUSES[1:]) == "what the answer needs"
    assert spoilt(policy(), "context2k", clauses=CLAUSES[1:]) == "entries"
    turns = triage().fields["turns"]
    assert spoilt(triage(), "distractor", turns=turns[:1]) == "entries"
    broken = [turns[0], turns[1] | {"text": turns[1]["text"].replace("厂里下岗", "厂子里下岗")}]
    assert spoilt(triage(), "text", turns=broken) is not None


def test_added_talk_that_decides_something_is_refused() -> None:
    turns = triage().fields["turns"]
    for said in ("我要投诉你们。", "我先还500元。", "我叫王建国，你记一下。"):
        loud = [{"speaker": "customer", "text": said}, *turns]
        assert spoilt(triage(), "distractor", turns=loud) is not None, said


def test_an_option_keeps_its_id() -> None:
    asked = choice("保证", "抵押权", "违约金", "定金")
    assert spoilt(asked, "option1") is None
    assert spoilt(asked, "option1", ids=["C", "B", "D", "A"]) == "options"
    assert spoilt(asked, "option1", options=["抵押权", "违约金", "定金", "保证金"]) == "options"


def test_a_scorer_that_would_accept_more_is_noticed() -> None:
    """Of two clauses with one article number, leaving one out makes a bare number cite the other."""
    clauses = [CLAUSES[0], CLAUSES[1] | {"label": "《投诉处理管理办法》第五条"}]
    asked = policy()
    asked = Asked(asked.task, {**asked.fields, "clauses": clauses}, asked.reference)
    wrong = "《投诉处理管理办法》第五条：事实清楚的投诉，应当作出处理决定。"
    known = checks.Probes(("", None, 0.0), {wrong: 0.0})
    assert checks.scored_the_same(asked, {**asked.fields, "clauses": clauses[:1]}, known) == "score of a wrong answer"


def test_a_right_answer_may_repeat_the_questions_number_in_digits() -> None:
    task, asked = TASKS["policy_qa"], policy("逾期三个月还能申请延期吗？")
    answer = f"{asked.reference['clause_label']}：逾期3个月在90日内的，最长延期30日。"
    assert task.score(task.read(answer, asked.fields), asked.reference, asked.fields) == 1.0


def test_a_made_up_number_scores_nothing_however_many_clauses_there_are(varied) -> None:  # type: ignore[no-untyped-def]
    asked = policy()
    fields = varied(asked, "context2k")[0]["context2k"].fields
    task = asked.task
    made_up = f"{asked.reference['clause_label']}：最长延期7日。"
    numbered = f"1、{asked.reference['clause_label']}：最长延期30日，见[7]。"
    assert len(fields["clauses"]) > 10
    assert task.score(task.read(made_up, fields), asked.reference, fields) == 0.0
    assert task.score(task.read(numbered, fields), asked.reference, fields) == 1.0
