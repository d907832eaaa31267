"""Rates that an agent states, in the ways they are said and written."""

from __future__ import annotations

import pytest

from tianjing.rulebook.numbers import rates


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("年化百分之四十八", {"annual_rate": 48}),
        ("我们年化48趴", {"annual_rate": 48}),
        ("年化三十六以内都可以", {"annual_rate": 36}),
        ("年化大概35.9", {"annual_rate": 35.9}),
        ("年化就是六十个点", {"annual_rate": 60}),
        ("月息两分五", {"monthly_rate": 30}),
        ("月息一分半", {"monthly_rate": 18}),
        ("月息五分，年化六十个点", {"monthly_rate": 60, "annual_rate": 60}),
        ("日息两厘", {"daily_rate": 7.3}),
        ("罚息一天百分之一", {"daily_rate": 365}),
        ("违约金每天千分之五", {"daily_rate": 182.5}),
    ],
)
def test_a_rate_is_read_with_the_year_it_amounts_to(text: str, wanted: dict[str, float]) -> None:
    assert {stated.quantity: annual for stated, annual in rates(text)} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "年化利率在首页",
        "年化2025年起下调",
        "年化收益按三十六期算",
        "罚息在年化利率基础上加收百分之五十",
        "年化36%以上的贷款我们从来不做",
    ],
)
def test_other_numbers_are_no_rate(text: str) -> None:
    assert not list(rates(text))


def test_invisible_characters_hide_no_rate_and_offsets_stay() -> None:
    text = "我们年\u200b化四\u200b十八个点"
    ((stated, annual),) = rates(text)
    assert annual == 48 and text[stated.start : stated.end] == "年\u200b化四\u200b十八个点"
