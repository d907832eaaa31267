"""Requests by allow-list: what is taken, what is refused by name, and that every text passes the guard."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from serving.config import ServeConfig
from serving.errors import ApiError
from serving.protocol.call import Call
from serving.protocol.chat import parse_chat
from serving.protocol.completions import parse_completion
from serving.protocol.json_body import read_json

CONFIG = ServeConfig()
USER = {"role": "user", "content": "你好"}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "查张三（13812345678）的借款",
        "parameters": {
            "type": "object",
            "properties": {
                "number": {"type": "string", "description": "借款号", "enum": ["A1", "B2"], "maxLength": 32},
                "手机": {"type": ["string", "null"], "default": None, "examples": ["13987654321", 13987654321]},
            },
            "required": ["number"],
            "additionalProperties": False,
            "$defs": {"x": {"$ref": "#/$defs/x"}},
        },
        "strict": True,
    },
}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "x1", "type": "function", "function": {"name": "look_up", "arguments": '{"手机": 13812345678}'}},
        {"id": "x2", "type": "function", "index": 1, "function": {"name": "look_up", "arguments": ""}},
    ],
}
RESULT = {"role": "tool", "tool_call_id": "x1", "content": '{"name": "王建国"}'}


def chat(**fields: Any) -> Call:
    body = {"model": "tianjing", "messages": [USER], **fields}
    return parse_chat(json.dumps(body).encode(), CONFIG)


def raw_texts(call: Call) -> list[str]:
    return [piece.text for piece in call.pieces]


def sent(call: Call, guarded: dict[str, str] | None = None) -> dict[str, Any]:
    """The engine's request when the guard has replaced some texts."""
    payload: dict[str, Any] = call.payload("engine-name", [(guarded or {}).get(text, text) for text in raw_texts(call)])
    json.dumps(payload)
    return payload


def test_all_that_is_allowed_reaches_the_engine() -> None:
    options = {
        "temperature": 0.1,
        "top_p": 0.9,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "seed": 7,
        "n": 2,
    }
    given = {**options, "max_completion_tokens": 20, "stop": "。", "parallel_tool_calls": False}
    call = chat(**given, tools=[TOOL], tool_choice="required", user="王建国", logprobs=False, stream=True)
    more = {"stop": ["。"], "max_tokens": 20, "parallel_tool_calls": False, "tool_choice": "required", "tools": [TOOL]}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    assert sent(call) == {"model": "engine-name", "messages": [USER], **options, **more, **stream}
    assert call.tools == {"look_up"} and not call.include_usage


def test_tool_calls_and_results_are_sent_back_under_ids_of_ours() -> None:
    payload = sent(chat(messages=[USER, CALLED, RESULT, {"role": "developer", "content": "x"}], tools=[TOOL]))
    assert [message["role"] for message in payload["messages"]] == ["user", "assistant", "tool", "system"]
    first, second = payload["messages"][1]["tool_calls"]
    assert first["id"] == payload["messages"][2]["tool_call_id"] != second["id"] and "x1" not in json.dumps(payload)
    assert json.loads(second["function"]["arguments"]) == {}


def test_every_text_that_the_model_would_read_is_a_piece() -> None:
    answer = {"role": "assistant", "content": "答", "reasoning_content": "想", "name": "bot"}
    refusal = {"role": "assistant", "refusal": "不"}
    parts = {
        "role": "user",
        "name": "王建国",
        "content": [{"type": "text", "text": "一"}, {"type": "text", "text": "二"}],
    }
    call = chat(messages=[parts, answer, refusal, CALLED, RESULT, USER], tools=[TOOL])
    texts = raw_texts(call)
    for text in ("王建国", "一二", "答", "想", "不", "bot", '{"手机": 13812345678}', RESULT["content"], "你好"):
        assert text in texts
    for text in ("查张三（13812345678）的借款", "借款号", "13987654321", "A1", "手机"):
        assert text in texts, "a text of a tool is not guarded"
    assert texts.count("13987654321") == 2, "a number that names a person is not guarded"
    assert call.last_words == "你好"


def test_guarded_texts_stand_where_the_raw_ones_stood() -> None:
    call = chat(messages=[USER, CALLED, RESULT], tools=[TOOL])
    guarded = {
        "你好": "〔略〕",
        "查张三（13812345678）的借款": "查〔姓名1〕的借款",
        '{"手机": 13812345678}': '{"手机": 〔手机1〕}',
        RESULT["content"]: '{"name": "〔姓名2〕"}',
        "13987654321": "〔手机2〕",
    }
    payload = sent(call, guarded)
    assert payload["messages"][0]["content"] == "〔略〕"
    assert json.loads(payload["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"手机": "〔手机1〕"}
    assert payload["messages"][2]["content"] == '{"name": "〔姓名2〕"}'
    function = payload["tools"][0]["function"]
    assert function["description"] == "查〔姓名1〕的借款"
    assert function["parameters"]["properties"]["手机"]["examples"] == ["〔手机2〕", "〔手机2〕"]


@pytest.mark.parametrize("masked", ["〔略〕", '{"a": 〔手机1〕〔姓名1〕}', '{"a": "b〔手机1〕', ""])
def test_masked_arguments_stay_a_json_object(masked: str) -> None:
    payload = sent(chat(messages=[USER, CALLED]), {'{"手机": 13812345678}': masked})
    assert isinstance(json.loads(payload["messages"][1]["tool_calls"][0]["function"]["arguments"]), dict)


def test_escapes_in_arguments_are_written_out_for_the_guard() -> None:
    arguments = json.dumps({"称呼": '王建国\n"好"'})
    call = {**CALLED, "tool_calls": [{"id": "x", "function": {"name": "look_up", "arguments": arguments}}]}
    piece = next(piece for piece in chat(messages=[USER, call]).pieces if piece.channel == "arguments")
    assert "王建国" in piece.text
    payload = sent(chat(messages=[USER, call]))
    assert json.loads(payload["messages"][1]["tool_calls"][0]["function"]["arguments"]) == json.loads(arguments)


def test_a_name_that_the_guard_would_change_is_refused() -> None:
    function = {"name": "f", "parameters": {"type": "object", "properties": {"13812345678": {"type": "string"}}}}
    call = chat(tools=[{"type": "function", "function": function}])
    with pytest.raises(ApiError) as error:
        sent(call, {"13812345678": "〔手机1〕"})
    assert error.value.status == 400 and error.value.param == "tools.0.function.parameters"


def test_a_schema_for_the_answer_is_bounded_and_guarded() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["13812345678"]}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    call = chat(response_format=form)
    assert sent(call)["response_format"] == form
    masked = sent(call, {"13812345678": "〔手机1〕"})["response_format"]["json_schema"]["schema"]
    assert masked["properties"]["a"]["enum"] == ["〔手机1〕"]
    assert sent(chat(response_format={"type": "json_object"}))["response_format"] == {"type": "json_object"}
    assert "response_format" not in sent(chat(response_format={"type": "text"}))
    assert call.structured and not chat(response_format={"type": "text"}).structured and not chat().structured


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def format_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def tool_of(**function: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "f", **function}}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"metadata": {}}, "metadata"),
        ({"store": False}, "store"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"prompt_logprobs": 1}, "prompt_logprobs"),
        ({"functions": []}, "functions"),
        ({"guided_regex": "a+"}, "guided_regex"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": 1 << 63}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"n": 5}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1 << 40}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": "a" * 65}, "stop"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"x": 1}}, "stream_options.x"),
        ({"model": ""}, "model"),
        ({"model": "x" * 300}, "model"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages.1.tool_call_id"),
        ({"messages": [{**USER, "tool_calls": CALLED["tool_calls"]}]}, "messages.0.tool_calls"),
        ({"messages": [{**USER, "images": []}]}, "messages.0.images"),
        ({"messages": [USER] * 257}, "messages"),
        ({"tools": tool_of(name="a b")}, "tools.0.function.name"),
        ({"tools": [{"type": "retrieval"}]}, "tools.0.type"),
        ({"tools": tool_of() * 2}, "tools"),
        ({"tools": tool_of() * 65}, "tools"),
        ({"tools": tool_of(parameters=deep(9))}, "tools.0.function.parameters"),
        ({"tools": tool_of(parameters={"enum": ["x"] * 2001})}, "tools.0.function.parameters"),
        ({"tools": tool_of(parameters={"pattern": "(a+)+$"})}, "tools.0.function.parameters"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tools": tool_of(), "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "regex"}}, "response_format.type"),
        ({"response_format": {"type": "text", "grammar": "x"}}, "response_format.grammar"),
        ({"response_format": format_of(deep(9))}, "response_format.json_schema.schema"),
        ({"response_format": format_of({"patternProperties": {"a+": {}}})}, "response_format.json_schema.schema"),
        ({"response_format": format_of({"$ref": "http://127.0.0.1/"})}, "response_format.json_schema.schema"),
        ({"response_format": format_of({"maxItems": 10**9})}, "response_format.json_schema.schema"),
        ({"tianjing": {"task": "nope"}}, "tianjing.task"),
        ({"tianjing": {"x": 1}}, "tianjing.x"),
    ],
)
def test_what_is_not_served_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as error:
        chat(**fields)
    assert (error.value.status, error.value.param) == (400, param)
    assert param in error.value.message


def test_a_property_may_have_the_name_of_a_refused_keyword() -> None:
    chat(tools=tool_of(parameters={"type": "object", "properties": {"pattern": {"type": "string"}}}))


@pytest.mark.parametrize("arguments", ["{", "[]", "7", "x", '{"a": NaN', "[" * 50_000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": arguments}}]}
    with pytest.raises(ApiError) as error:
        chat(messages=[USER, call])
    assert error.value.param == "messages.1.tool_calls.0.function.arguments"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xef\xbb\xbf{}",
        b'{"a": 1} x',
        b'{"a": 1, "a": 2}',
        b'{"b": [{"a": 1, "\\u0061": 2}]}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1' + b"0" * 40 + b"}",
        b'{"a": 0.' + b"1" * 100_000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\x01"}',
        b"'a'",
        b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 500_000 + b"]" * 500_000,
        b'{"a":' * 200_000,
        b'"x"',
        b"null",
    ],
)
def test_hostile_json_is_400_at_once(raw: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(ApiError) as error:
        read_json(raw)
    assert error.value.status == 400
    assert time.process_time() - begun < 1


def test_a_megabyte_of_small_values_is_read_in_no_time() -> None:
    begun = time.process_time()
    with pytest.raises(ApiError, match="'x'"):
        parse_chat(
            b'{"model": "m", "messages": [{"role": "user", "content": ""}], "x": [' + b"{}," * 300_000 + b"{}]}", CONFIG
        )
    assert time.process_time() - begun < 5


def completion(**fields: Any) -> Call:
    return parse_completion(json.dumps({"model": "tianjing", "prompt": "从前", **fields}).encode(), CONFIG)


@pytest.mark.parametrize("prompt", ["从前", ["从前"]])
def test_a_completion_has_one_prompt_of_text(prompt: Any) -> None:
    call = completion(prompt=prompt, max_tokens=9, best_of=1, logprobs=None, stream=True, stream_options=None)
    assert call.path == "/v1/completions" and raw_texts(call) == ["从前"] and call.last_words == "从前"
    payload = sent(call, {"从前": "〔略〕"})
    assert (payload["prompt"], payload["max_tokens"], payload["stream"]) == ("〔略〕", 9, True)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1]]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 4}, "best_of"),
        ({"logprobs": 1}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"tools": []}, "tools"),
        ({"prompt_embeds": "x"}, "prompt_embeds"),
    ],
)
def test_what_a_completion_may_not_ask_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as error:
        completion(**fields)
    assert error.value.status == 400 and str(error.value.param).startswith(param)
