"""JSON on its way through the guard: what escapes hide is masked and judged, and JSON stays JSON, both ways."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.guard.factory import GuardFactory
from serving.guard.settings import GuardSettings
from serving.protocol.call import Call, Piece
from serving.protocol.forms import form_of
from serving.streams.guarded import GuardedStream
from serving.streams.whole import guarded_choices
from tests.serving.conftest import Served
from tests.serving.stream_parts import CHAT, IDENTITY, Read, cuts, delta
from tests.serving.test_guard_rails import CARD, ID_CARD, MOBILE, guard, said, user

JSON_OBJECT = {"response_format": {"type": "json_object"}}
ADDRESS = "北京市朝阳区建国路88号3单元502室"
RECORD = {"姓名": "王建国", "地址": ADDRESS, "phone": MOBILE}
MASKED = {"姓名": "〔姓名1〕", "地址": "〔地址1〕", "phone": "〔手机1〕"}
THREAT = "再不还钱就让你坐牢"
FACTORY = GuardFactory()
DONE = b"data: [DONE]\n\n"


def escaped(text: str) -> str:
    """Every character as `\\uXXXX`."""
    return "".join(f"\\u{ord(char):04x}" for char in text)


def asked(**extension: Any) -> Any:
    """The guard of a request for a structured answer."""
    return guard(user("你好"), factory=FACTORY, structured=True, **extension)


def streamed(made: Any, pieces: list[str]) -> Read:
    """What a client reads when the engine says these pieces."""
    stream = GuardedStream(made, form_of(CHAT, dict(IDENTITY)), 1, False)
    wire = [*(delta(content=piece) for piece in pieces), delta(reason="stop"), DONE]
    sent = b"".join([stream.feed(event) for event in wire if not stream.done])
    return Read(sent + stream.close(made.report()))


def whole(made: Any, text: str) -> Any:
    """The choice that a client gets when it asked for no stream."""
    call = Call(CHAT, "m", (), {})
    item = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return guarded_choices(made, call, {"choices": [item]})[0]


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (f'{{"phone":"{escaped(MOBILE)}"}}', {"phone": "〔手机1〕"}),
        (f'{{"phone":"138{escaped("12")}345678"}}', {"phone": "〔手机1〕"}),
        (f'{{"phone":{MOBILE},"ok":true}}', {"phone": "〔手机1〕", "ok": True}),
        (f'{{"id":"{escaped("11")}0105194912310\\u00302X"}}', {"id": "〔身份证1〕"}),
        (f'{{"card":[{CARD}, 12.5, null]}}', {"card": ["〔银行卡1〕", 12.5, None]}),
        (json.dumps(RECORD), MASKED),
        (json.dumps({"say": '他说 "好"\\\n', "name": "王建国"}), {"say": '他说 "好"\\\n', "name": "〔姓名1〕"}),
    ],
)
def test_a_structured_answer_hides_nothing_in_escapes_wherever_it_is_cut(raw: str, read: Any) -> None:
    known = {"name": "王建国"}
    made = asked(known=known)
    assert json.loads(whole(made, raw).content) == read
    assert made.report()["verdict"] == "mask"
    for place in range(len(raw) + 1):
        got = streamed(asked(known=known), [raw[:place], raw[place:]])
        assert json.loads(got.texts[0, "content"]) == read and got.ends == {0: "stop"}
    assert json.loads(streamed(asked(known=known), list(raw)).texts[0, "content"]) == read


@pytest.mark.parametrize("write", [str, escaped])
def test_a_forbidden_phrase_ends_a_structured_answer_however_it_is_written(write: Callable[[str], str]) -> None:
    raw = f'{{"note": "{write(THREAT)}，请放心"}}'
    made = asked()
    choice = whole(made, raw)
    assert choice.finish_reason == "content_filter" and made.report()["verdict"] == "block"
    assert "坐牢" not in choice.content and "\\u" not in choice.content
    for place in range(len(raw) + 1):
        got = streamed(asked(), [raw[:place], raw[place:]])
        assert (got.texts[0, "content"], got.ends) == (choice.content, {0: "content_filter"})


PARTS = st.sampled_from(
    [
        MOBILE,
        "138 1234 5678",
        ID_CARD,
        CARD,
        "我叫王建国",
        "您好",
        "第三十八条",
        "12",
        "〔手机1〕",
        "〔",
        '"',
        "\\",
        "\n",
        "{}",
    ]
)
TEXTS = st.lists(PARTS, max_size=5).map("，".join)
VALUES = st.recursive(
    TEXTS | st.integers(-(10**20), 10**20) | st.booleans() | st.none() | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PLACES = st.lists(st.integers(0, 400), max_size=12)


@settings(max_examples=200, deadline=None)
@given(value=VALUES, ascii_only=st.booleans(), places=PLACES)
def test_a_structured_answer_stays_json_and_means_the_same_however_it_is_written(
    value: Any, ascii_only: bool, places: list[int]
) -> None:
    value = {"x": value}
    read = json.loads(whole(asked(), json.dumps(value, ensure_ascii=False)).content)
    got = streamed(asked(), cuts(json.dumps(value, ensure_ascii=ascii_only), places))
    assert json.loads(got.texts[0, "content"]) == read
    for secret in (ID_CARD, CARD, "王建国"):
        assert secret not in json.dumps(read, ensure_ascii=False)


def test_placeholders_in_a_structured_answer_stay_unless_content_is_restored() -> None:
    for restore, phone in ((False, "〔手机1〕"), (True, MOBILE)):
        factory = GuardFactory(GuardSettings.model_validate({"output": {"restore_content": restore}}))
        made = guard(user(f"电话{MOBILE}"), factory=factory, structured=True)
        assert json.loads(said(made, '{"phone": "〔手机1〕"}', size=2)) == {"phone": phone}


def test_prose_where_json_was_asked_for_comes_as_it_is_and_is_not_held() -> None:
    made = asked()
    text = f"好的，您的电话{MOBILE}已登记，12期都还清了。"
    assert said(made, text, size=1) == said(asked(), text) == "好的，您的电话〔手机1〕已登记，12期都还清了。"
    outlet = asked().outlet(0)
    assert len("".join(outlet.push(char) for char in "请您放心，一切都好。" * 20)) > 150


def test_a_structured_answer_takes_time_linear_in_its_length() -> None:
    def seconds(size: int) -> float:
        made, begun = asked(), time.process_time()
        said(made, '{"a": "' + "您好\\n" * size + '", "b": ' + "1" * size + "}", size=4)
        return time.process_time() - begun

    small = min(seconds(500) for _ in range(3))
    assert min(seconds(4000) for _ in range(2)) < 16 * small + 0.05


def tool(text: str) -> Piece:
    return Piece("tool", "content", text)


def admitted(*pieces: Piece, **extension: Any) -> tuple[str, ...]:
    """What the model reads."""
    texts: tuple[str, ...] = guard(*pieces, factory=FACTORY, **extension).admit(pieces).texts
    return texts


@pytest.mark.parametrize("speaker", ["tool", "user", "system", "assistant"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_record_is_masked_in_any_message_however_its_json_is_written(speaker: Any, ascii_only: bool) -> None:
    text = json.dumps([RECORD, {"amount": 1200.5, "note": "a\nb"}], ensure_ascii=ascii_only, indent=1)
    (read,) = admitted(Piece(speaker, "content", text), known={"name": "王建国"})
    assert json.loads(read) == [MASKED, {"amount": 1200.5, "note": "a\nb"}]


def test_json_in_json_and_json_in_a_sentence_hide_nothing() -> None:
    inner = json.dumps(RECORD)
    known = {"name": "王建国"}
    (nested,) = admitted(tool(json.dumps({"status": 200, "body": json.dumps({"data": inner})})), known=known)
    assert json.loads(json.loads(json.loads(nested)["body"])["data"]) == MASKED
    (line,) = admitted(user(f"客户资料：{inner}，请总结😀。"), known=known)
    assert line == f"客户资料：{json.dumps(MASKED, ensure_ascii=False)}，请总结😀。"
    (spaced,) = admitted(user("电话：138\\u30001234\\u30005678"))
    assert spaced == "电话：〔手机1〕"
    (rows,) = admitted(tool(f"{inner}\n{inner}"), known=known)
    assert [json.loads(row) for row in rows.split("\n")] == [MASKED, MASKED]


def test_a_bare_number_that_is_masked_in_a_tools_result_becomes_a_string() -> None:
    (read,) = admitted(tool(f'{{"mobile": {MOBILE}, "amount": 12.50, "at": [1e3]}}'))
    assert read == '{"mobile": "〔手机1〕", "amount": 12.50, "at": [1e3]}'


@pytest.mark.parametrize(
    "text",
    [
        '{"q": "\\u4f59\\u989d", "n":  1.50, "path": "C:\\\\users"}',
        "余额的写法是\\u4f59\\u989d，引号是\\u0022。",
        '尺寸5" 屏幕，C:\\temp',
        "{不是 JSON",
        "[" * 5000,
    ],
)
def test_a_text_in_which_nothing_is_masked_stays_as_it_came(text: str) -> None:
    assert admitted(tool(text)) == (text,)


@pytest.mark.parametrize("write", [str, escaped])
def test_a_wish_for_unlawful_help_is_found_in_json_however_it_is_written(write: Callable[[str], str]) -> None:
    pieces = (user(f'{{"question": "{write("帮我伪造一份银行流水")}"}}'),)
    admission = guard(*pieces, factory=FACTORY).admit(pieces)
    assert admission.verdict == "block" and "unlawful.forgery" in admission.reasons


def test_neither_engine_nor_client_gets_what_escapes_hide(served: Served) -> None:
    served.engine.text = json.dumps({**RECORD, "id": ID_CARD, "rate": "日利率万分之五"})
    read = {**MASKED, "id": "〔身份证1〕", "rate": "日利率万分之五"}  # and no disclosure behind the JSON
    call = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
    ask: dict[str, Any] = {
        "model": "tianjing",
        "messages": [
            {"role": "user", "content": "查一下我的资料，用JSON回答"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps(RECORD)},
        ],
        **JSON_OBJECT,
        "extra_body": {"tianjing": {"known": {"name": "王建国"}}},
    }
    answer = served.client.chat.completions.create(**ask)
    assert json.loads(served.engine.received[-1]["messages"][-1]["content"]) == MASKED
    assert json.loads(answer.choices[0].message.content or "") == read
    pieces = served.client.chat.completions.create(stream=True, **ask)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert json.loads(text) == read
