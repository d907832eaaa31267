from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import SAMPLED, RawAttempt, Request
from evals.runner import load_attempts, pending, require_different_repeats, run_requests
from tests.evals.conftest import Endpoint
from tianjing.engine import ChatClient
from tianjing.records import Message

CONFIG = EvalConfig(concurrency=4, tries=3)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.FIRST_PAUSE_S", 0.001)


def make_requests(count: int, temperature: float = 0.0) -> list[Request]:
    return [
        Request(
            item=f"i{number // 2}",
            task="policy_qa",
            condition=SAMPLED,
            repeat=number % 2,
            messages=(Message(role="user", content=f"问题{number // 2}"),),
            max_tokens=8,
            temperature=temperature,
            top_p=0.9,
            seed=number,
        )
        for number in range(count)
    ]


def ask(requests: list[Request], endpoint: Endpoint, path: Path, config: EvalConfig = CONFIG) -> list[RawAttempt]:
    """What `eval run` does for one arm: ask what is left, then read all back."""

    async def go() -> None:
        async with ChatClient(endpoint.base_url, "k", timeout_s=5) as client:
            left = pending(requests, "digest", load_attempts(path))
            await run_requests(left, client, "tianjing", "base", "digest", path, config)

    asyncio.run(go())
    known = load_attempts(path)
    return [known[request.key("digest")] for request in requests]


def test_every_sampling_parameter_is_sent(endpoint: Endpoint, tmp_path: Path) -> None:
    ask(make_requests(2, temperature=0.7), endpoint, tmp_path / "a.jsonl")
    for payload in endpoint.payloads:
        assert payload["model"] == "tianjing"
        assert (payload["temperature"], payload["top_p"], payload["max_tokens"]) == (0.7, 0.9, 8)
    assert sorted(payload["seed"] for payload in endpoint.payloads) == [0, 1]


def test_a_killed_run_goes_on_without_repeating_finished_requests(endpoint: Endpoint, tmp_path: Path) -> None:
    requests, path = make_requests(60), tmp_path / "attempts.jsonl"

    class Killed(BaseException):
        """Stands for a kill: nothing in the runner catches it."""

    def die(attempt: RawAttempt) -> None:
        if len(path.read_text().splitlines()) >= 25:
            raise Killed

    async def go() -> None:
        async with ChatClient(endpoint.base_url, "k") as client:
            await run_requests(requests, client, "tianjing", "base", "digest", path, CONFIG, die)

    with pytest.raises(Killed):
        asyncio.run(go())
    with open(path, "a") as stream:
        stream.write('{"key": "torn off in the mid')
    finished = {payload["seed"] for payload in endpoint.payloads if payload["seed"] in saved_seeds(path)}
    assert 25 <= len(finished) < 60
    endpoint.payloads.clear()
    answers = ask(requests, endpoint, path)
    assert {payload["seed"] for payload in endpoint.payloads} == {r.seed for r in requests} - finished
    assert len(endpoint.payloads) == 60 - len(finished)
    assert [a.seed for a in answers] == [r.seed for r in requests] and not any(a.error for a in answers)
    endpoint.payloads.clear()
    ask(requests, endpoint, path)
    assert endpoint.payloads == [], "a finished run asks nothing"


def saved_seeds(path: Path) -> set[int]:
    return {attempt.seed for attempt in load_attempts(path).values()}


def test_another_model_or_prompt_is_asked_anew(endpoint: Endpoint, tmp_path: Path) -> None:
    requests, path = make_requests(4), tmp_path / "a.jsonl"
    ask(requests, endpoint, path)
    assert pending(requests, "digest", load_attempts(path)) == []
    assert pending(requests, "another digest", load_attempts(path)) == requests


def test_transient_errors_are_tried_again(endpoint: Endpoint, tmp_path: Path) -> None:
    seen: Counter[int] = Counter()

    def reply(payload: dict[str, Any]) -> str | int:
        seen[payload["seed"]] += 1
        return 503 if seen[payload["seed"]] < 3 else "ok"

    endpoint.reply = reply
    answers = ask(make_requests(6), endpoint, tmp_path / "a.jsonl")
    assert [(a.output, a.tries, a.error) for a in answers] == [("ok", 3, None)] * 6


def test_errors_are_kept_and_asked_again_only_by_the_next_run(endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    endpoint.reply = lambda payload: 400 if payload["seed"] == 3 else 503 if payload["seed"] == 5 else "ok"
    answers = ask(make_requests(8), endpoint, path)
    assert len(answers) == 8, "an error does not leave the denominator"
    assert [a.seed for a in answers if a.error] == [3, 5]
    assert [a.tries for a in answers if a.error] == [1, 3], "a refusal is final, an overload is not"
    assert "HTTP 400" in str(answers[3].error)
    endpoint.payloads.clear()
    endpoint.reply = lambda payload: "ok"
    assert not any(a.error for a in ask(make_requests(8), endpoint, path))
    assert sorted(payload["seed"] for payload in endpoint.payloads) == [3, 5]


def test_an_engine_that_is_gone_stops_the_run_early(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda payload: 503
    with pytest.raises(EvalError, match="stopped answering"):
        ask(make_requests(400), endpoint, tmp_path / "a.jsonl")
    assert len(endpoint.payloads) < 60


def attempts(texts: list[list[str]]) -> list[RawAttempt]:
    return [
        RawAttempt(
            key=f"{item}-{repeat}", item=f"i{item}", task="t", arm="base", condition=SAMPLED, repeat=repeat, prompt="p",
            seed=repeat, temperature=0.7, output=text,
        )
        for item, row in enumerate(texts)
        for repeat, text in enumerate(row)
    ]  # fmt: skip


def test_canary_fails_when_all_repeats_are_copies() -> None:
    with pytest.raises(EvalError, match="byte-identical"):
        require_different_repeats(attempts([["a", "a"], ["b", "b"], ["c", "c"]]))


def test_canary_is_content_with_one_difference_or_nothing_to_compare() -> None:
    require_different_repeats(attempts([["a", "a"], ["b", "b"], ["c", "d"]]))
    require_different_repeats(attempts([["a"], ["b"]]))
    require_different_repeats([a.model_copy(update={"temperature": 0.0}) for a in attempts([["a", "a"], ["b", "b"]])])
    require_different_repeats([])
