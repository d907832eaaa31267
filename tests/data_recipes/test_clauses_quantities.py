"""Quantities of a provision: value, unit, bound, period and place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.clauses.quantities import quantities


def _bounds(text: str) -> list[tuple[float, str, str]]:
    return [(one.value, one.unit, one.comparator) for one in quantities(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("处一万元以上十万元以下罚款", [(10000, "元", ">="), (100000, "元", "<=")]),
        ("处二十万元以上一百万元以下罚款", [(200000, "元", ">="), (1000000, "元", "<=")]),
        ("违法所得一倍以上五倍以下", [(1, "倍", ">="), (5, "倍", "<=")]),
        ("注册资本不低于人民币10亿元", [(1e9, "元", ">=")]),
        ("不得超过百分之二十四", [(24, "%", "<=")]),
        ("年化不超过23.5%", [(23.5, "%", "<=")]),
        ("不应超过债务人不能清偿部分的三分之一", [(0.333333, "比", "<=")]),
        ("按日万分之五计收", [(0.0005, "比", "=")]),
        ("违法所得不足五万元的", [(50000, "元", "<")]),
        ("逾期超过90日的", [(90, "日", ">")]),
        ("未满十四周岁", [(14, "周岁", "<")]),
        ("下落不明满二年", [(2, "年", ">=")]),
        ("在2个工作日内答复", [(2, "个工作日", "<=")]),
        ("至少隐藏中间6位", [(6, "位", ">=")]),
        ("分期的期数为3至24期", [(3, "期", ">="), (24, "期", "<=")]),
        ("执法人员不得少于二人", [(2, "人", ">=")]),
        ("双倍返还定金", [(2, "倍", "=")]),
        ("1,000.50元", [(1000.5, "元", "=")]),
        ("每年至少进行一次检测", [(1, "次", ">=")]),
        ("超过合同成立时一年期贷款市场报价利率四倍的", [(1, "年", "="), (4, "倍", ">")]),
    ],
)
def test_value_unit_and_bound(text: str, found: list[tuple[float, str, str]]) -> None:
    assert _bounds(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "自2026年1月1日起施行",
        "依照第三条第一款第二项、第一至三项",
        "第十三届全国人民代表大会第三次会议",
        "第三人提起第一审诉讼",
        "同一客户任何一方",
        "《关于2年期贷款的规定》",
        "一般应当一并提交",
        "自下一日开始",
        "每一会计年度、最后一期",
        "一次性支付",
        "上一级机关",
        "其中一项",
        "于每年3月底前报告",
        "千家万户",
    ],
)
def test_dates_ordinals_titles_and_idioms_are_no_quantities(text: str) -> None:
    assert _bounds(text) == []


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("每日21时至次日8时不得拨打", (21, 32)),
        ("每日22:00至8:00不得拨打", (22, 32)),
        ("每日8时30分至20时30分接听", (8.5, 20.5)),
        ("上午9点半至11点办理", (9.5, 11)),
    ],
)
def test_two_times_of_day_are_one_window_that_may_cross_midnight(text: str, window: tuple[float, float]) -> None:
    (found,) = quantities(text)
    assert (found.value, found.until) == window and found.kind == "time"


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("同一笔借款12个月内不得超过2次", "12个月内"),
        ("每日拨打不得超过3次", "每日"),
        ("每期应还金额不得低于200元", "每期"),
        ("累计不超过3次", ""),
        ("12个月内受理。申请不得超过2次", ""),
    ],
)
def test_a_count_knows_the_period_it_runs_in(text: str, period: str) -> None:
    assert quantities(text)[-1].period == period


@given(
    st.text(alphabet="零一二三十百千万亿点0123456789.,:个月日年元%倍次时至以上下内不超过第条，。每《》", max_size=30)
)
def test_a_quantity_stands_where_it_says_and_none_overlap(text: str) -> None:
    end = 0
    for found in quantities(text):
        assert text[found.start : found.end] == found.text
        assert found.start >= end
        assert found.until is None or found.until > found.value
        end = found.end
