"""Answers as clients read them: tools, reasoning, completions, whole and streamed, through the real application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.edge.server import listening
from serving.errors import ApiError
from serving.guard.base import REFUSAL
from serving.protocol.call import Call
from serving.protocol.forms import ChatForm, CompletionForm
from serving.streams.sse import event
from serving.streams.whole import guarded_choices
from tests.serving.conftest import Served
from tests.serving.stream_parts import CHAT, COMPLETIONS, REPORT, PlainGuard, Read, Word, called, cuts, delta, stream_of
from tianjing.engine import reserve_port

MOBILE = "13812345678"
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("look_up", "send")
]
NAMES = frozenset({"look_up", "send"})


class ScriptedEngine:
    """Says the same message whole and streamed, in pieces of `size` characters; keeps what it was sent."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {"content": "好的。"}
        self.reason = "stop"
        self.size = 2
        self.received: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        health = Route("/health", lambda request: Response())
        return Starlette(routes=[health, *(Route(path, self.answer, methods=["POST"]) for path in (CHAT, COMPLETIONS))])

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.received.append(body)
        if body.get("stream"):
            return StreamingResponse(self.events(body), media_type="text/event-stream")
        indexes = range(body.get("n", 1))
        said = {"message": {"role": "assistant", **self.message}} if "messages" in body else {"text": self.text()}
        choices = [{"index": i, **said, "logprobs": None, "finish_reason": self.reason} for i in indexes]
        return JSONResponse({"id": "x", "choices": choices, "usage": USAGE, "prompt_token_ids": [1]})

    def text(self) -> str:
        return str(self.message["content"])

    async def events(self, body: dict[str, Any]) -> Any:
        for index in range(body.get("n", 1)):
            if "prompt" in body:
                for piece in self.cut(self.text()):
                    yield event({"choices": [{"index": index, "text": piece, "finish_reason": None}]})
                yield event({"choices": [{"index": index, "text": "", "finish_reason": self.reason}]})
                continue
            for field in ("reasoning", "content"):
                for piece in self.cut(self.message.get(field) or ""):
                    yield delta(index, **{field: piece})
            for position, call in enumerate(self.message.get("tool_calls", ())):
                yield called(position, index, name=call["function"]["name"], arguments="")
                for piece in self.cut(call["function"]["arguments"]):
                    yield called(position, index, arguments=piece)
            yield delta(index, self.reason)
        yield event({"choices": [], "usage": USAGE})
        yield DONE

    def cut(self, text: str) -> list[str]:
        return cuts(text, range(0, len(text), self.size))


def tool_call(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "functions.look_up:0", "type": "function", "function": {"name": name, "arguments": text}}


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[tuple[ScriptedEngine, str]]:
    engine = ScriptedEngine()
    with listening(engine.app(), reserve_port("127.0.0.1", 0)) as url:
        yield engine, url


@pytest.fixture
def engine(shared_engine: tuple[ScriptedEngine, str]) -> ScriptedEngine:
    vars(shared_engine[0]).update(vars(ScriptedEngine()))
    return shared_engine[0]


@pytest.fixture(scope="module")
def client(start: Callable[..., Served], shared_engine: tuple[ScriptedEngine, str]) -> openai.OpenAI:
    served = start(guards=lambda call, caller: PlainGuard(Word("坐牢")), engine_url=shared_engine[1])
    return served.client


ASK: dict[str, Any] = {"model": "tianjing", "messages": [{"role": "user", "content": "你好"}]}


def streamed(client: openai.OpenAI, **more: Any) -> tuple[Any, list[Any]]:
    """What the client's own accumulator makes of a stream, and the chunks."""
    with client.chat.completions.stream(**ASK, **more) as stream:
        chunks = [entry.chunk for entry in stream if entry.type == "chunk"]
        return stream.get_final_completion(), chunks


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_tool_calls_reasoning_and_content_are_guarded_alike_whole_and_streamed(
    client: openai.OpenAI, engine: ScriptedEngine, size: int
) -> None:
    engine.size, engine.reason = size, "tool_calls"
    engine.message = {
        "reasoning": f"客户的手机是{MOBILE}，先查一下。",
        "content": f"正在为{MOBILE}查询。",
        "tool_calls": [tool_call("look_up", {"phone": MOBILE, "n": 138}), tool_call("send", f'{{"to": {MOBILE}}}')],
    }
    whole = client.chat.completions.create(**ASK, tools=TOOLS).choices[0]
    final, chunks = streamed(client, tools=TOOLS)
    for choice in (whole, final.choices[0]):
        message = choice.message
        assert choice.finish_reason == "tool_calls"
        assert message.content == "正在为〔手机1〕查询。"
        assert message.model_extra["reasoning_content"] == "客户的手机是〔手机1〕，先查一下。"
        first, second = message.tool_calls
        assert (first.function.name, second.function.name) == ("look_up", "send")
        assert json.loads(first.function.arguments) == {"phone": "〔手机1〕", "n": 138}
        assert json.loads(second.function.arguments) == {"to": "〔手机1〕"}
        assert first.id != second.id and "functions" not in first.id
    wire = "".join(chunk.model_dump_json() for chunk in chunks)
    assert not any(MOBILE[at : at + 6] in wire for at in range(6))


def test_a_tools_result_can_be_sent_back(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    engine.message, engine.reason = {"content": None, "tool_calls": [tool_call("look_up", {})]}, "tool_calls"
    for message in (client.chat.completions.create(**ASK, tools=TOOLS), streamed(client, tools=TOOLS)[0]):
        answer = message.choices[0].message
        result = {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": f"{MOBILE}：正常"}
        client.chat.completions.create(model="tianjing", messages=[*ASK["messages"], answer, result], tools=TOOLS)
        _, called_message, result_message = engine.received[-1]["messages"]
        assert called_message["tool_calls"][0]["id"] == result_message["tool_call_id"]
        assert result_message["content"] == "〔手机1〕：正常"


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_call_of_a_function_that_nobody_offered_is_withheld(
    client: openai.OpenAI, engine: ScriptedEngine, choice: Any
) -> None:
    name = "wipe_disk" if choice == "auto" else "look_up"
    engine.message = {"content": None, "tool_calls": [tool_call(name, {"a": "秘方"})]}
    engine.reason = "tool_calls"
    whole = client.chat.completions.create(**ASK, tools=TOOLS, tool_choice=choice)
    chunks = list(client.chat.completions.create(**ASK, tools=TOOLS, tool_choice=choice, stream=True))
    assert whole.choices[0].message.tool_calls is None and whole.choices[0].message.content == REFUSAL
    assert whole.model_extra is not None and whole.model_extra["tianjing"]["reasons"] == ["unknown_tool"]
    assert [c.choices[0].finish_reason for c in chunks][-1] == whole.choices[0].finish_reason == "content_filter"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == REFUSAL
    assert name not in "".join(chunk.model_dump_json() for chunk in chunks)


def test_a_forbidden_word_in_arguments_ends_the_choice(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    engine.message = {"content": "好的，", "tool_calls": [tool_call("send", {"text": "让你坐牢"})]}
    engine.reason = "tool_calls"
    whole = client.chat.completions.create(**ASK, tools=TOOLS).choices[0]
    chunks = list(client.chat.completions.create(**ASK, tools=TOOLS, stream=True))
    assert whole.finish_reason == chunks[-1].choices[0].finish_reason == "content_filter"
    assert "坐牢" not in "".join(chunk.model_dump_json() for chunk in chunks) + whole.model_dump_json()
    # JSON escapes hide nothing.
    engine.message["tool_calls"] = [tool_call("send", '{"text": "让你\\u5750\\u7262"}')]
    chunks = list(client.chat.completions.create(**ASK, tools=TOOLS, stream=True))
    assert chunks[-1].choices[0].finish_reason == "content_filter"


def test_several_choices_stream_and_count(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    engine.message = {"content": f"手机{MOBILE}。"}
    chunks = list(client.chat.completions.create(**ASK, n=4, stream=True, stream_options={"include_usage": True}))
    texts: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    assert texts == dict.fromkeys(range(4), "手机〔手机1〕。")
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 12 and not chunks[-1].choices


def test_completions_whole_and_streamed(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    engine.message = {"content": f"手机{MOBILE}。"}
    whole = client.completions.create(model="tianjing", prompt=f"我的手机是{MOBILE}", n=2)
    assert [choice.text for choice in whole.choices] == ["手机〔手机1〕。"] * 2 and whole.object == "text_completion"
    assert engine.received[-1]["prompt"] == "我的手机是〔手机1〕"
    chunks = list(client.completions.create(model="tianjing", prompt="你好", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "手机〔手机1〕。"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert "prompt_token_ids" not in whole.model_dump_json()
    engine.message = {"content": "让你坐牢"}
    assert client.completions.create(model="tianjing", prompt="x").choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize("field", ["tools", "messages"])
def test_a_masked_request_keeps_its_form(client: openai.OpenAI, engine: ScriptedEngine, field: str) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "string", "description": f"如{MOBILE}"}}}
    tools: list[Any] = [{"type": "function", "function": {"name": "look_up", "parameters": parameters}}]
    history = {"role": "assistant", "content": None, "tool_calls": [tool_call("look_up", f'{{"n": {MOBILE}}}')]}
    client.chat.completions.create(
        model="tianjing", messages=[*ASK["messages"], history, {**RESULT, "content": "无"}], tools=tools
    )
    assert MOBILE not in json.dumps(engine.received[-1][field])
    function = engine.received[-1]["messages"][1]["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == {"n": "〔手机1〕"}


RESULT = {"role": "tool", "tool_call_id": "functions.look_up:0"}


def test_a_tool_call_in_odd_pieces_is_put_together() -> None:
    stream = stream_of(tools=NAMES)
    sent = stream.feed(called(0, name="look_up") + called(0, arguments='{"a"') + called(1, name="send", arguments="{"))
    sent += stream.feed(
        called(0, name="look_up", arguments=": 1") + called(1, arguments="}") + called(0, arguments="}")
    )
    read = Read(sent + stream.feed(delta(reason="tool_calls") + DONE) + stream.close(REPORT))
    assert (read.texts[0, "look_up"], read.texts[0, "send"]) == ('{"a": 1}', "{}")
    assert read.texts[0, "content"] == "" and read.ends == {0: "tool_calls"}


@pytest.mark.parametrize(
    "pieces",
    [
        [called(0, arguments="{}")],
        [called(0, name="look_up"), called(0, name="send")],
        [called(0, name="look"), called(0, name="_up")],
        [called(number, name="send") for number in range(200)],
    ],
)
def test_a_call_without_one_known_name_is_withheld(pieces: list[bytes]) -> None:
    stream = stream_of(tools=NAMES)
    read = Read(b"".join(map(stream.feed, pieces)) + stream.close(REPORT))
    assert read.ends == {0: "content_filter"} and len(read.calls) <= 128


def test_numbers_split_over_pieces_and_placeholders_make_valid_json() -> None:
    raw = '{"a":[13812345678,-1.5e3,true,null,"x"],"b":"1\\u00338\\/12345678","c":"\\ud83d\\ude00\\n\\t\\"\\\\"}'
    for size in (1, 2, 3, 5, 100):
        stream = stream_of(tools=NAMES)
        pieces = [called(0, arguments=raw[at : at + size]) for at in range(0, len(raw), size)]
        sent = b"".join(map(stream.feed, [called(0, name="send"), *pieces, delta(reason="tool_calls"), DONE]))
        value = json.loads(Read(sent + stream.close(REPORT)).texts[0, "send"])
        assert value["a"] == ["〔手机1〕", -1500.0, True, None, "x"]
        assert value["c"] == '😀\n\t"\\'


def call_of(**more: Any) -> Call:
    return Call(CHAT, "tianjing", (), {}, **more)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": None},
        {"choices": [{"message": {"content": "x"}}]},
        {"choices": [{"index": 0, "message": {"content": ["x"]}}]},
        {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "error"}]},
        {"choices": [{"index": 0, "message": {"tool_calls": ["x"]}}]},
        {"choices": [{"index": "0", "message": {"content": "x"}}]},
    ],
)
def test_a_whole_answer_that_cannot_be_read_is_502(answer: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as error:
        guarded_choices(PlainGuard(), call_of(), answer)
    assert error.value.status == 502


def test_choices_that_nobody_asked_for_are_dropped() -> None:
    said = [{"index": index, "message": {"content": str(index)}, "finish_reason": "stop"} for index in (0, 1, 7, -1)]
    assert [choice.content for choice in guarded_choices(PlainGuard(), call_of(choices=2), {"choices": said})] == [
        "0",
        "1",
    ]


@pytest.mark.parametrize("form", [ChatForm, CompletionForm])
def test_a_usage_tells_token_counts_and_nothing_else(form: Any) -> None:
    given = {"prompt_tokens": 3, "completion_tokens": -1, "total_tokens": "x", "prompt_tokens_details": {"cached": 9}}
    body = form({"id": "x"}).whole([], given, REPORT)
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 0}
