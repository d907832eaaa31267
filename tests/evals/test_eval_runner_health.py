"""When a run goes on although requests fail, and when it ends because nothing is answered any more."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import GREEDY, RawAttempt, Request
from evals.runner import Journal, Pool, Target, finished_keys, fixed, load_attempts
from evals.runner.health import spread
from tests.evals.conftest import Endpoint
from tianjing.engine import ChatClient, ChatRequest, Completion, EngineError, free_port
from tianjing.records import Message

CONFIG = EvalConfig(concurrency=16, tries=4, request_timeout_s=5)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.retry.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("evals.runner.health.PAUSE_S", 0.02)
    monkeypatch.setattr("evals.runner.health.SILENT_S", 0.2)


def longest_first(count: int) -> list[Request]:
    return [
        Request(
            f"i{number}", "t", GREEDY, 0, (Message(role="user", content="问" * (count - number)),), 8, 0.0, 1.0, number
        )
        for number in range(count)
    ]


def ask(url: str, requests: list[Request], path: Path, timeout_s: float = 5, **names: Any) -> list[RawAttempt]:
    async def go() -> None:
        with Journal(path) as journal:
            async with ChatClient(url, "k", timeout_s) as client:
                target = Target("tuned", "digest", "t", client, journal, finished_keys(path), requests, **names)
                await Pool(CONFIG).run(((target, request) for request in requests), fixed(CONFIG.concurrency))

    asyncio.run(go())
    known = load_attempts(path)
    return [known[request.key("digest")] for request in requests]


def length(payload: dict[str, Any]) -> int:
    return len(payload["messages"][-1]["content"])


@pytest.mark.parametrize("failing", [25, 90])
@pytest.mark.parametrize("status", [500, 400, 403])
def test_long_items_that_always_fail_do_not_keep_the_others_from_being_asked(
    endpoint: Endpoint, tmp_path: Path, failing: int, status: int
) -> None:
    requests = longest_first(200)
    endpoint.reply = lambda payload: status if length(payload) > 200 - failing else "ok"
    answers = ask(endpoint.base_url, requests, tmp_path / "a.jsonl")
    assert [a.error is not None for a in answers] == [True] * failing + [False] * (200 - failing)
    again = ask(endpoint.base_url, requests, tmp_path / "a.jsonl")
    assert len(again) == 200, "also where nothing is left to ask but what fails"


def test_failing_by_chance_and_for_ever_does_not_end_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda payload: 500 if payload["seed"] * 2654435761 % 97 < 58 else "ok"
    answers = ask(endpoint.base_url, longest_first(300), tmp_path / "a.jsonl")
    assert 100 < sum(a.error is not None for a in answers) < 250


@pytest.mark.parametrize("status", [503, 529])
def test_an_engine_that_is_gone_ends_the_run_early(endpoint: Endpoint, tmp_path: Path, status: int) -> None:
    endpoint.reply = lambda payload: status
    with pytest.raises(EvalError, match="stopped answering 't'"):
        ask(endpoint.base_url, longest_first(400), tmp_path / "a.jsonl")
    tried = {payload["seed"] for payload in endpoint.payloads}
    assert len(tried) < 140
    assert min(tried) < 20 and max(tried) > 300, "the short items were tried too"


def test_nobody_listening_ends_the_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.health.SILENT_S", 60)
    began = time.monotonic()
    with pytest.raises(EvalError, match="stopped answering"):
        ask(f"http://127.0.0.1:{free_port()}/v1", longest_first(400), tmp_path / "a.jsonl")
    assert time.monotonic() - began < 5


def test_an_engine_that_restarts_costs_no_item(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.runner.health.SILENT_S", 20)
    began = time.monotonic()
    endpoint.reply = lambda payload: 502 if time.monotonic() - began < 0.5 else "ok"
    answers = ask(endpoint.base_url, longest_first(100), tmp_path / "a.jsonl")
    assert sum(a.error is not None for a in answers) <= 16, "no more than were in flight when it went away"


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (400, "Unrecognized request argument supplied: top_k", "does not know top_k: set `parameters: openai`"),
        (422, "extra fields not permitted: min_p, top_k", "does not know top_k, min_p: set `parameters: openai`"),
        (401, "no such key", "mend the cause"),
        (404, "no such model", "mend the cause"),
    ],
)
def test_a_refusal_of_everything_ends_the_run_and_says_what_to_set(
    endpoint: Endpoint, tmp_path: Path, status: int, message: str, said: str
) -> None:
    endpoint.reply, endpoint.refusal = (lambda payload: status), message
    with pytest.raises(EvalError, match=rf"answers no request to 't': .*{re.escape(message)}") as caught:
        ask(endpoint.base_url, longest_first(400), tmp_path / "a.jsonl")
    assert said in caught.value.remedy
    assert len(endpoint.payloads) < 100


@pytest.mark.parametrize("count", [3, 400])
def test_timeouts_of_the_longest_do_not_end_the_run(tmp_path: Path, count: int) -> None:
    class Slow:
        async def chat(self, request: ChatRequest) -> Completion:
            if len(request.messages[-1].content) > count / 2:
                raise EngineError("no answer within 5 s", transient=True, kind="timeout")
            return Completion("ok", "stop", 1, 1, 0.1)

    requests, path = longest_first(count), tmp_path / "a.jsonl"

    async def go() -> None:
        with Journal(path) as journal:
            target = Target("tuned", "digest", "t", Slow(), journal, plan=requests)
            await Pool(CONFIG).run(((target, request) for request in requests), fixed(16))

    asyncio.run(go())
    assert len(load_attempts(path)) == count


@pytest.mark.parametrize("told", ["b", "something-else", "t-2", "t-2024-13-40", "prefix-t"])
def test_an_answer_of_another_model_is_an_error_that_names_both(endpoint: Endpoint, tmp_path: Path, told: str) -> None:
    endpoint.served = lambda payload: told if payload["seed"] % 2 else "t"
    answers = ask(endpoint.base_url, longest_first(8), tmp_path / "a.jsonl", others={"b"})
    assert [a.error_kind for a in answers] == [None, "protocol"] * 4
    assert answers[1].error == f"'t' was asked, and '{told}' answered"


def test_a_run_of_which_another_model_answers_everything_ends_early(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.served = lambda payload: "b"
    with pytest.raises(EvalError, match="'t' was asked, and 'b' answered") as caught:
        ask(endpoint.base_url, longest_first(400), tmp_path / "a.jsonl")
    assert "`served_as: {t: [b]}`" in caught.value.remedy
    assert len(endpoint.payloads) < 100


@pytest.mark.parametrize("told", ["t", None, "t-2024-08-06", "t-20240806", "alias"])
def test_names_that_stand_for_the_model_are_taken_and_kept(
    endpoint: Endpoint, tmp_path: Path, told: str | None
) -> None:
    endpoint.served = lambda payload: told
    answers = ask(endpoint.base_url, longest_first(4), tmp_path / "a.jsonl", aliases={"alias"})
    assert {(a.error, a.served) for a in answers} == {(None, None if told == "t" else told)}
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert all(("served" in row) == (told not in ("t", None)) for row in rows)


def test_the_dated_name_of_another_arm_is_that_arm(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.served = lambda payload: "t-2024-08-06"
    answers = ask(endpoint.base_url, longest_first(4), tmp_path / "a.jsonl", others={"t-2024-08-06"})
    assert {a.error_kind for a in answers} == {"protocol"}


def test_requests_are_tried_from_all_over_the_plan() -> None:
    tried = [request.seed for request in spread(longest_first(100), 8)]
    assert len(set(tried)) == 8 and all(n * 12.5 - 1 < seed < (n + 1) * 12.5 for n, seed in enumerate(tried))
    assert len(spread(longest_first(3), 8)) == 3 and spread([], 8) == []
