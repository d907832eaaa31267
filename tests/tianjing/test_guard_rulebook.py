"""The shipped rulebook in a stream gives the hits that it gives in the whole text, and releases none of them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin import lazy_pinyin

from tests.tianjing.streams import cut, followed
from tianjing.guard import Guard, PrivacyDetector, Released, RulebookDetector
from tianjing.guard.detectors import scan
from tianjing.rulebook import PhraseMatcher, Rulebook
from tianjing.rulebook.automaton import Automaton
from tianjing.rulebook.components import JOINED

BOOK = Rulebook.load().on(datetime.date(2026, 11, 1))
MATCHER = BOOK.matcher()
DETECTOR = RulebookDetector(MATCHER)
BREACHES = [
    text
    for rule in MATCHER.rules
    for text in (*rule.examples.breach, *rule.examples.fine)
    if isinstance(text, str) and rule.check.kind == "phrase"
]
PARTS = (
    "您刚才说",
    "“",
    "”",
    "。",
    "，",
    "不会",
    "我们",
    "这是违规的",
    " ",
    "\u200b",
    "ni",
    "you",
    "讠斥",
    "好的",
    "家人",
    "找死",
    "角",
    "妈",
    "妈的",
    "被判",
    "定",
    "A",
    "\n",
)
HALVES = st.sampled_from(BREACHES).flatmap(lambda text: st.integers(1, len(text)).map(lambda cut: text[:cut]))
SPLIT = {made: "".join(pair) for pair, made in JOINED.items()}


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A breach with some characters split in two, spelt in letters, or followed by something invisible."""
    forms = (lambda char: SPLIT.get(char, char), lambda char: lazy_pinyin(char)[0], lambda char: char + "\u200b")
    text = list(draw(st.sampled_from(BREACHES)))
    for at in draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=4, unique=True)):
        text[at] = draw(st.sampled_from(forms))(text[at])
    return "".join(text)


TEXT = st.lists(st.one_of(st.sampled_from(BREACHES), HALVES, disguised(), st.sampled_from(PARTS)), max_size=7).map(
    "".join
)
CUTS = st.lists(st.integers(0, 300), max_size=30)


@settings(max_examples=300, deadline=None)
@given(text=TEXT, cuts=CUTS)
def test_a_stream_has_the_hits_of_the_whole(text: str, cuts: list[int]) -> None:
    found = followed(DETECTOR, text, cuts)
    assert sorted((span.kind, span.start, span.end) for span in found) == sorted(
        (hit.rule.id, hit.start, hit.end) for hit in MATCHER.find(text)
    )


@settings(max_examples=150, deadline=None)
@given(text=TEXT, cuts=CUTS)
def test_any_cut_gives_the_text_and_verdicts_of_the_whole(text: str, cuts: list[int]) -> None:
    guard, released = Guard([DETECTOR, PrivacyDetector()]), Released("")
    for piece in cut(text, cuts):
        now = guard.push(piece)
        released = Released(released.text + now.text, released.verdicts + now.verdicts)
    last = guard.finish()
    assert Released(released.text + last.text, released.verdicts + last.verdicts) == Guard(
        [DETECTOR, PrivacyDetector()]
    ).check(text)


@pytest.mark.parametrize("text", [text for text in BREACHES if MATCHER.find(text)])
def test_a_breach_by_characters_is_never_released(text: str) -> None:
    hits = [hit for hit in MATCHER.find(text) if hit.rule.action != "warn"]
    guard, sent = Guard([DETECTOR]), ""
    for char in text:
        sent += guard.push(char).text
    sent += guard.finish().text
    if hits:
        assert sent.startswith(text[: hits[0].start])
        assert not any(hit.evidence in sent for hit in hits)


@pytest.mark.parametrize("breach", BREACHES)
def test_a_word_spelt_in_letters_at_the_very_end_counts(breach: str) -> None:
    for hit in MATCHER.find(breach):
        text = breach[: hit.end - 1] + lazy_pinyin(breach[hit.end - 1])[0]
        state = scan(DETECTOR)
        spans = [span for piece in (*text, "") for span in state.push(piece, piece == "")[0]]
        assert {(span.start, span.end) for span in spans} == {(hit.start, hit.end) for hit in MATCHER.find(text)}


def test_service_talk_passes_the_sieve() -> None:
    talk = "您好，这边是客服。您的借款本月还款日是15日，请保持账户余额充足。如果遇到困难可以申请协商，需要提供材料。"
    stream = Guard([DETECTOR]).open()
    sent = "".join(stream.push(char).text for char in talk)
    assert sent == talk


def test_an_empty_book_holds_nothing() -> None:
    guard = Guard([RulebookDetector(PhraseMatcher([]))])
    assert guard.push("不还钱就让你坐牢").text == "不还钱就让你坐牢"


@given(
    words=st.sets(st.text(alphabet="abc", min_size=1, max_size=4), max_size=8),
    text=st.text(alphabet="abcd", max_size=20),
)
def test_the_automaton_finds_every_word_and_knows_which_may_be_unfinished(words: set[str], text: str) -> None:
    automaton = Automaton({word: word for word in words}, frozenset(words))
    state = 0
    for end, char in enumerate(text, 1):
        state = automaton.after(state, char)
        said = text[:end]
        assert {word for _, word in automaton.found[state]} == {word for word in words if said.endswith(word)}
        begun = [size for word in words for size in range(1, len(word)) if said.endswith(word[:size])]
        assert automaton.unfinished[state] == max(begun, default=0)
