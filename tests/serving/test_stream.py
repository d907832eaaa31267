"""The guarded stream as a property: however texts, events and bytes are cut, the caller gets the masked whole."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.guard.base import REFUSAL
from serving.protocol.arguments import masked_object, written_out
from serving.protocol.forms import ChatForm
from serving.streams.sse import MAX_EVENT_BYTES, EventReader, event
from tests.serving.stream_parts import COMPLETIONS, REPORT, Read, Word, called, cuts, delta, stream_of
from tianjing.privacy import mask

FORM = ChatForm({"id": "chatcmpl-1", "created": 1, "model": "tianjing"})
MOBILE = "13812345678"
SECRETS = [
    MOBILE,
    "１３８１２３４５６７８",
    "138 1234 5678",
    "幺三八幺二三四五六七八",
    "11010519491231002X",
    "a.b@example.com",
]
WORDS = [
    "您好，",
    "我叫王建国。",
    "电话",
    "请在15日前还1200.50元，",
    "\n",
    '"好"\\',
    "！",
    "12",
    "第三十八条",
    "卡号6222021234567890123，",
]
TEXTS = st.lists(st.sampled_from(SECRETS + WORDS), max_size=8).map("".join)
PLACES = st.lists(st.integers(0, 400), max_size=12)
DONE = b"data: [DONE]\n\n"


def sent_by(stream: Any, reads: list[bytes]) -> bytes:
    sent = b"".join(stream.feed(piece) for piece in reads)
    assert stream.done
    return sent + stream.close(REPORT)


@settings(max_examples=100, deadline=None)
@given(TEXTS, PLACES, PLACES, st.sampled_from(["content", "reasoning", "reasoning_content", "refusal"]))
def test_a_stream_gives_the_masked_whole_however_it_is_cut(
    text: str, texts: list[int], reads: list[int], channel: str
) -> None:
    wire = b"".join(delta(**{channel: piece}) for piece in cuts(text, texts)) + delta(reason="stop") + DONE
    read = Read(sent_by(stream_of(), cuts(wire, reads)))
    shown = "reasoning_content" if channel.startswith("reasoning") else channel
    assert read.texts[0, shown] == mask(text).text
    assert read.ends == {0: "stop"}


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.randoms(use_true_random=False), PLACES)
def test_choices_and_channels_that_arrive_interleaved_do_not_mix(
    said: list[str], rng: random.Random, reads: list[int]
) -> None:
    lanes = [(index, channel, text) for index, text in enumerate(said) for channel in ("content", "reasoning")]
    queues = [(index, channel, list(text)) for index, channel, text in lanes]
    wire = b""
    while waiting := [queue for queue in queues if queue[2]]:
        index, channel, rest = rng.choice(waiting)
        wire += delta(index, **{channel: "".join(rest.pop(0) for _ in range(min(3, len(rest))))})
    wire += b"".join(delta(index, "stop") for index in range(len(said))) + DONE
    read = Read(sent_by(stream_of(choices=len(said)), cuts(wire, reads)))
    for index, text in enumerate(said):
        assert read.texts[index, "content"] == read.texts[index, "reasoning_content"] == mask(text).text
    assert read.ends == dict.fromkeys(range(len(said)), "stop")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        TEXTS | st.integers(10**10, 2 * 10**10) | st.booleans() | st.none() | st.floats(-1e6, 1e6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab手"), inner, max_size=3),
        max_leaves=6,
    ),
    st.booleans(),
    PLACES,
)
def test_masked_arguments_stay_json_and_hide_what_escapes_hide(value: Any, ascii_only: bool, places: list[int]) -> None:
    raw = json.dumps({"x": value}, ensure_ascii=ascii_only, indent=None if ascii_only else 1)
    wire = called(name="look_up", arguments="") + b"".join(called(arguments=piece) for piece in cuts(raw, places))
    wire += delta(reason="tool_calls") + DONE
    read = Read(sent_by(stream_of(tools=frozenset({"look_up"})), cuts(wire, places)))
    arguments = read.texts[0, "look_up"]
    plain = json.dumps({"x": value}, ensure_ascii=False, indent=None if ascii_only else 1)
    assert arguments == masked_object(mask(written_out(plain)).text)
    assert isinstance(json.loads(arguments), dict)
    if value in SECRETS:
        assert "〔" in arguments and value not in arguments


@pytest.mark.parametrize(
    "text", ["好\n的", '"引用"', "反斜\\杠", "\u2028", "😀", "\x7f", "]}", '"},"finish_reason":"stop"']
)
def test_text_that_looks_like_json_is_text(text: str) -> None:
    plain = [delta(content="好"), delta(content="的")]
    wire = b"".join([*plain, delta(content=text), *plain, delta(reason="stop"), DONE])
    for reads in ([wire], cuts(wire, range(0, len(wire), 7)), [piece + b"\n\n" for piece in wire.split(b"\n\n")[:-1]]):
        assert Read(sent_by(stream_of(), reads)).texts[0, "content"] == f"好的{text}好的"


def test_an_event_that_only_resembles_the_usual_one_is_parsed() -> None:
    stream = stream_of()
    stream.feed(delta(content="您"))
    assert "好".encode() in stream.feed(delta(content="好"))
    # The same bytes at both ends, but another choice, a finish reason, or no JSON at all between them.
    usual = delta(content="好")
    other = usual.replace('"好"'.encode(), '"好"},"delta":{"content":"坏"'.encode())
    assert "坏".encode() in stream.feed(other)
    assert b"stop" not in stream.feed(delta(content="完", reason="stop"))
    sent = stream.feed(DONE) + stream.close(REPORT)
    assert Read(sent).ends == {0: "stop"}
    broken = stream_of()
    broken.feed(delta(content="您") + delta(content="好"))
    broken.feed(usual.replace("好".encode(), b"\xe5\xa5"))
    assert broken.error


def test_the_bytes_of_the_text_are_those_of_the_text() -> None:
    stream = stream_of()
    sent = b""
    for id in ("好", "坏"):  # its bytes read like those of the text, which is written in escapes
        said = f'{{"id":"{id}",' + '"choices":[{"index":0,"delta":{"content":"\\u597d"},"finish_reason":null}]}'
        sent += stream.feed(f"data: {said}\n\n".encode())
    read = Read(sent + stream.feed(DONE) + stream.close(REPORT))
    assert read.texts[0, "content"] == "好好"


def test_an_event_of_two_choices_is_no_usual_one() -> None:
    stream = stream_of(choices=2)
    sent = b""
    for first in "甲丙":
        said = [{"index": index, "delta": {"content": text}} for index, text in enumerate((first, "乙"))]
        sent += stream.feed(event({"choices": said}))
    read = Read(sent + stream.feed(DONE) + stream.close(REPORT))
    assert (read.texts[0, "content"], read.texts[1, "content"]) == ("甲丙", "乙乙")


def test_several_usual_events_in_one_read_leave_as_one() -> None:
    stream = stream_of()
    stream.feed(delta(content="您"))
    sent = stream.feed(b"".join(delta(content=char) for char in "好请问有什么可以帮您"))
    assert sent.count(b"data: ") == 1 and "好请问有什么可以".encode() in sent


def test_a_stream_without_a_finish_reason_still_gives_what_was_held() -> None:
    read = Read(sent_by(stream_of(), [delta(content="共12") + DONE]))
    assert read.texts[0, "content"] == "共12" and read.ends == {0: "stop"}


@pytest.mark.parametrize(
    "wire",
    [
        event({"error": {"message": "prompt was: 秘方"}}),
        b"data: {\n\n",
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": ["\xe7\xa7\x98"]}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": "\xff"}}]}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"tool_calls": "x"}}]}\n\n',
        b"data: []\n\n",
        b"data: null\n\n",
        delta(reason="abort"),
        delta(reason="whatever"),
        b"data: " + b"x" * (MAX_EVENT_BYTES + 1),
    ],
)
def test_what_cannot_be_read_ends_the_stream_with_an_error_and_nothing_held(wire: bytes) -> None:
    stream = stream_of()
    sent = stream.feed(delta(content="号码138")) + stream.feed(wire)
    assert stream.done and stream.error
    sent += stream.close(REPORT)
    *_, error, last = EventReader().feed(sent)
    assert json.loads(error)["error"]["code"] == "engine_failed" and last == b"[DONE]"
    assert b"138" not in sent and "秘".encode() not in sent
    assert stream.feed(delta(content="后话")) == b""


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b": ping\r\n\r\ndata: a\r\n\r\nevent: x\ndata: b1\ndata: b2\n\n\n", [b"a", b"b1\nb2"]),
        (b"data: b1\r\ndata: b2\r\n\r\n", [b"b1\nb2"]),
        (b"\xef\xbb\xbfdata:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\rdata: b\n\r\n", [b"a", b"b"]),
        (b"data\ndata: x\n\nid: 1\nretry: 5\n\n: c\n\n", [b"\nx"]),
        ("data: 您好\n\ndata: 😀\n\n".encode(), ["您好".encode(), "😀".encode()]),
        (b"data: a\n\ndata: b\ndata: c\n\n", [b"a", b"b\nc"]),
        (b"data: a\n\n: ping\n\n", [b"a"]),
        (b"data: a\n\ndata: unfinished", [b"a"]),
    ],
)
def test_events_are_read_through_any_framing_and_any_cut(raw: bytes, events: list[bytes]) -> None:
    assert EventReader().feed(raw) == events
    for size in range(1, 9):
        reader = EventReader()
        assert [found for at in range(0, len(raw), size) for found in reader.feed(raw[at : at + size])] == events


def test_a_ready_made_answer_is_a_whole_stream() -> None:
    sent = FORM.ready_made("已登记", "stop", {"verdict": "handoff"}, include_usage=True)
    assert Read(sent).texts[0, "content"] == "已登记"


@pytest.mark.parametrize("channel", ["content", "reasoning", "refusal"])
def test_a_block_on_any_channel_ends_the_choice(channel: str) -> None:
    stream = stream_of(Word("坐牢"), include_usage=True, prompt_tokens=9)
    sent = b"".join(
        map(stream.feed, [delta(**{channel: "让你坐"}), delta(**{channel: "牢，还"}), delta(content="后话")])
    )
    assert stream.done, "the engine goes on writing for nobody"
    read = Read(sent + stream.close({**REPORT, "verdict": "block"}))
    assert read.ends == {0: "content_filter"}
    assert read.texts[0, "content"] == ("让你" if channel == "content" else REFUSAL)
    assert read.events[-2]["tianjing"]["verdict"] == "block"
    assert read.events[-1]["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def test_other_choices_go_on_after_a_block_and_may_end_in_any_order() -> None:
    stream = stream_of(Word("坐牢"), choices=3)
    sent = stream.feed(delta(2, content="坐牢") + delta(0, content="好") + delta(1, content="好的"))
    sent += stream.feed(delta(2, content="坐牢") + delta(1, "length"))
    assert not stream.done
    sent += stream.feed(delta(0, "stop", content="的") + DONE)
    read = Read(sent + stream.close(REPORT))
    assert read.ends == {2: "content_filter", 1: "length", 0: "stop"}
    assert [read.texts[index, "content"] for index in range(3)] == ["好的", "好的", REFUSAL]
    assert [("tianjing" in entry) for entry in read.events] == [False] * (len(read.events) - 1) + [True]


def test_a_hand_off_ends_all_choices_with_the_persons_words_and_no_refusal() -> None:
    stream = stream_of(Word("不想活", "handoff"), choices=2)
    sent = stream.feed(delta(1, content="请稍等") + delta(0, content="您说不想活了，"))
    assert stream.done
    read = Read(sent + stream.close({**REPORT, "verdict": "handoff"}, "同事马上联系您。"))
    assert read.ends == {0: "stop", 1: "stop"}
    assert read.texts[0, "content"] == "您说同事马上联系您。" and REFUSAL not in read.texts[1, "content"]


def test_a_person_who_takes_over_a_broken_stream_is_heard_in_the_first_open_choice() -> None:
    stream = stream_of(choices=3)
    sent = stream.feed(delta(0, content="好的，") + delta(1, "stop", content="完。") + event({"error": {}}))
    assert stream.error and stream.error.of_engine
    read = Read(sent + stream.close({**REPORT, "verdict": "handoff"}, "同事马上联系您。"))
    assert read.ends == {1: "stop", 2: "stop", 0: "stop"}
    assert [read.texts[index, "content"] for index in range(3)] == ["好的，同事马上联系您。", "完。", ""]
    assert read.events[-1]["tianjing"]["verdict"] == "handoff"
    assert stream.texts()[0] == "好的，同事马上联系您。" and stream.finish_reasons() == ["stop"] * 3


def test_a_person_is_heard_in_a_stream_that_broke_before_its_first_word() -> None:
    stream = stream_of(include_usage=True, prompt_tokens=9)
    stream.feed(event({"error": {}}))
    read = Read(stream.close(REPORT, "同事马上联系您。"))
    assert read.events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert read.texts[0, "content"] == "同事马上联系您。" and read.ends == {0: "stop"}
    assert read.events[-1]["usage"]["prompt_tokens"] == 9


def test_a_person_is_heard_when_only_the_end_of_the_stream_was_missing() -> None:
    stream = stream_of()
    sent = stream.feed(delta(content="好的。", reason="length") + b"data: {\n\n")
    read = Read(sent + stream.close(REPORT, "同事马上联系您。"))
    assert read.texts[0, "content"] == "好的。同事马上联系您。" and read.ends == {0: "stop"}


def test_a_guard_that_fails_ends_every_choice_with_the_refusal() -> None:
    stream = stream_of(Word("x"), choices=2)
    sent = stream.feed(delta(0, content="前文。") + delta(1, content="前文") + delta(0, content="秘密在这里。"))
    assert stream.done
    read = Read(sent + stream.close(REPORT))
    assert read.ends == {0: "content_filter", 1: "content_filter"}
    assert read.texts[0, "content"] == "前文。" + REFUSAL and read.texts[1, "content"] == REFUSAL
    assert "密" not in sent.decode()


def test_text_that_is_held_too_long_is_withheld_not_released() -> None:
    now = [0.0]
    stream = stream_of(clock=lambda: now[0])
    sent = stream.feed(delta(content="号码138"))
    now[0] = 60.0
    sent += stream.feed(delta(content="1234"))
    read = Read(sent + stream.feed(delta(content="5678。好", reason="stop") + DONE) + stream.close(REPORT))
    assert "〔略〕" in read.texts[0, "content"] and "138" not in read.texts[0, "content"]


def test_a_completion_streams_its_text() -> None:
    def text(said: str, reason: str | None = None) -> bytes:
        return event({"id": "x", "choices": [{"index": 0, "text": said, "logprobs": None, "finish_reason": reason}]})

    stream = stream_of(path=COMPLETIONS, include_usage=True)
    usage = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "x": 1}})
    wire = text("手机") + text("1381") + text("2345678") + text("。", "stop") + usage + DONE
    read = Read(sent_by(stream, [wire]))
    assert read.texts[0, "content"] == "手机〔手机1〕。" and read.ends == {0: "stop"}
    assert {entry["object"] for entry in read.events} == {"text_completion"}
    assert read.events[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
