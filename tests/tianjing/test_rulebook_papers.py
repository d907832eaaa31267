"""Papers of others that a customer may hand in are no breach of privacy; what is demanded or told of them stays one."""

from __future__ import annotations

import datetime

import pytest

from tianjing.guard import Guard, RulebookDetector
from tianjing.rulebook import Rulebook

BOOK = Rulebook.load().on(datetime.date(2026, 11, 1)).within("consumer_finance")
MATCHER = BOOK.matcher()
MAY_BE_HANDED_IN = """
    爱人的收入证明可以上传
    您可以上传爱人的工资流水
    您可以把配偶的收入证明发给我们
    如果爱人愿意，她的收入证明也可以一并上传
    您也可以提供父母的收入证明
    父母的社保缴费记录可以拍照上传
    爱人单位开的证明也可以上传
    您可以补充您妻子的工资单
    孩子学校开的证明可以上传
    老公的工资条可以发给我们
    母亲的体检报告可以传过来
    家人的收入证明也行，您上传一份就可以
    您爱人的户口本复印件可以拍照发过来
""".split()
BREACHES = """
    把你爱人的收入证明发给我，不然不批
    你老婆的工资流水必须上传，不传就不给减免
    您爱人的收入证明要发给我，不然不批
    您爱人工资多少，报给我登记一下
    爱人的收入可以告诉我吗
    把您父母的存折和流水发过来
    您可以把你同事的手机号报给我
    上传你爱人的身份证和流水，少一样都不办
    把你同事的工资条截给我
    你可以上传爱人的身份证和手机号
    爱人的收入证明可以上传，她的手机号也报给我
    母亲的病历和身份证号都发给我
""".split()


@pytest.mark.parametrize("text", MAY_BE_HANDED_IN)
def test_a_paper_that_the_customer_may_hand_in_is_no_breach(text: str) -> None:
    assert not MATCHER.find(text)
    guard = Guard([RulebookDetector(MATCHER)])
    assert "".join(guard.push(char).text for char in text) + guard.finish().text == text


@pytest.mark.parametrize("text", BREACHES)
def test_what_is_demanded_or_told_of_others_is_one(text: str) -> None:
    assert "privacy.excessive" in {found.rule.id for found in MATCHER.find(text)}
