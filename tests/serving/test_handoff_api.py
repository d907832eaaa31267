"""The desk's routes through the real gateway: who may do what, and what each tells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from serving.errors import ApiError
from serving.handoff.words import AgentWords
from serving.identity.principal import Principal, Role
from tests.serving.conftest import Served

TENANTS = {"acme", "other"}


class Keys:
    """Key "agent:acme" is an agent of acme."""

    def identify(self, authorization: str | None) -> Principal:
        role, _, tenant = (authorization or "").removeprefix("Bearer ").partition(":")
        if tenant not in TENANTS:
            raise ApiError(401, "missing or wrong API key")
        return Principal(tenant, f"{role}-{tenant}", role)  # type: ignore[arg-type]


class Caller:
    """One key at work."""

    def __init__(self, served: Served, role: Role, tenant: str = "acme"):
        headers = {"authorization": f"Bearer {role}:{tenant}"}
        self.http = httpx.Client(base_url=served.base_url, headers=headers, timeout=60)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, status: int, **options: Any) -> dict[str, Any]:
        answer = self.http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    def say(self, text: str, session: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
        extension = {"session": session} if session else {}
        body = {"model": "tianjing", "messages": [{"role": "user", "content": text}], "tianjing": extension, **more}
        answer = self.post("chat/completions", **body)
        return answer["choices"][0]["message"]["content"], answer["tianjing"]


@pytest.fixture(scope="module")
def gateway(start: Callable[..., Served]) -> Served:
    return start(identity=Keys())


@pytest.fixture
def app(gateway: Served) -> Caller:
    return Caller(gateway, "app")


@pytest.fixture
def agent(gateway: Served) -> Caller:
    return Caller(gateway, "agent")


def opened(app: Caller, text: str = "我要投诉", session: str | None = None) -> str:
    case_id: str = app.say(text, session)[1]["case_id"]
    return case_id


def test_a_conversation_goes_to_a_person_and_back_to_the_model(gateway: Served, app: Caller, agent: Caller) -> None:
    text, report = app.say("我叫张三，手机13812345678，我要投诉", "talk-1")
    case_id = report["case_id"]
    assert report["verdict"] == "handoff" and case_id in text
    assert case_id in [row["id"] for row in agent.get("handoffs", status="open")["data"]]
    shown = agent.get(f"handoffs/{case_id}")
    assert "13812345678" not in str(shown) and shown["transcript"][-1]["speaker"] == "customer"
    agent.post(f"handoffs/{case_id}/claim", agent="A007")
    agent.post(f"handoffs/{case_id}/messages", agent="A007", text="您好，我是A007，请说。")
    asked = len(gateway.engine.received)
    assert app.say("你们天天打电话", "talk-1")[0] == "您好，我是A007，请说。"
    assert len(gateway.engine.received) == asked, "the model is not asked"
    messages = agent.get(f"handoffs/{case_id}")["messages"]
    assert [(message["from"], message["text"]) for message in messages] == [
        ("agent", "您好，我是A007，请说。"),
        ("customer", "你们天天打电话"),
    ]
    closed = agent.post(f"handoffs/{case_id}/close", agent="A007", resolution="致歉并停止外呼", outcome="resolved")
    assert closed["status"] == "closed" and closed["resolution"] == "致歉并停止外呼"
    text, report = app.say("下个月几号还款", "talk-1")
    assert report["verdict"] == "allow" and len(gateway.engine.received) == asked + 1


def test_streams_hear_the_person_too(app: Caller, agent: Caller) -> None:
    case_id = opened(app, "转人工", "talk-2")
    agent.post(f"handoffs/{case_id}/claim")
    agent.post(f"handoffs/{case_id}/messages", text="请说。")
    body = {"model": "tianjing", "messages": [{"role": "user", "content": "喂"}], "stream": True}
    answer = app.http.post("chat/completions", json={**body, "tianjing": {"session": "talk-2"}})
    assert "请说。" in answer.text and answer.text.endswith("data: [DONE]\n\n")


def test_another_tenants_cases_are_not_there(gateway: Served, app: Caller) -> None:
    case_id = opened(app)
    stranger, operator = Caller(gateway, "agent", "other"), Caller(gateway, "operator", "other")
    assert case_id not in [row["id"] for row in stranger.get("handoffs", limit=1000)["data"]]
    close = {"json": {"resolution": "无", "outcome": "resolved"}}
    for method, path, options in (
        ("GET", "", {}),
        ("GET", "/events", {}),
        ("POST", "/claim", {}),
        ("POST", "/release", {}),
        ("POST", "/messages", {"json": {"text": "您好"}}),
        ("POST", "/close", close),
    ):
        error = stranger.refused(method, f"handoffs/{case_id}{path}", 404, **options)
        assert error == stranger.refused(method, f"handoffs/H20260101-2222222222222{path}", 404, **options)
    assert Caller(gateway, "app", "other").refused("GET", f"handoffs/{case_id}/words", 404)
    assert operator.get(f"handoffs/{case_id}")["tenant"] == "acme"


def test_each_role_has_its_doors(gateway: Served, app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    for path in ("handoffs", f"handoffs/{case_id}", f"handoffs/{case_id}/events"):
        app.refused("GET", path, 403)
        Caller(gateway, "monitor").refused("GET", path, 403)
        assert httpx.get(f"{gateway.base_url}/{path}").status_code == 401
    app.refused("POST", f"handoffs/{case_id}/claim", 403)
    agent.refused("GET", f"handoffs/{case_id}/words", 403)


def test_the_second_agent_is_told_who_has_the_case(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim", agent="A1")
    error = agent.refused("POST", f"handoffs/{case_id}/claim", 409, json={"agent": "A2"})
    assert error["code"] == "case_conflict" and "A1" in error["message"]
    agent.refused("POST", f"handoffs/{case_id}/release", 409, json={"agent": "A2"})
    agent.post(f"handoffs/{case_id}/release", agent="A1")
    assert agent.post(f"handoffs/{case_id}/claim", agent="A2")["claimed_by"] == "A2"


def test_an_operator_frees_a_case_that_its_agent_left(gateway: Served, app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim", agent="A1")
    assert Caller(gateway, "operator").post(f"handoffs/{case_id}/release")["status"] == "open"


def test_an_agents_message_is_checked_and_told_but_not_stopped(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim")
    assert agent.post(f"handoffs/{case_id}/messages", text="您好，请稍等。")["warnings"] == []
    threat = "再不还钱就让你坐牢"
    assert agent.post(f"handoffs/{case_id}/messages", text=threat)["warnings"]
    assert threat in [message["text"] for message in agent.get(f"handoffs/{case_id}")["messages"]]


def test_an_agents_message_does_not_carry_a_persons_numbers(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim")
    text = "李四的手机是13912345678，您联系他"
    error = agent.refused("POST", f"handoffs/{case_id}/messages", 422, json={"text": text})
    assert error["code"] == "personal_data" and "手机" in error["message"]
    assert "13912345678" not in str(agent.get(f"handoffs/{case_id}")) + str(error)


@pytest.mark.parametrize("text", ["请拨打400-820-8820或12378", "您尾号1234的卡", "分3期，每期1200元，3月15日前还"])
def test_ordinary_numbers_are_no_persons_numbers(text: str) -> None:
    assert AgentWords()(text).refused == ()


def test_waiting_for_news_ends_with_the_news(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim")
    heard: list[Any] = []
    waiting = [
        threading.Thread(target=lambda: heard.append(app.get(f"handoffs/{case_id}/words", wait=25))),
        threading.Thread(target=lambda: heard.append(agent.get(f"handoffs/{case_id}/events", after=2, wait=25))),
    ]
    for thread in waiting:
        thread.start()
    agent.post(f"handoffs/{case_id}/messages", text="您好")
    for thread in waiting:
        thread.join(60)
    assert [[row["text"] for row in news["data"]] for news in heard] == [["您好"], ["您好"]]
    number = heard[0]["next"]
    assert app.get(f"handoffs/{case_id}/words", after=number)["data"] == []
    assert app.get(f"handoffs/{case_id}/words")["data"], "what was given may be read again"


def test_nobody_waits_for_news_of_a_closed_case(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim")
    agent.post(f"handoffs/{case_id}/close", resolution="无", outcome="resolved")
    kinds = [row["kind"] for row in agent.get(f"handoffs/{case_id}/events", wait=25)["data"]]
    assert kinds == ["opened", "claimed", "closed"]
    assert agent.get(f"handoffs/{case_id}/events", after=3, wait=25)["status"] == "closed"


def test_words_that_the_application_has_shown_are_not_said_again(app: Caller, agent: Caller) -> None:
    case_id = opened(app, "转人工", "talk-3")
    agent.post(f"handoffs/{case_id}/claim")
    agent.post(f"handoffs/{case_id}/messages", text="您好")
    news = app.get(f"handoffs/{case_id}/words")
    app.get(f"handoffs/{case_id}/words", after=news["next"])
    assert "您好" not in app.say("在", "talk-3")[0]


def test_a_message_sent_twice_under_one_key_is_one(app: Caller, agent: Caller) -> None:
    case_id = opened(app)
    agent.post(f"handoffs/{case_id}/claim")
    for _ in range(2):
        agent.post(f"handoffs/{case_id}/messages", text="您好", key="m1")
    assert len(agent.get(f"handoffs/{case_id}")["messages"]) == 1


def test_pages_follow_one_another(app: Caller, agent: Caller) -> None:
    wanted = {opened(app) for _ in range(5)}
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = agent.get("handoffs", **query)
        seen += [row["id"] for row in page["data"]]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
    assert wanted <= set(seen) and len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("handoffs?limit=0", "limit"),
        ("handoffs?limit=1001", "limit"),
        ("handoffs?limit=x", "limit"),
        ("handoffs?status=gone", "status"),
        ("handoffs?cursor=H20260101-2222222222222", "cursor"),
        ("handoffs?cursor=%00", "cursor"),
        ("handoffs/{id}/events?after=-1", "after"),
        ("handoffs/{id}/events?after=99999999999999999999", "after"),
        ("handoffs/{id}/events?wait=26", "wait"),
        (f"handoffs?limit={'0' * 15}15000", "limit"),
        (f"handoffs/{{id}}/events?wait={'0' * 17}1999999", "wait"),
        (f"handoffs/{{id}}/events?after={'0' * 18}{'9' * 30}", "after"),
    ],
)
def test_a_wrong_query_is_refused_by_name(app: Caller, agent: Caller, path: str, named: str) -> None:
    assert agent.refused("GET", path.format(id=opened(app)), 400)["param"] == named


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("claim", b'{"agent": "a b"}', 400),
        ("claim", b'{"who": "A1"}', 400),
        ("claim", b'{"version": 0}', 400),
        ("claim", b'{"version": 99999999999999999999}', 400),
        ("claim", b"[]", 400),
        ("claim", b"\xff", 400),
        ("claim", b"[" * 30_000, 400),
        ("messages", b"{}", 400),
        ("messages", b'{"text": "  "}', 400),
        ("messages", b'{"text": "a\\u0000b"}', 400),
        ("messages", b'{"text": "\\ud800"}', 400),
        ("messages", b'{"text": "%s"}' % (b"a" * 2001), 400),
        ("messages", b'{"text": "%s"}' % (b"a" * 40_000), 413),
        ("close", b'{"resolution": "x"}', 400),
        ("close", b'{"resolution": "x", "outcome": "A B"}', 400),
    ],
)
def test_a_wrong_body_is_refused(app: Caller, agent: Caller, path: str, body: bytes, status: int) -> None:
    agent.refused("POST", f"handoffs/{opened(app)}/{path}", status, content=body)


@pytest.mark.parametrize("case_id", ["x", "H1", "%00", "..%2fmodels", "H20260101-2222222222222'--", "h" * 500])
def test_a_wrong_number_is_no_case(agent: Caller, case_id: str) -> None:
    agent.refused("GET", f"handoffs/{case_id}", 404)
