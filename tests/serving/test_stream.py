"""The guarded stream as a property: however the text and the bytes are cut, the caller gets the masked whole."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.guard.request import RequestGuard
from serving.protocol.forms import ChatForm
from serving.streams.guarded import GuardedStream
from serving.streams.sse import EventReader, event
from tianjing.privacy import mask

FORM = ChatForm({"id": "chatcmpl-1", "created": 1, "model": "tianjing"})
REPORT: dict[str, Any] = {"verdict": "allow", "reasons": [], "entities": {"input": {}, "output": {}}}
SECRETS = [
    "13812345678",
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
    "！",
    "12",
    "第三十八条",
    "卡号6222021234567890123，",
]
TEXTS = st.lists(st.sampled_from(SECRETS + WORDS), max_size=8).map("".join)


def cuts(data: Any, draw: Any) -> list[Any]:
    """`data` (text or bytes) in pieces of drawn sizes."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    edges = [0, *places, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def content(sent: bytes) -> str:
    events = EventReader().feed(sent)
    assert events[-1] == "[DONE]" and events.count("[DONE]") == 1
    chunks = [json.loads(entry) for entry in events[:-1]]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


@settings(max_examples=150, deadline=None)
@given(st.data(), TEXTS)
def test_a_stream_gives_the_masked_whole_however_it_is_cut(data: st.DataObject, text: str) -> None:
    wire = b"".join(
        event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        for piece in cuts(text, data.draw)
    )
    wire += event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"
    stream = GuardedStream(RequestGuard(), FORM, 1, include_usage=False)
    sent = b"".join(stream.feed(piece) for piece in cuts(wire, data.draw))
    assert stream.done
    assert content(sent + stream.close(REPORT)) == mask(text).text


def test_a_stream_without_a_finish_reason_still_gives_what_was_held() -> None:
    stream = GuardedStream(RequestGuard(), FORM, 1, include_usage=False)
    wire = event({"choices": [{"index": 0, "delta": {"content": "共12"}}]}) + b"data: [DONE]\n\n"
    assert content(stream.feed(wire) + stream.close(REPORT)) == "共12"


def test_an_error_of_the_engine_ends_the_stream_without_its_details() -> None:
    stream = GuardedStream(RequestGuard(), FORM, 1, include_usage=False)
    sent = stream.feed(event({"error": {"message": "prompt was: 秘密"}})) + stream.close(REPORT)
    assert b"error" in sent and "秘密".encode() not in sent and stream.done


def test_events_are_read_through_any_line_ends_and_comments() -> None:
    raw = b": ping\r\n\r\ndata: a\r\n\r\nevent: x\ndata: b1\ndata: b2\n\n\n"
    assert EventReader().feed(raw) == ["a", "b1\nb2"]
    reader = EventReader()
    assert [found for byte in raw for found in reader.feed(bytes([byte]))] == ["a", "b1\nb2"]


def test_a_ready_made_answer_is_a_whole_stream() -> None:
    sent = FORM.ready_made("已登记", "stop", {"verdict": "handoff"}, include_usage=True)
    assert content(sent) == "已登记"
