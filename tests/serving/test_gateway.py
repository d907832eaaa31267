"""The endpoint as its callers meet it, through the OpenAI client, in front of a played engine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import httpx2 as httpx  # the OpenAI client brings it
import openai
import pytest

from serving.config import ServeConfig
from serving.guard.base import REFUSAL, Admission
from serving.guard.factory import GuardFactory
from serving.guard.request import RequestGuard
from serving.identity.principal import Principal
from serving.protocol.call import Call, Piece
from serving.protocol.forms import ChatForm
from serving.streams.guarded import GuardedStream
from serving.streams.sse import event
from tests.serving.conftest import ENGINE_KEY, KEY, Served
from tianjing.guard import Span

MOBILE, ID_CARD = "13812345678", "11010519491231002X"


def post(served: Served, body: Any, key: str | None = KEY, path: str = "/chat/completions") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(served.base_url + path, content=content, headers=headers, timeout=20)


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tianjing", "messages": [{"role": "user", "content": "你好"}], **more}


def test_models_chat_and_stream_work_with_the_openai_client(served: Served) -> None:
    assert [model.id for model in served.client.models.list()] == ["tianjing"]
    answer = served.ask("你好")
    assert answer.choices[0].message.content == served.engine.text
    assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 12
    text, chunks = served.stream("你好", stream_options={"include_usage": True})
    assert text == served.engine.text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 7


def test_the_engine_gets_its_own_secret_not_the_callers_key(served: Served) -> None:
    served.ask("你好", user="王建国")
    assert served.engine.keys == [f"Bearer {ENGINE_KEY}"]
    assert set(served.engine.received[0]) == {"model", "messages", "max_tokens", "temperature", "cache_salt"}


@pytest.mark.parametrize("key", [None, "wrong-key-0123456789", KEY[:-1]])
def test_without_the_key_nothing_is_answered(served: Served, key: str | None) -> None:
    for path in ("/chat/completions", "/models", "/handoffs"):
        method = "POST" if path == "/chat/completions" else "GET"
        headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        answer = httpx.request(method, served.base_url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert served.engine.received == []


def test_health_needs_no_key_and_ready_asks_the_engine(start: Callable[..., Served], dead_url: str) -> None:
    served = start()
    root = served.base_url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").status_code == 200
    headers = {"authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{root}/ready").status_code == 401
    assert httpx.get(f"{root}/ready", headers=headers).status_code == 200
    orphan = start(engine_url=dead_url)
    root = orphan.base_url.removesuffix("/v1")
    assert httpx.get(f"{root}/health").status_code == 200
    assert httpx.get(f"{root}/ready", headers=headers).status_code == 503


@pytest.mark.parametrize("path", ["/v1/embeddings", "/tokenize", "/metrics", "/v1/chat/completions/render", "/docs"])
def test_unknown_routes_are_404_in_openai_form(served: Served, path: str) -> None:
    answer = httpx.post(served.base_url.removesuffix("/v1") + path, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt_logprobs", 1),
        ("logprobs", True),
        ("return_token_ids", True),
        ("echo", True),
        ("chat_template", "x"),
        ("cache_salt", "x"),
        ("tools", []),
        ("temperature", 9),
        ("n", 100),
        ("stop", [""]),
        ("tianjing.task", "nope"),
    ],
)
def test_a_field_that_is_not_allowed_is_refused_by_name(served: Served, field: str, value: Any) -> None:
    answer = post(served, body(**{field: value}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field and field in answer.json()["error"]["message"]
    assert served.engine.received == []


@pytest.mark.parametrize(("asked", "sent"), [(None, 0.3), (0.0, 0.0), (0.2, 0.2), (1.0, 0.3)])
def test_no_answer_is_sampled_hotter_than_was_evaluated(served: Served, asked: float | None, sent: float) -> None:
    assert post(served, body(**({} if asked is None else {"temperature": asked}))).status_code == 200
    assert served.engine.received[-1]["temperature"] == sent


HALF_A_PAIR = b'{"model": "tianjing", "messages": [{"role": "user", "content": "\\ud800"}]}'
NO_MESSAGES = b'{"model": "tianjing", "messages": []}'


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"n": NaN}', b"\xff", b"[" * 100_000, NO_MESSAGES, HALF_A_PAIR])
def test_a_broken_body_is_400(served: Served, raw: bytes) -> None:
    assert post(served, raw).status_code == 400


def test_another_models_name_is_404(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="tianjing"):
        served.client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "hi"}])


def test_a_large_body_is_refused(start: Callable[..., Served]) -> None:
    served = start(ServeConfig(max_body_bytes=2000))
    big = json.dumps(body()).encode() + b" " * 3000
    assert post(served, big).status_code == 413
    pieces = (big[at : at + 100] for at in range(0, len(big), 100))  # sent without a length
    chunked = httpx.post(
        f"{served.base_url}/chat/completions", content=pieces, headers={"authorization": f"Bearer {KEY}"}
    )
    assert chunked.status_code == 413


def test_an_answer_can_be_sent_back_as_history(served: Served) -> None:
    first = served.ask("你好").choices[0].message
    messages: list[Any] = [{"role": "user", "content": "你好"}, first, {"role": "user", "content": "再说一遍"}]
    served.client.chat.completions.create(model="tianjing", messages=messages)
    assert [m["role"] for m in served.engine.received[-1]["messages"]] == ["user", "assistant", "user"]


def test_text_parts_are_joined(served: Served) -> None:
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    assert post(served, body(messages=[{"role": "user", "content": parts}])).status_code == 200
    assert served.engine.received[0]["messages"][0]["content"] == "你好"
    image = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}]
    assert post(served, body(messages=[{"role": "user", "content": image}])).status_code == 400


def test_a_task_brings_its_system_prompt_unless_there_is_one(served: Served) -> None:
    from tianjing.tasks import TASKS

    served.ask("投诉多久有结果？", extra_body={"tianjing": {"task": "policy_qa"}})
    assert served.engine.received[-1]["messages"][0] == {"role": "system", "content": TASKS["policy_qa"].system()}
    messages = [{"role": "system", "content": "自己的"}, {"role": "user", "content": "你好"}]
    post(served, body(messages=messages, tianjing={"task": "policy_qa"}))
    assert [m["content"] for m in served.engine.received[-1]["messages"]] == ["自己的", "你好"]


def test_the_answers_length_is_bounded(start: Callable[..., Served]) -> None:
    served = start(ServeConfig(max_answer_tokens=64))
    served.ask("你好")
    served.ask("你好", max_tokens=9999)
    served.ask("你好", max_completion_tokens=5)
    assert [request["max_tokens"] for request in served.engine.received] == [64, 64, 5]


def test_the_model_never_sees_personal_data(served: Served) -> None:
    raw = served.client.chat.completions.with_raw_response.create(
        model="tianjing", messages=[{"role": "user", "content": f"手机{MOBILE}，身份证{ID_CARD}，能延期吗"}]
    )
    assert raw.headers["x-tianjing-verdict"] == "mask" and raw.headers["x-tianjing-release"] == "0123abcd"
    sent = json.dumps(served.engine.received, ensure_ascii=False)
    assert MOBILE not in sent and ID_CARD not in sent and "能延期吗" in sent
    assert raw.parse().model_extra["tianjing"] == {
        "verdict": "mask",
        "reasons": ["pii_input"],
        "entities": {"input": {"id_card": 1, "mobile": 1}, "output": {}},
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pii_split_across_chunks_never_leaks_and_stream_equals_whole(served: Served, size: int) -> None:
    served.engine.text = f"您的手机是{MOBILE}，证件号{ID_CARD}，还款日是15日，共1200.50元。"
    served.engine.size = size
    whole = served.ask("你好")
    text, chunks = served.stream("你好")
    assert text == whole.choices[0].message.content
    assert "1200.50元" in text
    wire = "".join(chunk.model_dump_json() for chunk in chunks)
    assert not any(MOBILE[at : at + 6] in wire or ID_CARD[at : at + 6] in wire for at in range(6))
    last = [chunk for chunk in chunks if chunk.choices][-1]
    assert last.model_extra["tianjing"]["entities"]["output"] == {"id_card": 1, "mobile": 1}


def test_what_the_engine_adds_to_its_chunks_is_not_passed_on(served: Served) -> None:
    _, chunks = served.stream("你好")
    wire = "".join(chunk.model_dump_json() for chunk in chunks)
    assert "token_ids" not in wire and "reasoning" not in wire and "想法" not in wire


def test_several_choices_are_each_guarded(served: Served) -> None:
    served.engine.text = f"手机{MOBILE}。"
    assert len(served.ask("你好", n=3).choices) == 3
    chunks = list(served.ask("你好", n=3, stream=True))
    texts = ["".join(c.choices[0].delta.content or "" for c in chunks if c.choices[0].index == i) for i in range(3)]
    assert texts == [texts[0]] * 3 and MOBILE not in texts[0] and "手机" in texts[0]


class Fault:
    """A detector with a fault."""

    name = "fault"
    lookbehind_chars = 0

    def find(self, text: str) -> list[Span]:
        if "密" in text:
            raise RuntimeError("fault")
        return []

    def decided(self, text: str) -> int:
        return len(text)


class BrokenAtTheDoor(RequestGuard):
    """A guard with a fault on the way in."""

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        raise RuntimeError("fault")


def test_a_guard_that_fails_lets_nothing_pass(start: Callable[..., Served]) -> None:
    served = start(guards=lambda call, caller: RequestGuard([Fault()]))
    served.engine.text = "前文。秘密在这里。"
    answer = served.ask("你好")
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (REFUSAL, "content_filter")
    assert answer.model_extra["tianjing"]["verdict"] == "block"
    text, chunks = served.stream("你好")
    assert "密" not in text and "这里" not in text and text.endswith(REFUSAL)
    assert chunks[-1].choices[0].finish_reason == "content_filter"


def test_a_guard_that_fails_on_the_question_keeps_it_from_the_model(start: Callable[..., Served]) -> None:
    served = start(guards=lambda call, caller: BrokenAtTheDoor())
    assert served.ask("你好").choices[0].message.content == REFUSAL
    assert served.stream("你好")[0] == REFUSAL
    assert served.engine.received == []


def test_a_forbidden_word_ends_the_answer_and_the_engine_stops(served: Served) -> None:
    served.engine.text = "好的。再不还就让你坐牢，" + "请放心。" * 200
    answer = served.ask("能批吗")
    first = answer.choices[0]
    assert (first.message.content, first.finish_reason) == ("好的。再不还就让你", "content_filter")
    assert answer.model_extra["tianjing"]["verdict"] == "block"
    assert answer.model_extra["tianjing"]["reasons"] == ["rule:collect.false.criminal"]
    served.engine.endless = True
    text, chunks = served.stream("能批吗")
    assert text == "好的。再不还就让你"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "content_filter"
    assert served.engine.left.wait(5), "the engine went on writing for nobody"


def test_an_answer_that_begins_with_a_forbidden_word_is_a_refusal(served: Served) -> None:
    served.engine.text = "我是公安局的，快还钱。"
    assert served.ask("能批吗").choices[0].message.content == REFUSAL
    assert served.stream("能批吗")[0] == REFUSAL


CALL = Call("/v1/chat/completions", "tianjing", (), {})


def test_of_several_choices_only_the_one_in_breach_ends() -> None:
    form = ChatForm({"id": "chatcmpl-1", "created": 1, "model": "tianjing"})
    stream = GuardedStream(GuardFactory()(CALL, Principal("t", "k")), form, 2, include_usage=False)

    def said(index: int, text: str, reason: str | None = None) -> str:
        piece = {"index": index, "delta": {"content": text}, "finish_reason": reason}
        return stream.feed(event({"choices": [piece]})).decode()

    assert "content_filter" in said(0, "我是公安局的，快还钱。")
    assert not stream.done and said(0, "坐牢") == ""
    assert "请放心" in said(1, "请放心。", "stop") + stream.feed(b"data: [DONE]\n\n").decode()
    assert stream.done


def test_a_complaint_goes_to_a_person_and_not_to_the_model(served: Served) -> None:
    raw = served.client.chat.completions.with_raw_response.create(
        model="tianjing", messages=[{"role": "user", "content": f"我要投诉你们，我电话{MOBILE}"}]
    )
    answer = raw.parse()
    assert raw.headers["x-tianjing-verdict"] == "handoff"
    assert served.engine.received == []
    case_id = answer.model_extra["tianjing"]["case_id"]
    assert case_id in answer.choices[0].message.content
    listed = httpx.get(f"{served.base_url}/handoffs", headers={"authorization": f"Bearer {KEY}"}).json()["data"]
    assert [(row["id"], row["reasons"], row["status"]) for row in listed] == [(case_id, ["complaint"], "open")]
    assert MOBILE not in listed[0]["summary"] and "我要投诉你们" in listed[0]["summary"]


def test_a_streamed_complaint_goes_to_a_person_too(served: Served) -> None:
    text, chunks = served.stream("我不想活了", stream_options={"include_usage": True})
    case = served.queue.cases()[0]
    assert case.id in text and case.reasons == ("self_harm",)
    assert chunks[-1].usage.total_tokens == 0


def test_only_the_last_user_message_decides(served: Served) -> None:
    history = [
        {"role": "user", "content": "我要投诉"},
        {"role": "assistant", "content": "已登记。"},
        {"role": "user", "content": "好的，那最晚几号还？"},
    ]
    assert post(served, body(messages=history)).headers["x-tianjing-verdict"] == "allow"


def test_nobody_is_promised_a_call_that_was_not_recorded(start: Callable[..., Served]) -> None:
    served = start()
    with sqlite3.connect(served.queue.path) as database:
        database.execute("DROP TABLE handoffs")
    answer = post(served, body(messages=[{"role": "user", "content": "我要投诉"}]))
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "handoff_failed"


def test_a_dead_engine_is_503_in_openai_form(start: Callable[..., Served], dead_url: str) -> None:
    served = start(engine_url=dead_url)
    for stream in (False, True):
        answer = post(served, body(stream=stream))
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "engine_unreachable"


@pytest.mark.parametrize(("engine_status", "status"), [(400, 400), (401, 502), (500, 502), (503, 503)])
def test_the_engines_errors_are_told_apart(served: Served, engine_status: int, status: int) -> None:
    served.engine.fail_with = engine_status
    for stream in (False, True):
        answer = post(served, body(stream=stream))
        assert answer.status_code == status
        assert ("2048" in answer.text) == (engine_status == 400)


def test_a_stream_that_breaks_off_ends_with_an_error_and_nothing_held(served: Served) -> None:
    served.engine.text, served.engine.size, served.engine.break_after = f"已为查询：{MOBILE}。", 1, 12
    received = []
    with pytest.raises(openai.APIError, match="engine"):
        for chunk in served.ask("你好", stream=True):
            received.append(chunk.choices[0].delta.content or "")
    assert "".join(received) == "已为查询："


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_caller_leaves_the_engine_stops(served: Served, stream: bool) -> None:
    served.engine.endless = True
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{served.base_url}/chat/completions"
    with pytest.raises(httpx.ReadTimeout), httpx.Client(timeout=0.5) as client:
        if stream:
            with client.stream("POST", url, json=body(stream=True), headers=headers) as answer:
                for number, _ in enumerate(answer.iter_lines()):
                    if number > 5:
                        raise httpx.ReadTimeout("seen enough")
        else:
            client.post(url, json=body(), headers=headers)
    assert served.engine.left.wait(5)
