"""The matcher: whole text and stream agree, folding keeps offsets, odd input is harmless."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tianjing.rulebook import Rulebook
from tianjing.rulebook.examples import cases
from tianjing.rulebook.folding import fold

BOOK = Rulebook.load()
MATCHER = BOOK.matcher()
EXAMPLES = [case.example for case in cases(BOOK) if isinstance(case.example, str)]
PIECES = st.sampled_from(
    [
        *EXAMPLES,
        "不会",
        "您说",
        "“",
        "”",
        "。",
        "，",
        "就",
        "起",
        "诉",
        "坐",
        "牢",
        "zuo",
        "qi",
        "su",
        "讠",
        "斥",
        "宀",
        "牛",
        " ",
        "·",
        "\u200b",
        "日",
        "月",
        "您的",
        "家人",
        "通讯录",
        "不还",
        "我们",
        "保证",
        "减免",
        "的说法",
        "是违规的",
        "A",
        "1",
        "%",
        "找死",
        "角",
        "不要脸",
        "上有遮挡",
        "您妈",
        "妈的",
        "一千",
        "二百五",
        "十元",
        "被判",
        "定",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=8).map("".join)


def spans(text: str) -> list[tuple[str, int, int]]:
    return [(hit.rule.id, hit.start, hit.end) for hit in MATCHER.find(text)]


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.data())
def test_what_is_decided_on_a_prefix_stays_so(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    prefix = text[:cut]
    decided = MATCHER.decided(prefix)
    assert 0 <= decided <= cut
    whole = spans(text)
    assert [s for s in spans(prefix) if s[2] <= decided] == [s for s in whole if s[2] <= decided]
    assert not [s for s in whole if s[1] < decided < s[2]], "a hit may not be cut by what was released"


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_a_stream_that_forgets_old_text_finds_the_same(text: str, size: int) -> None:
    found, window, dropped, done = [], "", 0, 0
    for at in range(0, len(text), size):
        window += text[at : at + size]
        now = dropped + MATCHER.decided(window)
        found += [
            (r, s + dropped, e + dropped) for r, s, e in spans(window) if done <= s + dropped and e + dropped <= now
        ]
        # A hit that ends where the text is decided was reported; the next one begins after it.
        done = now
        drop = max(0, now - dropped - MATCHER.left_context_chars)
        window, dropped = window[drop:], dropped + drop
    found += [(r, s + dropped, e + dropped) for r, s, e in spans(window) if done <= s + dropped]
    assert sorted(set(found)) == sorted(spans(text))


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_cells_lead_back_to_the_raw_text(text: str) -> None:
    cells = fold(text)
    starts, ends = list(cells.starts), list(cells.ends)
    assert len(cells.codes) == len(cells.chars) == len(starts) == len(ends)
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    assert all(left <= right for left, right in zip(ends, starts[1:], strict=False))
    assert not ends or ends[-1] <= len(text)


def test_lone_surrogates_and_long_lines_are_harmless_and_linear() -> None:
    assert MATCHER.find("\ud800坐牢\udfff")
    for line in ("坐" * 200_000, "不还" * 100_000, "\u200b" * 200_000, "月" * 200_000, "zuo" * 60_000):
        started = time.perf_counter()
        MATCHER.find(line)
        MATCHER.decided(line)
        assert time.perf_counter() - started < 10


def test_clean_speech_is_hardly_held_back() -> None:
    text = "好的，这边已经为您登记，稍后会有短信发送到您的手机，请注意查收。"
    held = [cut - MATCHER.decided(text[:cut]) for cut in range(1, len(text) + 1)]
    assert sum(held) / len(held) < 12


def test_an_unfinished_phrase_is_held_from_its_first_word() -> None:
    text = "请您放心，我保证"
    assert MATCHER.decided(text) <= text.index("保证")


@pytest.mark.parametrize(
    "text",
    [
        "你唔還錢就等住坐監",
        "公an会网上追táo",
        "你是🐷吗，欠钱不还",
        "老子提起dāo来找你",
        "唔準投訴",
        "你嘅護照會即刻註銷",
    ],
)
def test_dialect_pictures_and_tone_marks_hide_nothing(text: str) -> None:
    assert MATCHER.find(text)


@pytest.mark.parametrize(
    "text",
    [
        "不好意思打扰您了",  # 思打 sounds like 死打, but 意思 is a word
        "逾期会按合同计收罚息",  # 同计 like 通缉
        "模型拒绝了申请",  # 型拒 like 刑拘
        "我不敢打包票",  # 打包 like 打爆
    ],
)
def test_what_is_cut_out_of_ordinary_words_is_no_disguise(text: str) -> None:
    assert not [hit for hit in MATCHER.find(text) if hit.rule.id.startswith("collect.")]


@pytest.mark.parametrize(
    "text",
    [
        "一般逾期是民事纠纷，不会因为还不上就坐牢",
        "哪有欠几百块就抓人的道理",
        "至于坐牢、拘留这些，都不是事实",
        "有催收员要求您替他还钱？这是严禁的",
        "阿拉勿会上门堵门",
        "冇坐监呢回事",
        "之前有人让您先撤投诉才办分期，这不符合规定",
        "要不要让家人知道，由您自己决定",
        "您收到的短信上面写着“再不还就坐牢”，那不是我们发的",
    ],
)
def test_denials_answers_and_reports_excuse(text: str) -> None:
    assert not MATCHER.find(text)


@pytest.mark.parametrize(
    "text", ["你今天不还就等着坐牢", "你欠钱不还，这是要坐牢的", "你不还款，法院就来抓你，这是事实"]
)
def test_guards_excuse_no_threat(text: str) -> None:
    assert MATCHER.find(text)
