"""What a text states about a loan: every value is found where it stands, and the verdict follows from the facts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.finance.known_facts import facts
from tianjing.finance.statements import Facts, check_statements

LOAN = facts(
    principal="12000",
    cash_received="11800",
    total_fees="200",
    instalment="1066.19",
    total_interest="794.28",
    total_repayment="12794.28",
    overdue_amount="1066.19",
    penalty="56.30",
    remaining_principal="9100",
    annual_rate_irr="0.18",
    penalty_rate="0.00075/day",
    waiver_share="0.5",
    instalments="12",
    instalments_paid="3",
    instalments_left="9",
    overdue_days="3",
    due_date="2026-08-20",
    contract_date="2026-05-20",
    deadline="2026-08-25",
)


def verdicts(text: str, truth: Facts = LOAN) -> list[tuple[str, str]]:
    return [(one.evidence, one.verdict) for one in check_statements(text, truth)]


@pytest.mark.parametrize(
    ("text", "said", "kind", "value"),
    [
        ("每期还1066块1毛9", "1066块1毛9", "money", "1066.19"),
        ("借了三万二", "三万二", "money", "32000"),
        ("借款壹万贰仟元整", "壹万贰仟元整", "money", "12000"),
        ("本金¥12,000.00", "¥12,000.00", "money", "12000.00"),
        ("到手4万5", "4万5", "money", "45000"),
        ("额度提到5w", "5w", "money", "50000"),
        ("罚息两三百块", "两三百块", "money", "200"),
        ("本金４２，０００元", "４２，０００元", "money", "42000"),
        ("日利率万分之五", "万分之五", "rate", "0.0005"),
        ("日息万五", "万五", "rate", "0.0005"),
        ("月利率6.25‰", "6.25‰", "rate", "0.00625"),
        ("年化十八", "十八", "rate", "0.18"),
        ("利率18个点", "18个点", "rate", "0.18"),
        ("月息一分五", "一分五", "rate", "0.015"),
        ("罚息打八五折", "八五折", "rate", "0.15"),
        ("给您减免三成", "三成", "rate", "0.3"),
        ("期限三年", "三年", "count", "36"),
        ("逾期两周", "两周", "count", "14"),
        ("分十二期", "十二期", "count", "12"),
    ],
)
def test_every_way_to_say_a_value_is_read_exactly(text: str, said: str, kind: str, value: str) -> None:
    (one,) = check_statements(text, LOAN)
    assert (one.evidence, one.kind, one.value) == (said, kind, Decimal(value))


@pytest.mark.parametrize(
    "text",
    [
        "千万别急，万一不行，咱们一起想办法，十分抱歉",
        "根据合同第十条，第三期的账单已经出了",
        "请拨打400-820-1234，工号8012，尾号6688的卡",
        "客服时间早上9点到晚上10点，15:30有空吗",
        "您的验证码是123456，订单号20260805123456",
        "稍等一下，三方都同意，百分百是这样，一分钱都不会多收",
        "身份证110101199003071234，手机13800138000",
    ],
)
def test_everyday_words_and_codes_are_no_values(text: str) -> None:
    assert check_statements(text, LOAN) == ()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("年化利率是18%", "right"),
        ("年化利率是18.25%", "wrong"),
        ("月息18%", "wrong"),
        ("月息1.5%", "right"),
        ("日息万分之五", "right"),
        ("本金12794.28元", "wrong"),
        ("每期还1066元", "wrong"),
        ("每期大概还1066元", "right"),
        ("每期一千多块", "right"),
        ("每期不到1060元", "wrong"),
        ("年化不超过24%", "right"),
        ("年化不超过15%", "wrong"),
        ("罚息减半", "right"),
        ("会员费199元", "unsupported"),
        ("可以延期30天", "unsupported"),
        ("还有5天到还款日", "right"),
        ("下周四还款", "right"),
        ("合同是5月20号签的", "right"),
        ("最晚本月底", "wrong"),
        ("总共要还1122.49元", "right"),
        ("系统里显示的是1066.19", "ambiguous"),
    ],
)
def test_a_verdict_follows_from_the_facts(text: str, verdict: str) -> None:
    assert [given for _, given in verdicts(text)] == [verdict]


def test_one_sentence_may_be_right_and_wrong() -> None:
    text = "您借了一万二，分12期，每期还1066块1毛9，年化才15%，8月25号到期。"
    assert verdicts(text) == [
        ("一万二", "right"),
        ("12期", "right"),
        ("1066块1毛9", "right"),
        ("15%", "wrong"),
        ("8月25号", "wrong"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1. 借款金额：12000元\n2. 期数：12期\n3. 每期还款额：1,066.19元\n4. 年化利率：18%",
        "- 本金：**12000元**\n- 利息：**794.28元**\n- 合计：**12794.28元**",
        "| 项目 | 金额 |\n| 每期应还 | 1066.19元 |\n| 还款总额 | 12794.28元 |",
        "您目前逾期3天，逾期金额1,066.19元，已产生罚息56.30元，合计应还1,122.49元。建议您在8月25日前还清，以免影响征信。",
    ],
)
def test_answers_in_lists_tables_and_prose_are_borne_out(text: str) -> None:
    assert {given for _, given in verdicts(text)} == {"right"} and len(verdicts(text)) >= 2


def test_denying_the_truth_is_wrong_and_denying_an_error_right() -> None:
    assert verdicts("年化不是24%，是18%") == [("24%", "right"), ("18%", "right")]
    assert verdicts("年化不是18%，是24%") == [("18%", "wrong"), ("24%", "wrong")]


def test_a_rate_that_may_be_simple_or_compound_is_ambiguous_until_it_says_so() -> None:
    both = facts(annual_rate_irr="0.18", annual_rate_simple="0.10")
    assert verdicts("利率是18%", both) == [("18%", "ambiguous")]
    assert verdicts("内部收益率口径年化18%", both) == [("18%", "right")]
    assert verdicts("单利年化18%", both) == [("18%", "wrong")]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("合同约定的年利率是12%", "right"),
        ("贷款利率1%一个月，也就是月利率1%", "right"),
        ("年利率15%", "wrong"),
        ("年化12%", "wrong"),
        ("单利年化15%", "right"),
        ("综合融资成本年化12%", "wrong"),
        ("利率12%", "ambiguous"),
    ],
)
def test_the_rate_of_the_contract_is_not_what_the_loan_costs(text: str, verdict: str) -> None:
    truth = facts(annual_rate_irr="0.160756", annual_rate_simple="0.150002", contract_rate="0.12/year")
    assert verdicts(text, truth)[-1][1] == verdict


@pytest.mark.parametrize(("truth", "verdict"), [("0.18", "right"), ("0.180049", "right"), ("0.1802", "wrong")])
def test_a_rate_is_exact_to_a_hundredth_of_a_point(truth: str, verdict: str) -> None:
    assert verdicts("年化利率18%", facts(annual_rate_irr=truth)) == [("18%", verdict)]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("大概1100块", "right"),
        ("大概1000块", "right"),
        ("大概1050块", "wrong"),
        ("1100多块", "wrong"),
        ("不到1100块", "right"),
    ],
)
def test_about_is_judged_at_the_last_place_that_is_said(text: str, verdict: str) -> None:
    assert [given for _, given in verdicts(f"每期还{text}")] == [verdict]


def test_fen_without_a_period_is_ambiguous_and_with_one_is_not() -> None:
    truth = facts(annual_rate_simple="0.24")
    assert verdicts("利息两分", truth) == [("两分", "ambiguous")]
    assert verdicts("月息两分", truth) == [("两分", "right")]
    assert verdicts("年息两分", truth) == [("两分", "wrong")]


def test_a_day_that_fits_one_of_two_due_dates_is_ambiguous() -> None:
    truth = facts(due_date=("2026-08-05", "2026-08-20"))
    assert verdicts("5号还款", truth) == [("5号", "ambiguous")]
    assert verdicts("8月5号还款", truth) == [("8月5号", "right")]
    assert verdicts("6号还款", truth) == [("6号", "wrong")]


def test_the_reason_names_what_was_said_and_what_is_true() -> None:
    (one,) = check_statements("年化利率15%", LOAN)
    assert one.facts == ("annual_rate_irr",)
    assert "15%" in one.reason and "18%" in one.reason


VALUES = "每期还1066块1毛9 年化利率15% 逾期3天了 8月20号还款 会员费199元 本金三万二 罚息减免三成 利息两分".split()
NEUTRAL = st.text(alphabet="您好我是的客服请放心谢谢了解，", max_size=30)
LETTERS = "零一二两三十百千万点分厘毛元块¥%折成半期天日号月年今明后下周底多约不到,.，。0159wk利息还借化罚减免\u200b"
TEXT = st.text(alphabet=LETTERS, max_size=60)


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_offsets_always_lead_to_the_raw_text(text: str) -> None:
    end = 0
    for one in check_statements(text, LOAN):
        assert text[one.start : one.end] == one.evidence and one.start >= end
        end = one.end


@settings(max_examples=100, deadline=None)
@given(value=st.sampled_from(VALUES), before=NEUTRAL, after=NEUTRAL)
def test_neutral_sentences_around_it_never_change_a_verdict(value: str, before: str, after: str) -> None:
    assert verdicts(f"{before}。{value}。{after}") == verdicts(value)


def test_invisible_characters_hide_no_value() -> None:
    text = "年\u200b化利\u200b率1\u200b5%"
    (one,) = check_statements(text, LOAN)
    assert one.verdict == "wrong" and text[one.start : one.end] == "1\u200b5%"
