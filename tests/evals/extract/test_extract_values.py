from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.extract import (
    Found,
    compare,
    find_fields,
    find_items,
    find_label,
    find_number,
    has_all,
    normalised,
    quantities,
    same_quantity,
)


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("71.28元", "71.28 元", "only_number"),
        ("50 × 1.4255 = 71.275 ≈ 71.28元", "71.28 元", "result"),
        ("先算利息2000元，最终答案：1.2万元。", "12000 元", "announced"),
        ("\\boxed{951.29}，约合900", "951.29", "boxed"),
        ("百分之三点六五", "0.0365", "only_number"),
        ("三万二千元", "32000 元", "only_number"),
        ("1,234,567.89元", "1234567.89 元", "only_number"),
        ("-27.14元", "-27.14 元", "only_number"),
        ("答案：2×10^5", "200000", "only_number"),
        ("约为 1.2×10⁵ 元", "120000 元", "only_number"),
        ("\\boxed{1.2\\times 10^{5}}", "120000", "boxed"),
        ("\\boxed{\\text{951.29元}}", "951.29 元", "boxed"),
        ("\\boxed{\\frac{3}{4}}", "0.75", "boxed"),
        ("\\boxed{\\$240{,}000}", "240000 美元", "boxed"),
        ("3.65%[UNUSED_TOKEN_145]", "0.0365", "only_number"),
        ("答案：120万元<|im_end|>\n<|im_start|>user\n那50万元呢", "1200000 元", "only_number"),
        ("答案：3/4", "0.75", "only_number"),
        ("100 × 3/4 = 75元", "75 元", "result"),
        ("答案：1 200元", "1200 元", "only_number"),
        ("答案是$120$元", "120 元", "only_number"),
        ("不是100元，而是200元", "200 元", "last_number"),
        ("应为200元，不是100元", "200 元", "last_number"),
        ("逾期费不超过100元", "100 元", "only_number"),
        ("答案：200元（大于100元）", "200 元", "announced"),
        ("2024年5月1日至5月31日共计息31天，答案：12.5元", "12.5 元", "announced"),
    ],
)
def test_the_number_that_is_given_as_the_answer(text: str, value: str, rule: str) -> None:
    quantity, found = find_number(text)
    assert (str(quantity), found.rule) == (value, rule)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("答案：不是100元", "invalid_negated"),
        ("不能确定，可能是100元", "invalid_hedge"),
        ("无法计算，题目只给了本金100元", "invalid_hedge"),
        ("答案：可能是100元", "invalid_hedge"),
        ("答案：大于100元", "invalid_hedge"),
        ("答案：100元以上", "invalid_hedge"),
        ("答案：100元至200元", "invalid_several"),
        ("答案：5%-8%", "invalid_several"),
        ("答案：10元或20元", "invalid_several"),
        ("\\boxed{10~20}", "invalid_several"),
    ],
)
def test_a_number_that_is_named_and_not_given_is_no_answer(text: str, rule: str) -> None:
    assert find_number(text) == (None, Found(None, rule))


def test_two_boxed_numbers_are_no_answer() -> None:
    assert find_number("\\boxed{1} \\boxed{2}")[1].rule == "invalid_contradiction"


def test_the_last_number_of_a_cut_text_is_not_final() -> None:
    quantity, found = find_number("营收113.57亿元，净利润17.82亿元，增长")
    assert quantity is not None and not found.final and found.cut("length").answer is None


def same(said: str, truth: str) -> bool:
    return same_quantity(quantities(said)[-1], quantities(truth)[-1], 0.005, 1e-6)


@pytest.mark.parametrize(
    ("said", "truth", "right"),
    [
        ("10126元", "1.0126万元", True),
        ("3.65%", "0.0365", True),
        ("3.65", "3.65%", True),
        ("2789.21", "2789.21亿元", True),
        ("3253元", "3253美元", False),
        ("365%", "3.65%", False),
        ("50000元", "5000元", False),
        ("71.30元", "71.28元", True),
        ("72元", "71.28元", False),
    ],
)
def test_units_and_tolerance_decide_whether_two_numbers_agree(said: str, truth: str, right: bool) -> None:
    assert same(said, truth) is right


@given(st.decimals(min_value=Decimal("0.01"), max_value=Decimal("99999999"), places=2))
def test_a_written_amount_is_read_back(amount: Decimal) -> None:
    quantity, _ = find_number(f"答案：{amount:,}元")
    assert quantity is not None and quantity.value == amount and quantity.unit == "元"


def test_a_label_is_the_only_one_that_is_named() -> None:
    labels = ["正面", "中性", "负面", "非常正面"]
    assert find_label("情感：非常正面", labels).answer == "非常正面"
    assert find_label("这条公告不是正面，是负面", labels).answer == "负面"
    assert find_label("正面或负面", labels).rule == "invalid_several"
    assert find_label("股价上涨", labels).rule == "invalid_missing"


def test_items_do_not_depend_on_their_order_and_keywords_on_width() -> None:
    assert find_items("工商银行、建设银行")[0] == find_items("建设银行，工商银行")[0]
    assert has_all("涉及ＡＢＣ公司与建设银行", ["ABC公司", "工商银行"]) == [True, False]


@pytest.mark.parametrize(
    ("value", "kind", "form"),
    [
        ("1.2万元", "money", "12000"),
        ("12,000.00", "money", "12000"),
        ("2026年3月5日", "date", "2026-03-05"),
        ("20260305", "date", "2026-03-05"),
        ("2026年3月", "month", "2026-03"),
        ("6222 0212 3456", "id", "622202123456"),
        ("5.5%", "percent", "0.055"),
        ("未提供", "text", None),
        (None, "money", None),
    ],
)
def test_values_have_one_form_per_type(value: str | None, kind: str, form: str | None) -> None:
    assert normalised(value, kind) == form  # type: ignore[arg-type]


def test_an_amount_that_is_off_by_a_digit_is_wrong() -> None:
    types = {"name": "text", "income": "money", "employer": "text"}
    said, found = find_fields('好的：```json\n{"name":"李明","income":"5000元","employer":"晨舟公司"}\n```', types)  # type: ignore[arg-type]
    assert found.rule == "json"
    counts = compare(said, {"name": "李明", "income": "50000", "employer": None})
    assert (counts["right"], counts["false"], counts["missed"], counts["invented"]) == (1, 2, 1, 1)


def test_fields_on_lines_are_read_too_and_prose_is_not() -> None:
    types = {"姓名": "text", "月收入": "money"}
    assert find_fields("姓名：李明\n月收入：8,000元", types)[0] == {"姓名": "李明", "月收入": "8000"}  # type: ignore[arg-type]
    assert find_fields("材料上写着李明每月有收入", types)[1].rule == "invalid_no_object"  # type: ignore[arg-type]
