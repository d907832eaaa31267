"""What a provision demands, of whom, when and with which exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.clauses import norms
from data_recipes.clauses.modality import modality, modals


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("公司应当在3日内答复。", "must"),
        ("坐席不得泄露客户信息。", "must_not"),
        ("客户可以不提交原件。", "may"),
        ("客户有权查询还款记录。", "may"),
        ("经批准方可变更。", "may"),
        ("执法人员不得少于二人。", "must_not"),
        ("消费者享有知悉真实情况的权利。", "may"),
        ("本办法所称投诉，是指客户应当得到处理的请求。", "statement"),
    ],
)
def test_the_modal_word_decides(text: str, expected: str) -> None:
    assert modality(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("应当登记而未登记的，由主管部门责令改正。", "statement"),
        ("知道或者应当知道客户身份的，坐席不得拨打。", "must_not"),
        ("对法律禁止发布的信息未停止传输的，可以暂停服务。", "may"),
        ("有权处理的机关应当在15日内答复。", "must"),
        ("客户依法可以单独申请且已经申请的，公司应当受理。", "must"),
        ("除法律规定必须保险的外，合同自愿订立。", "statement"),
        ("经营者是否应当赔偿，由法院认定。", "statement"),
        ("法律规定应当取得书面同意的，从其规定。", "statement"),
        ("国家禁止任何形式的非法集资。", "must_not"),
        ("应当由本人亲自实施的行为，不得代理。", "must_not"),
    ],
)
def test_a_modal_word_inside_a_condition_or_a_description_demands_nothing(text: str, expected: str) -> None:
    assert modality(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("店主不承担赔偿责任。但是，店主有过错的，应当赔偿。", "statement"),
        ("由市监管局责令改正，可以处一万元以下罚款。", "statement"),
        ("市监管局可以给予警告。", "may"),
        ("该条款无效。当事人应当返还财产。", "statement"),
        ("前款规定的案件，由金融法院管辖。", "statement"),
        ("经营者应当承担赔偿责任。", "must"),
        ("合同无效，当事人应当返还财产。", "must"),
        ("定作人可以随时解除合同，造成损失的，应当赔偿。", "may"),
    ],
)
def test_a_consequence_that_comes_first_decides(text: str, expected: str) -> None:
    assert modality(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("主管部门建立核验制度。", "must"),
        ("行业协会按照章程，加强行业自律。", "must"),
        ("中央银行履行下列职责：", "must"),
        ("国家支持企业参与标准制定。", "statement"),
        ("国家实行登记制度。经营者应当登记。", "must"),
        ("国务院主管部门负责全国的监督管理工作。", "statement"),
        ("具体办法由主管部门制定。", "statement"),
        ("财政部门对担保公司提供财政支持，具体办法由财政部制定。", "must"),
        ("市政府负责监管工作的组织领导，建立议事协调机制。", "must"),
        ("利息税由储蓄机构代扣代缴。", "must"),
    ],
)
def test_a_task_laid_on_a_named_body_is_a_demand_but_a_programme_is_none(text: str, expected: str) -> None:
    assert modality(text) == expected


@pytest.mark.parametrize(
    ("lead_in", "item", "expected"),
    [
        ("客户应当遵守法律，不得有下列行为：", "伪造材料；", "must_not"),
        ("有下列情形之一的，公司可以终止分期：", "应当提交材料而未提交的；", "may"),
        ("公司应当受理申请。有下列情形之一的，不得受理：", "材料虚假；", "must"),
        ("经营者应当守法，不得过度收集，并符合下列条件：", "公开规则；", "must"),
        ("投诉按照下列方式登记：", "坐席应当录入工单；", "must"),
    ],
)
def test_an_item_takes_the_demand_of_the_sentence_that_leads_it_in(lead_in: str, item: str, expected: str) -> None:
    assert modality(lead_in + item, len(lead_in)) == expected


@given(st.text(alphabet="应当不得可以有权禁止的，。；：客户公司由责令无效甲乙", max_size=40))
def test_every_text_has_one_of_the_four_and_modals_stand_where_they_say(text: str) -> None:
    assert modality(text) in ("must", "must_not", "may", "statement")
    for modal in modals(text):
        assert text[modal.start : modal.end]
        assert text[modal.start] in "应必须务不禁严可有无只负享"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("客户逾期超过90日的，公司可以上门。", ("客户逾期超过90日的",)),
        ("有下列情形之一的，公司不得收取罚息：", ("有下列情形之一的",)),
        ("未经客户同意，不得向第三人提供信息。", ("未经客户同意",)),
        ("自收到投诉之日起15日内答复。", ("自收到投诉之日起",)),
        ("伪造材料，骗取贷款，情节严重的，公司可以终止合同。", ("伪造材料，骗取贷款，情节严重的",)),
        ("公司应当保密。", ()),
    ],
)
def test_conditions_in_the_words_of_the_provision(text: str, found: tuple[str, ...]) -> None:
    assert norms.conditions(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("公司应当告知，但客户已经知悉的除外。", "但客户已经知悉的除外"),
        ("除法律另有规定外，公司不得提供信息。", "除法律另有规定外"),
        ("公司可以解除合同。但是，应当提前30日通知。", "但是，应当提前30日通知"),
        ("21时后不得拨打电话，客户本人同意的除外。", "客户本人同意的除外"),
        ("公司应当保密。", ""),
    ],
)
def test_the_exception_in_the_words_of_the_provision(text: str, found: str) -> None:
    assert norms.exception(text).endswith(found) and bool(norms.exception(text)) == bool(found)


def test_the_subject_is_not_the_term_or_the_approval_before_the_modal() -> None:
    assert norms.subject("同一笔借款12个月内不得超过2次。") == "同一笔借款"
    assert norms.subject("情况复杂的投诉，经负责人批准可以延长期限。") == "情况复杂的投诉"
    assert norms.subject("客户投诉的，公司应当受理。") == "公司"
    assert norms.subject("应当答复。", "公司") == "公司"
