"""A policy answer is taught only if nothing speaks against it; every gate counts what it stops, by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.config import BuildConfig
from data_recipes.knowledge import DocumentInfo, Knowledge
from data_recipes.tasks.agreement import contradiction, is_quotation, understandable
from data_recipes.tasks.config import PolicyQAConfig
from data_recipes.tasks.contrast import draft_contrast
from data_recipes.tasks.draft import Draft, Drafts
from data_recipes.tasks.policy_qa import draft_policy_qa
from data_recipes.tasks.statute_qa import draft_statute_qa
from tests.data_recipes.calls import articles, call
from tianjing.records import Split
from tianjing.tasks import TASKS
from tianjing.text import numbers

RULES = articles(
    "还款安排办法",
    "延期还款每次最长30日，12个月内不得超过2次。",
    "分期还款的期数为3至24期，每期应还金额不得低于200元。",
    "公司应当在7个工作日内审核客户提交的证明材料。",
    "任何人员不得索要客户的密码和短信验证码。",
    "客户可以在还款日前更换扣款银行卡。",
    "延期申请逾期不补材料的，视为撤回。",
    "提前还款不收取违约金，利息计算到还款当日。",
)


def _made(question: str, answer: str, split: Split = "train", config: BuildConfig | None = None) -> Drafts:
    dialogue = call("P1", f"客：{question}", f"坐：{answer}")
    knowledge = Knowledge(clauses=RULES, dialogues=[dialogue])
    return draft_policy_qa(knowledge, {dialogue.customer: split}, config or BuildConfig())


def test_an_answer_borne_out_by_its_clause_becomes_a_row_with_its_links() -> None:
    (row,) = _made("延期还款最长能延多少天？", "按《还款安排办法》第一条，最长三十天，12个月最多2次。").rows
    assert row.reference["clause_label"] == "《还款安排办法》第一条"
    assert is_quotation(row.reference["quote"], RULES[0].text)
    assert set(row.links) == {"customer:CP1", "session:P1", "group:CP1", f"clause:{RULES[0].id}"}
    assert (row.origin, row.weight) == ("log", 1.0)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("延期能延多久？", "按《还款安排办法》第九条，30天。", "the clause cited does not exist"),
        ("延期能延多久？", "按《还款安排办法》第一条，45天。", "the answer states a number the clause does not have"),
        (
            "证明材料审核要多久？",
            "按《还款安排办法》第三条，7天审核完。",
            "the answer states a number of the clause in another unit",
        ),
        (
            "坐席要我的短信验证码，给吗？",
            "按《还款安排办法》第四条，坐席可以要您的验证码。",
            "the answer permits what the clause forbids, or the reverse",
        ),
        (
            "上述条款里延期还款是多久？",
            "按《还款安排办法》第一条，30天。",
            "the question points at a clause that is not in view",
        ),
        (
            "啥时候能缓缓？",
            "按《还款安排办法》第一条，30天。",
            "a search with the question does not find the clause",
        ),
    ],
)
def test_each_gate_counts_what_it_stops(question: str, answer: str, reason: str) -> None:
    made = _made(question, answer)
    assert not made.rows and dict(made.dropped) == {f"policy_qa: {reason}": 1}


def test_customers_questions_are_tested_on_however_they_are_worded() -> None:
    colloquial = ("啥时候能缓缓？", "按《还款安排办法》第一条，30天。")
    assert len(_made(*colloquial, split="test").rows) == 1
    anything = BuildConfig(policy_qa=PolicyQAConfig(round_trip=0))
    assert len(_made(*colloquial, config=anything).rows) == 1


@pytest.mark.parametrize(
    ("answer", "clause"),
    [
        ("最多2次，可以分开申请。", "12个月内不得超过2次。"),  # within a limit it is permitted
        ("您同意的话可以打。", "21时后不得拨打电话，客户本人同意的除外。"),
        ("要2人一起来。", "由2名以上人员同行。"),
        ("最少分3期。", "分期的期数为3至24期。"),
        ("七个工作日。", "应当在7个工作日内审核。"),
        ("这个要收材料。", "应当提交材料。"),
        ("不用交违约金。", "提前还款无需支付违约金，公司应当当日结清。"),
    ],
)
def test_what_does_not_contradict_passes(answer: str, clause: str) -> None:
    assert contradiction(answer, clause) == ""


@pytest.mark.parametrize(
    ("answer", "clause"),
    [
        ("材料可以不交。", "客户应当提交材料。"),
        ("还款日前不能换卡。", "客户可以更换扣款银行卡。"),
        ("罚息减百分之五十。", "罚息减免50日。"),
    ],
)
def test_what_contradicts_is_stopped(answer: str, clause: str) -> None:
    assert contradiction(answer, clause)


_SUBJECTS = st.sampled_from(("公司", "客户", "坐席"))
_MODALS = st.sampled_from(("应当", "不得", "可以", "必须"))
_ACTIONS = st.sampled_from(("{n}日内提交材料", "查询{n}次", "支付{n}元费用", "减少{n}%的罚息"))
_CLAUSES = st.builds(
    lambda s, m, a, n: f"{s}{m}{a.format(n=n)}。", _SUBJECTS, _MODALS, _ACTIONS, st.integers(min_value=1, max_value=999)
)


@given(_CLAUSES, st.sampled_from((" ", "\n", "　", "")))
def test_a_clause_never_contradicts_itself_and_white_space_changes_no_quotation(clause: str, space: str) -> None:
    assert contradiction(clause, clause) == ""
    assert is_quotation(space.join(clause), clause)
    assert not is_quotation(clause + "完", clause)


@pytest.mark.parametrize(
    ("question", "plain"), [("本条规定几天？", False), ("这条规定是什么意思？", False), ("延期几天？", True)]
)
def test_a_question_must_be_understood_without_its_clause(question: str, plain: bool) -> None:
    assert understandable(question) is plain


def test_a_question_on_a_statute_is_kept_only_with_the_number_it_asks_for() -> None:
    long = "融资担保公司办理担保业务所需的风险准备金提取比例，经监督管理部门核定以后，向主管部门报送的期限为九十日。"
    law = articles(
        "担保条例", long, "消费者有权查阅交易记录和合同文本。", "支付机构不得挪用备付金用于投资。", strength="law"
    )
    info = DocumentInfo(
        document="担保条例", file="a.md", strength="law", version="", articles=3, gaps=(), split="train", licence=""
    )
    knowledge = Knowledge(clauses=law, documents=[info])

    def made(max_clause_chars: int) -> Drafts:
        return draft_statute_qa(knowledge, BuildConfig(policy_qa=PolicyQAConfig(max_clause_chars=max_clause_chars)))

    asked = [row for row in made(80).rows if "多少日" in row.fields["question"]]
    assert len(asked) == 1 and numbers(asked[0].reference["quote"]) == {"90"}
    cut = made(30)
    assert not any("多少日" in row.fields["question"] for row in cut.rows)
    assert cut.dropped["policy_qa: the clause is too long to show with the number asked for"] == 1


def _contrast(share: float, answered: int) -> list[Draft]:
    config = BuildConfig(policy_qa=PolicyQAConfig(contrast_share=share))
    return draft_contrast(Knowledge(clauses=RULES), answered, config).rows


def test_contrast_rows_misstate_a_clause_and_answer_with_what_it_says() -> None:
    rows = _contrast(0.5, 100)
    assert len(rows) >= 3 and {row.split for row in rows} == {"train"} and {row.origin for row in rows} == {"derived"}
    assert len({row.group for row in rows}) == len(rows)
    for row in rows:
        wrong, target = row.reference["corrects"], TASKS["policy_qa"].target(row.reference)
        assert wrong in row.fields["question"] and target.startswith("不对。《还款安排办法》")
        assert not numbers(wrong) or not numbers(wrong) <= numbers(target)
    assert any("不得" not in row.fields["question"] and "不得" in row.reference["quote"] for row in rows)


def test_contrast_rows_are_an_option_and_keep_their_share() -> None:
    assert _contrast(0.0, 100) == []
    assert len(_contrast(0.25, 6)) == 2


def test_links_name_what_two_splits_must_not_share() -> None:
    row = _contrast(0.5, 100)[0]
    assert row.links == (f"group:{row.group}", f"clause:{row.clause_ids[0]}")
    assert replace(row, customer="C", session="D").links[:2] == ("customer:C", "session:D")
