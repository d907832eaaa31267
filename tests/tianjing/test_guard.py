"""What the guard releases does not depend on how a stream was cut, and never holds a part of what it withholds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tianjing.streams import cut
from tianjing.guard import WITHHELD, Guard, GuardError, PrivacyDetector, Released, Span, Stream, Verdict
from tianjing.guard.stream import CHECK_CHARS
from tianjing.guard.verdicts import Action
from tianjing.privacy import Session, mask


class Phrases:
    """Literal phrases, each with its action; 不 before one makes it harmless."""

    lookbehind_chars = 1

    def __init__(self, name: str = "phrases", **phrases: Action):
        self.name = name
        self._phrases = phrases

    def find(self, text: str) -> list[Span]:
        spans = []
        for phrase, action in self._phrases.items():
            for match in re.finditer(f"(?<!不)(?={phrase})", text):
                start = match.start()
                spans.append(Span(start, start + len(phrase), phrase, action, f"<{action}>"))
        return spans

    def decided(self, text: str) -> int:
        cuts = [(phrase, at) for phrase in self._phrases for at in range(1, len(phrase))]
        return min((len(text) - at for phrase, at in cuts if phrase[:at] == text[-at:]), default=len(text))


PHRASES: dict[str, Action] = {
    "保证通过": "block",
    "找你家人": "handoff",
    "内部": "mask",
    "内部渠道": "rewrite",
    "道歉": "allow",
    "渠道": "allow",
    "家人": "mask",
}
DETECTORS = (Phrases("words", **PHRASES), PrivacyDetector())


def stream(pieces: Sequence[str], guard: Guard, choice: int = 0) -> Released:
    text, verdicts = "", ()
    for piece in pieces:
        released = guard.push(piece, choice)
        text, verdicts = text + released.text, verdicts + released.verdicts
    last = guard.finish(choice)
    return Released(text + last.text, verdicts + last.verdicts)


PARTS = ("保证", "通过", "找你家", "不", "内", "部渠", "一三八", "13812345678", "1381234", "我叫张伟", "，")
WORDS = st.sampled_from([*PHRASES, *PARTS])
LETTERS = st.text(alphabet="保证通过找你家人内部渠道歉不1三8a@. ", max_size=5)
TEXT = st.lists(st.one_of(WORDS, LETTERS), max_size=40).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=40)


@settings(max_examples=300, deadline=None)
@given(text=TEXT, cuts=CUTS)
@example(text="好" * 60 + "内部渠道歉保证通过" + "好" * 80, cuts=[62, 63, 64, 65, 128])
def test_any_cut_of_a_stream_gives_the_text_and_verdicts_of_the_whole(text: str, cuts: list[int]) -> None:
    assert stream(cut(text, cuts), Guard(DETECTORS)) == Guard(DETECTORS).check(text)


@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_a_stream_by_characters_never_runs_ahead_of_the_whole(text: str) -> None:
    whole, guard, sent = Guard(DETECTORS).check(text), Guard(DETECTORS), ""
    for char in text:
        sent += guard.push(char).text
        assert whole.text.startswith(sent)
    assert sent + guard.finish().text == whole.text


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXT, min_size=2, max_size=4), order=st.randoms(use_true_random=False), cuts=CUTS)
def test_choices_and_channels_do_not_touch_one_another(texts: list[str], order: object, cuts: list[int]) -> None:
    guard = Guard(DETECTORS)
    keys = [(index % 2, "content" if index < 2 else "reasoning") for index in range(len(texts))]
    queues = {key: cut(text, cuts) for key, text in zip(keys, texts, strict=True)}
    sent = dict.fromkeys(keys, "")
    while waiting := [key for key in keys if queues[key]]:
        key = order.choice(waiting)  # type: ignore[attr-defined]
        sent[key] += guard.push(queues[key].pop(0), *key).text
    for key, text in zip(keys, texts, strict=True):
        assert sent[key] + guard.finish(*key).text == Guard(DETECTORS).check(text).text


@settings(max_examples=150, deadline=None)
@given(text=TEXT, cuts=CUTS)
def test_privacy_alone_masks_as_the_privacy_package_does(text: str, cuts: list[int]) -> None:
    assert stream(cut(text, cuts), Guard([PrivacyDetector()])).text == mask(text).text


@pytest.mark.parametrize(
    ("text", "sent", "action"),
    [
        ("好的，再见", "好的，再见", "allow"),
        ("我向您道歉", "我向您道歉", "allow"),
        ("走内部流程", "走<mask>流程", "mask"),
        ("走内部渠道吧", "走<rewrite>吧", "rewrite"),
        ("走内部渠道，电话13812345678，保证通过，真的", "走<rewrite>，电话〔手机1〕，", "block"),
        ("不保证通过，我找你家人", "不保证通过，我", "handoff"),
    ],
)
def test_the_strongest_action_wins(text: str, sent: str, action: str) -> None:
    whole = Guard(DETECTORS).check(text)
    assert (whole.text, whole.action) == (sent, action)


def test_overlapping_spans_leave_together() -> None:
    both = [Phrases("first", **{"甲乙丙": "mask", "丙丁": "mask"}), Phrases("second", **{"丁戊": "rewrite"})]
    whole = Guard(both).check("一甲乙丙丁戊二")
    assert whole.text == "一<rewrite>二"
    assert [(verdict.detector, verdict.start, verdict.end) for verdict in whole.verdicts] == [
        ("first", 1, 4),
        ("first", 3, 5),
        ("second", 4, 6),
    ]


def test_nothing_follows_a_block() -> None:
    guard = Guard(DETECTORS)
    assert guard.push("我们保证通").text == "我们"
    blocked = guard.push("过，电话13812345678")
    assert blocked == Released("", (Verdict("block", "words", "保证通过", 2, 6),))
    opened = guard.open()
    assert opened.ended == blocked.verdicts[0] and opened.held == 0
    assert guard.push("好的").text == "" and guard.finish() == Released("")


def test_prose_is_not_held_back() -> None:
    guard = Guard(DETECTORS)
    assert guard.push("我们会尽快为您核实处理，").text == "我们会尽快为您核实处理，"


def test_placeholders_go_on_from_the_question_and_choices_count_for_themselves() -> None:
    session = Session()
    session.mask("我的电话13812345678")
    guard = Guard([PrivacyDetector(session)])
    assert stream(["打13900001111或13812345678。"], guard, choice=0).text == "打〔手机2〕或〔手机1〕。"
    assert stream(["打13711112222。"], guard, choice=1).text == "打〔手机2〕。"


class Broken(Phrases):
    """Fails at the character 坏 in one of several ways."""

    def __init__(self, fault: str):
        super().__init__("broken", 坏人="mask")
        self._fault = fault

    def find(self, text: str) -> list[Span]:
        if "坏" in text and self._fault == "raise":
            raise ValueError(text)
        end = len(text)
        outside = {"late": Span(1, 3, "x"), "outside": Span(0, end + 1, "x"), "empty": Span(end, end, "x")}
        return [outside[self._fault]] if "坏" in text and self._fault in outside else []

    def decided(self, text: str) -> int:
        return len(text)

    def open(self) -> Broken:
        return self

    def push(self, text: str, closed: bool) -> tuple[list[Span], int]:
        self.seen = getattr(self, "seen", "") + text
        index = len(self.seen)
        if "坏" in self.seen:
            index = {"back": 0, "undecided": self.seen.index("坏")}.get(self._fault, index)
        return self.find(self.seen), index


@pytest.mark.parametrize("fault", ["raise", "late", "outside", "empty", "back", "undecided"])
def test_a_detector_that_fails_blocks_and_releases_nothing_more(fault: str) -> None:
    guard = Guard([PrivacyDetector(), Broken(fault)])
    assert guard.push("好，").text == "好，"
    released = [guard.push("坏了13812345678"), guard.push("再来"), guard.finish()]
    assert "".join(item.text for item in released) == ""
    verdict = guard.open().ended
    assert verdict is not None and verdict.action == "block"
    assert verdict.kind.startswith("guard_error:") and verdict in sum((item.verdicts for item in released), ())


class Undecided:
    """Decides nothing until it sees 。; then all of 秘…。 is one span."""

    name = "undecided"
    lookbehind_chars = 0

    def __init__(self, action: Action = "mask"):
        self._action = action

    def find(self, text: str) -> list[Span]:
        return [Span(m.start(), m.end(), "secret", self._action, "<secret>") for m in re.finditer("秘[^。]*。", text)]

    def decided(self, text: str) -> int:
        return text.rindex("秘") if "秘" in text[text.rfind("。") + 1 :] else len(text)


def held_most(opened: Stream, pieces: Sequence[str]) -> tuple[str, int]:
    sent, most = "", 0
    for piece in pieces:
        sent += opened.push(piece).text
        most = max(most, opened.held)
    return sent + opened.finish().text, most


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, 900), size=st.integers(1, 300), before=st.integers(0, 130))
def test_a_span_longer_than_the_cap_is_withheld_and_never_released(length: int, size: int, before: int) -> None:
    text = "好" * before + "秘" + "1" * length + "。完"
    guard = Guard([Undecided()], max_held_chars=256)
    sent, most = held_most(guard.open(), [text[i : i + size] for i in range(0, len(text), size)])
    assert most <= 256
    assert sent == Guard([Undecided()], max_held_chars=256).check(text).text
    last_check = (before + 1 + length) // CHECK_CHARS * CHECK_CHARS  # before its end is seen
    meets_cap = last_check - before > 256 - CHECK_CHARS
    assert sent == "好" * before + (WITHHELD if meets_cap else "<secret>") + "完"


def test_a_block_that_began_in_withheld_text_still_blocks() -> None:
    guard = Guard([Undecided("block")], max_held_chars=128)
    whole = guard.check("前秘" + "甲" * 300 + "。后")
    assert whole.text == "前" + WITHHELD and whole.action == "block"


def test_a_stretch_that_is_never_decided_is_blocked() -> None:
    guard = Guard([Undecided()], max_held_chars=128)
    whole = guard.check("秘" + "甲" * 5000 + "。后")
    assert whole.text == WITHHELD
    assert whole.verdicts[-1].action == "block" and whole.verdicts[-1].kind == "held_chars"
    assert whole.verdicts[-1].end < 700


def test_a_cap_may_block_instead_of_masking() -> None:
    whole = Guard([Undecided()], max_held_chars=128, on_cap="block").check("前秘" + "甲" * 300 + "。后")
    assert whole == Released("前", (Verdict("block", "guard", "held_chars", 1, 128),))


def test_text_held_too_long_is_withheld_by_the_callers_clock() -> None:
    guard = Guard([Undecided()], max_held_ms=1000)
    opened = guard.open()
    assert opened.push("好秘密", now_ms=50_000).text == "好"
    assert opened.push("密码", now_ms=50_900).text == ""
    assert opened.expire(51_000) == Released("")
    assert opened.expire(51_001) == Released(WITHHELD, (Verdict("mask", "guard", "held_ms", 1, 5),))
    assert opened.expire(59_000) == Released("")
    assert opened.push("一二三。完", now_ms=59_001).text == "完"
    assert opened.push("秘", now_ms=59_500).text == "" and opened.push("x。", now_ms=60_000).text == "<secret>"


def test_without_a_clock_the_time_cap_never_applies() -> None:
    guard = Guard([Undecided()], max_held_ms=1)
    assert "".join(guard.push(char).text for char in "秘密。完") == "<secret>完"


def test_wrong_use_is_told_with_a_remedy() -> None:
    with pytest.raises(GuardError, match="128"):
        Guard([], max_held_chars=64)
    guard = Guard([])
    guard.finish()
    with pytest.raises(GuardError, match="another channel"):
        guard.push("x")


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=200), cuts=CUTS)
@example(text="\ud800\u202e1\u200b3\ufeff812345678", cuts=[1, 3])
def test_any_code_points_pass_without_a_crash(text: str, cuts: list[int]) -> None:
    released = stream(cut(text, cuts), Guard(DETECTORS))
    assert released == Guard(DETECTORS).check(text)
    assert not any(verdict.kind.startswith("guard_error") for verdict in released.verdicts)
