"""Stated numbers in a stream: the same verdicts however it is cut, nothing wrong released, little held back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.finance.known_facts import facts
from tests.tianjing.streams import followed
from tianjing.finance.statements import check_statements
from tianjing.guard import Guard, StatementDetector

FACTS = facts(
    principal="12000",
    instalment="1066.19",
    total_repayment="12794.28",
    annual_rate_irr="0.18",
    monthly_rate="0.015",
    instalments="12",
    overdue_days="3",
    due_date=("2026-08-20", "2026-09-05"),
    waiver_share="0.5",
)
DETECTOR = StatementDetector(FACTS)
PARTS = (
    *"每期还1066块1毛9 年化利率18% 分12期 本金一万二 月息一分五 8月20号前 5号 减免三成 逾期3天 利息两分".split(),
    *"第十条 一起 万一 十分 尾号1234 不是 大概 左右 不超过 以内 百分之 个月 下个月 三天后".split(),
    *"利息 罚息 本金 您好，我是客服 请您放心 １，０００".split(),
    *"一二十万千点分块元期天年号底%的，。、？；108,.-到这周五１折成厘¥wa\u200b\n ",
)
TEXT = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)
CUTS = st.lists(st.integers(0, 300), max_size=30)


@settings(max_examples=400, deadline=None)
@given(text=TEXT, cuts=CUTS)
def test_a_stream_has_the_verdicts_of_the_whole(text: str, cuts: list[int]) -> None:
    found = followed(DETECTOR, text, cuts)
    assert [(span.kind, span.start, span.end) for span in found] == [
        (f"stated_number.{one.verdict}", one.start, one.end)
        for one in check_statements(text, FACTS)
        if one.verdict != "right"
    ]


def test_a_wrong_rate_is_never_sent() -> None:
    guard, sent = Guard([DETECTOR]), ""
    for char in "您好，您这笔借款年化利率是15%，请放心。":
        sent += guard.push(char).text
    assert sent + guard.finish().text == "您好，您这笔借款年化利率是"
    stream = guard.open()
    assert stream.ended is not None and stream.ended.kind == "stated_number.wrong"


def test_what_no_fact_supports_is_reported_and_sent() -> None:
    text = "会员费是199元。"
    released = Guard([DETECTOR]).check(text)
    assert released.text == text
    assert [verdict.kind for verdict in released.verdicts] == ["stated_number.unsupported"]


def test_a_company_may_hold_back_what_is_unsupported() -> None:
    strict = StatementDetector(FACTS, {"unsupported": "mask"})
    assert Guard([strict]).check("会员费是199元。").text == "会员费是〔略〕。"


@pytest.mark.parametrize("text", ["您好，我是客服，很高兴为您服务", "一般来说不会影响您使用，请您放心"])
def test_text_without_values_is_hardly_held_back(text: str) -> None:
    stream = Guard([DETECTOR]).open()
    sent = "".join(stream.push(char).text for char in text)
    assert len(text) - len(sent) <= 2


def test_text_in_front_of_what_may_be_a_value_is_not_held_back() -> None:
    scan = DETECTOR.open()
    assert scan.push("请您放心，", False) == ((), 5)
    assert scan.push("我们一", False) == ((), 7)
