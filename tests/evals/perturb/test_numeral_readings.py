"""Amounts that run into the next word, which one greedy parser once read, respelt and passed as another amount."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.perturb.checks import said_the_same
from evals.perturb.numerals import han, respell
from evals.perturb.readings import _MEASURES, readings
from tianjing.text import UNITS, number

# The text, what in it must stay, and what became of that.
RUN_TOGETHER = [
    ("借了三千一直没还", "三千一直", "3100直"),
    ("说好八百一分不能少", "八百一分", "810分"),
    ("付五百三回", "五百三回", "530回"),
    ("先还八百二月再还", "八百二月", "820月"),
    ("十五号还三千五号再还两千", "三千五号", "3500号"),
    ("还剩三千三个月还完", "三千三个月", "3300个月"),
    ("先还五百三天后再还", "五百三天", "530天"),
    ("我欠一万二十天后还", "一万二十天", "10020天"),
    ("一会儿说八百一会儿说一千二", "八百一会儿", "810会儿"),
    ("百分之十一次性还", "百分之十一次", "11%次"),
    ("降到百分之五一直没变", "百分之五一直", "51%直"),
    ("首付百分之十五天后付清", "百分之十五天", "15%天"),
    ("一共还了二十一直没再还", "二十一直", "21直"),
    ("先还五百三十天后再还", "五百三十天", "530天"),
    ("还了一千五行不行", "一千五行", "1500行"),
]


@pytest.mark.parametrize(("before", "stays", "wrong"), RUN_TOGETHER)
def test_an_amount_is_not_respelt_into_the_next_word(before: str, stays: str, wrong: str) -> None:
    for rng in (None, *map(random.Random, range(8))):
        assert stays in respell(before, rng)


@pytest.mark.parametrize(("before", "stays", "wrong"), RUN_TOGETHER)
def test_the_check_sees_an_amount_that_swallowed_the_next_word(before: str, stays: str, wrong: str) -> None:
    after = before.replace(stays, wrong)
    assert said_the_same(before, after, "spoken") is not None
    assert readings(before) != readings(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("还剩3000三个月还完", "还剩30003个月还完"),
        ("共1 500元", "共1 五百元"),
        ("要三、五百元", "要三、500元"),
        ("九点三万元就到账", "93000元就到账"),
        ("2024年5月1日9:30", "2024-05-019:30"),
        ("利率24%一年", "利率百分之二十四一年"),
        ("还三千3天后再还", "还30003天后再还"),
        ("晚了三到五天", "晚了三到5天"),
    ],
)
def test_numbers_side_by_side_do_not_run_together(before: str, after: str) -> None:
    assert after not in {respell(before, rng) for rng in (None, *map(random.Random, range(8)))}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("先拿一千五。", "先拿1500。"),
        ("就八百一，多了没有", "就810，多了没有"),
        ("三千二左右", "3200左右"),
        ("欠了五千三百六吧", "欠了5360吧"),
        ("一万零二十元", "10020元"),
        ("拖了二十三天", "拖了23天"),
        ("每月一千五百元", "每月1500元"),
        ("利率百分之十五左右", "利率15%左右"),
        ("借了一千二百还没还", "借了一千二百还没还"),
        ("年化24%封顶", "年化24%封顶"),
        ("降5%封顶", "降百分之五封顶"),
    ],
)
def test_an_amount_that_ends_where_it_seems_to_is_respelt(before: str, after: str) -> None:
    assert respell(before, random.Random(1)) == after
    assert said_the_same(before, after, "spoken") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("三千三个月", [{("3300",), ("3000", "3")}]),
        ("三千三，", ["3300"]),
        ("一万二十天", [{("10000", "20"), ("12000", "10"), ("10000", "2", "10")}]),
        ("一千五百元", ["1500"]),
        ("二十三天", ["23"]),
        ("三千零五天", ["3005"]),
        ("3万2", ["32000"]),
        ("1.5万元", ["15000"]),
        ("百分之十五天", [{("15%",), ("10%", "5")}]),
        ("15%", ["15%"]),
        ("千分之五", ["5‰"]),
        ("二〇二四年", ["2024"]),
        ("三五天", ["三五"]),
        ("一下子", []),
        ("一个月", ["1"]),
        ("2024-05-01", ["2024", "5", "1"]),
        ("三点五万", ["35000"]),
    ],
)
def test_every_reading_of_a_numeral_is_seen(text: str, read: list[object]) -> None:
    assert list(readings(text)) == read


def test_whatever_carries_a_unit_is_a_count_to_the_check() -> None:
    assert {unit[0] for unit in UNITS.replace("(?!性)", "").split("|")} - set("万亿") <= _MEASURES


def test_a_long_row_of_numerals_takes_no_long_time() -> None:
    assert readings("一十" * 400) == ("一十" * 400,)
    assert readings("一" * 400) == ("一" * 400,)


# What follows an amount, and how it may be respelt by itself.
BEHIND = {
    "一直没还": "",
    "一会儿说": "",
    "一次都没还": "",
    "一口咬定": "",
    "一个说法": "",
    "一分不少": "",
    "三天后再还": "3天后再还",
    "二月再还": "2月再还",
    "五号再还": "5号再还",
    "三个月还完": "3个月还完",
    "三回了": "",
    "十天后还": "10天后还",
    "两期没还": "2期没还",
    "二十天后还": "20天后还",
    "六十期还清": "60期还清",
    "八年前借的": "8年前借的",
    "四处借的": "",
    "五花八门": "",
    "一笔勾销": "",
    "七点前还": "",
    "两口子的事": "",
    "九成是利息": "",
    "三十号再还": "30号再还",
}


def greedy(text: str) -> str:
    """The first run of numeral characters as one number, where it makes one."""
    run = re.search("[零一二两三四五六七八九十百千万]+", text)
    assert run
    try:
        return text.replace(run[0], f"{number(run[0])}", 1)
    except ValueError:
        return text


def amounts() -> st.SearchStrategy[int]:
    """Round ones and others, of which a short form (八百一, 三千五) is among those that people say."""
    return st.one_of(
        st.integers(1, 99).map(lambda value: value * 100),
        st.integers(1, 99).map(lambda value: value * 1000),
        st.integers(1, 9).flatmap(lambda digit: st.sampled_from((digit * 100 + 10, digit * 1000 + 500))),
        st.integers(100, 20_000),
    )


@settings(max_examples=600)
@given(amounts(), st.sampled_from(sorted(BEHIND)), st.booleans(), st.integers(0, 3))
def test_an_amount_and_what_follows_keep_their_own_values(value: int, behind: str, short: bool, seed: int) -> None:
    amount = han(value)
    if short and re.search("[百千万].[十百千]$", amount):
        amount = amount[:-1]
    text = f"还剩{amount}{behind}"
    for rng in (None, random.Random(seed)):
        # Both in digits would run together.
        assert respell(text, rng) in (text, f"还剩{value}{behind}", f"还剩{amount}{BEHIND[behind]}"), text
        if greedy(text) not in (text, f"还剩{value}{behind}"):
            assert said_the_same(text, greedy(text), "spoken") is not None, greedy(text)
