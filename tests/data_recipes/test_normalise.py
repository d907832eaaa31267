"""Normalised turns: what changes, what must not, and that every character remembers where it came from."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_recipes.cleaning.alignment import Aligned, from_list, replaced, spans
from data_recipes.cleaning.normalise import NormaliseConfig, normalise, normalise_many
from tianjing.text import KEPT_PUNCTUATION

ARABIC = NormaliseConfig(numerals="arabic")
PLAIN = NormaliseConfig(fillers=False)
# Alphabets in which fillers, stutters, folding and white space meet one another all the time.
SPEECH = st.text("我你嗯呃啊额那个这就是说我想，、,。？… 谢对好三十天１", max_size=24)
ODD = st.text(
    "a\u0301e\u200b\u3099ｶﾞ \u3000\t\n\u00a0\u00b4㈱½ﬁ，…\u1100\u1161\u11a8１Ａ嗯\x00\x1c\U0001f600\ud800", max_size=12
)
ANY = st.one_of(SPEECH, ODD, st.text(max_size=20), st.text("我嗯，１ \u200b㈱a\u0301", max_size=16))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("嗯，那个，工号７７４０。", "工号7740。"),
        ("嗯嗯，是我，什么事。", "是我，什么事。"),
        ("嗯呐，回见。", "回见。"),
        ("啊，好，那就这样。", "好，那就这样。"),
        ("我我我想问一下", "我想问一下"),
        ("我，我，我没钱", "我没钱"),
        ("你这个这个，怎么还", "你这个，怎么还"),
        ("对对对对，是的", "对，是的"),
        ("谢谢谢谢谢谢你", "谢谢你"),
        ("那个，嗯，那个，我想想", "我想想"),
        ("好的，嗯。", "好的。"),
        ("你好。嗯。我是张三", "你好。我是张三"),
        ("㈱ ½", "(株) 1⁄2"),
        ("e\u0301cole  \u3000 caf\u00e9", "école café"),
        ("138\u200b0013\u200b8000", "13800138000"),
    ],
)
def test_fillers_stutters_and_width_are_put_right(raw: str, clean: str) -> None:
    assert normalise(raw).text == clean


@pytest.mark.parametrize(
    "raw",
    [
        "嗯？还能这样？",  # asks
        "嗯嗯嗯",  # nothing else is left
        "那个人是我哥",
        "啊？真的吗",
        "三三三号楼一一一室",  # numerals are data
        "www.example.com",
        "谢谢，妈妈",
        "好的好的",
        "金额，本金",
        "一次说清，第二天再说",
    ],
)
def test_what_may_be_a_word_or_a_number_stays(raw: str) -> None:
    assert normalise(raw) == Aligned(raw) == normalise(raw, ARABIC)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("逾期三十天，欠一万二千元", "逾期30天，欠12000元"),
        ("年利率百分之二十四", "年利率24%"),
        ("幺三八零零一三八零零零", "幺三八零零一三八零零零"),
        ("第二天给您一次说清", "第二天给您一次说清"),
        ("三百5十元", "三百5十元"),
    ],
)
def test_quantities_are_written_with_digits_if_asked_for(raw: str, clean: str) -> None:
    done = normalise(raw, ARABIC)
    assert done.text == clean and normalise(raw).text == raw
    assert normalise(clean, ARABIC).text == clean


def test_fillers_may_be_kept() -> None:
    assert normalise("嗯，我我３天没睡", PLAIN).text == "嗯，我我3天没睡"


@given(ANY)
@example("ab\u200b\u0301")
@example("ｶ\u200bﾞ")
@example("，\u0301")
@example("\u00b4")
@example("A嗯\u0300")
@example("0 嗯,")
def test_normalising_again_changes_nothing(raw: str) -> None:
    for config in (NormaliseConfig(), PLAIN, ARABIC):
        once = normalise(raw, config).text
        assert normalise(once, config) == Aligned(once)


@given(st.lists(ANY, max_size=6))
def test_many_at_once_are_the_same_as_each_alone(raws: list[str]) -> None:
    assert normalise_many(raws, ARABIC) == [normalise(raw, ARABIC) for raw in raws]


@given(ANY)
def test_no_width_marks_or_double_spaces_are_left(raw: str) -> None:
    text = normalise(raw).text
    assert text == text.strip() and "  " not in text
    for char in text:
        assert char == " " or not char.isspace()
        assert unicodedata.category(char) not in ("Cc", "Cf")
        assert char in KEPT_PUNCTUATION or unicodedata.normalize("NFKC", char) == char


@given(ANY)
def test_the_alignment_is_total_and_monotone(raw: str) -> None:
    done = normalise(raw, ARABIC)
    assert done.raw_length == len(raw)
    last = 0
    for index in range(len(done.text)):
        start, end = done.raw_span(index, index + 1)
        assert 0 <= last <= start < end <= len(raw)
        assert done.text[index] in done.slice_of(start, end)
        last = start
    if done.text:
        assert done.slice_of(0, len(raw)) == done.text
    assert from_list(done.text, json.loads(json.dumps(done.as_list()))) == done


@given(ANY)
def test_a_character_outside_the_edits_is_that_of_the_raw_text_folded(raw: str) -> None:
    done = normalise(raw)
    inside = {index for start, end, _, _ in spans(done.edits) for index in range(start, end)}
    for index in set(range(len(done.text))) - inside:
        start, end = done.raw_span(index, index + 1)
        assert end - start == 1
        assert done.text[index] in raw[start] + unicodedata.normalize("NFKC", raw[start]) + " "


def test_a_stutter_stands_for_all_of_it_and_a_quotation_finds_its_part() -> None:
    done = normalise("嗯，我我我想问，呃，利率")
    assert done.text == "我想问，利率"
    assert done.raw_span(0, 1) == (2, 5)
    assert done.slice_of(2, 7) == "我想问"
    assert done.slice_of(0, 2) == ""
    assert done.raw_span(len("我想问，"), len(done.text)) == (10, 12)


@st.composite
def two_steps(draw: st.DrawFn) -> tuple[str, Aligned, Aligned]:
    def step(text: str) -> Aligned:
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
        pairs = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b]
        return replaced(text, [(a, b, draw(st.text("xyz", max_size=3))) for a, b in pairs])

    raw = draw(st.text("abcdefgh", max_size=12))
    first = step(raw)
    return raw, first, step(first.text)


@given(two_steps())
def test_two_steps_compose_to_one_alignment_with_the_raw_text(steps: tuple[str, Aligned, Aligned]) -> None:
    raw, first, second = steps
    whole = first.then(second)
    assert whole.text == second.text and whole.raw_length == len(raw)
    assert all(taken > 0 and kept >= 0 and put >= 0 for kept, taken, put in whole.edits)
    for index in range(len(whole.text)):
        through = first.raw_span(*second.raw_span(index, index + 1))
        start, end = whole.raw_span(index, index + 1)
        assert start <= through[0] <= through[1] <= end
        if through[1] - through[0] == 1 and whole.text[index] not in "xyz":
            assert raw[through[0]] == whole.text[index]


@pytest.mark.parametrize("numbers", [[0, 0, 1], [3, 1, 9], [1, 2]])
def test_an_alignment_of_another_text_is_refused(numbers: list[int]) -> None:
    with pytest.raises(ValueError):
        from_list("我想", numbers)


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(IndexError, match="text of 2"):
        Aligned("我想").raw_span(1, 3)
