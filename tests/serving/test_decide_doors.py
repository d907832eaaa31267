"""The door of decisions: who may pass, what is counted, and that nothing is answered that is not accounted for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import Request

from serving.audit.base import NoAudit
from serving.decide.doors import doors
from serving.decide.service import Decider
from serving.decide.settings import DecideSettings
from serving.errors import ApiError
from serving.identity.principal import Principal
from tests.serving.test_decide import ACCOUNTS, POLICY, body

CALLER = Principal("tenant-a", "key-1", "app")
DECIDER = Decider(DecideSettings(policy=POLICY))


class Log(NoAudit):
    """Keeps events, or fails."""

    def __init__(self, broken: bool = False):
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.broken = broken

    def digest(self, *texts: str) -> str:
        return f"digest-of-{len(texts)}"

    async def event(self, kind: str, details: Mapping[str, Any]) -> None:
        if self.broken:
            raise ApiError(503, "cannot be accounted for", retry_after_s=1)
        self.events.append((kind, details))


class Counter:
    """How many requests are in progress."""

    in_progress = settled = 0

    async def admit(self, caller: Principal, tokens: int) -> Counter:
        assert tokens == 0
        self.in_progress += 1
        return self

    async def settle(self, tokens: int) -> None:
        self.in_progress -= 1
        self.settled += 1


def post(raw: bytes, log: Log, counter: Counter) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The answer of the door and its headers."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        (door,) = doors(DECIDER, log, counter)
        assert (door.method, door.path, door.needs) == ("POST", "/v1/decide", "decide")
        scope = {"type": "http", "method": "POST", "path": door.path, "headers": [], "query_string": b""}
        answer = await door.handle(Request(scope, receive), CALLER)
        await answer(scope, receive, send)

    asyncio.run(run())
    return json.loads(sent[1]["body"]), dict(sent[0]["headers"])


def test_a_decision_is_accounted_for_by_digests_and_ids() -> None:
    log, counter = Log(), Counter()
    answer, headers = post(json.dumps(body()).encode(), log, counter)
    ((kind, details),) = log.events
    assert kind == "decided"
    assert headers[b"x-request-id"].decode() == answer["id"] == details["request"]
    assert (details["tenant"], details["decision"]) == ("tenant-a", "ai")
    assert "附表一（减免罚息）" in details["clauses"]
    assert details["sources"]["policy"] == answer["sources"]["policy"]["sha256"]
    kept = json.dumps(details, ensure_ascii=False)
    assert ACCOUNTS[1]["customer"] not in kept
    assert ACCOUNTS[1]["account"] not in kept
    assert (counter.in_progress, counter.settled) == (0, 1)


def test_what_cannot_be_accounted_for_is_not_answered() -> None:
    counter = Counter()
    with pytest.raises(ApiError) as caught:
        post(json.dumps(body()).encode(), Log(broken=True), counter)
    assert caught.value.status == 503
    assert (counter.in_progress, counter.settled) == (0, 1)


def test_a_bad_body_is_neither_counted_nor_decided() -> None:
    log, counter = Log(), Counter()
    with pytest.raises(ApiError) as caught:
        post(b'{"account": {}}', log, counter)
    assert (caught.value.status, caught.value.param) == (400, "account.account")
    assert (log.events, counter.settled) == ([], 0)


def test_the_answer_is_the_same_each_time() -> None:
    raw = json.dumps(body(situations=["工资迟发"])).encode()
    one, other = (post(raw, Log(), Counter())[0] for _ in range(2))
    assert one.pop("id") != other.pop("id")
    assert one == other
