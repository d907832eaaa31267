"""The pool of workers against a local endpoint: parameters, retries, resume, errors, stalls and the seed canary."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import SAMPLED, RawAttempt, Request
from evals.runner import Journal, Pool, Target, copied_repeats, finished_keys, fixed, load_attempts
from evals.runner.cache import Cache
from evals.runner.journal import cut_torn_line
from tests.evals.conftest import Endpoint
from tianjing.engine import ChatClient, ChatRequest, Completion, EngineError
from tianjing.records import Message

CONFIG = EvalConfig(concurrency=4, tries=3)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.retry.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("evals.runner.health.PAUSE_S", 0.01)
    monkeypatch.setattr("evals.runner.health.SILENT_S", 0.1)


def make_requests(count: int, temperature: float = 0.0, concurrency: int | None = None) -> list[Request]:
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
            concurrency=concurrency,
        )
        for number in range(count)
    ]


def ask(
    requests: list[Request],
    endpoint: Endpoint | Any,
    path: Path,
    config: EvalConfig = CONFIG,
    timeout_s: float = 5,
    on_attempt: Any = lambda failure: None,
) -> list[RawAttempt]:
    """What `eval run` does for one arm: ask what is left, then read all back."""

    async def go(backend: Any) -> None:
        finished = finished_keys(path)
        with Journal(path) as journal:
            target = Target("base", "digest", "tianjing", backend, journal, finished, requests)
            await Pool(config, on_attempt).run(((target, r) for r in requests), fixed(config.concurrency))

    async def connected() -> None:
        async with ChatClient(endpoint.base_url, "k", timeout_s) as client:
            await go(client)

    asyncio.run(connected() if isinstance(endpoint, Endpoint) else go(endpoint))
    known = load_attempts(path)
    return [known[request.key("digest")] for request in requests]


def test_every_sampling_parameter_is_sent(endpoint: Endpoint, tmp_path: Path) -> None:
    ask(make_requests(2, temperature=0.7), endpoint, tmp_path / "a.jsonl")
    neutral = {"n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    further = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
    for payload in endpoint.payloads:
        assert payload["model"] == "tianjing"
        assert (payload["temperature"], payload["top_p"], payload["max_tokens"]) == (0.7, 0.9, 8)
        assert payload.items() >= {**neutral, **further}.items()
    assert sorted(payload["seed"] for payload in endpoint.payloads) == [0, 1]
    endpoint.payloads.clear()
    ask([replace(request, parameters="openai") for request in make_requests(2)], endpoint, tmp_path / "b.jsonl")
    assert len(endpoint.payloads) == 2
    for payload in endpoint.payloads:
        assert payload.items() >= neutral.items() and not further.keys() & payload.keys()


def test_a_killed_run_goes_on_without_repeating_finished_requests(endpoint: Endpoint, tmp_path: Path) -> None:
    requests, path = make_requests(60), tmp_path / "attempts.jsonl"

    class Killed(BaseException):
        """Stands for a kill: nothing in the runner catches it."""

    def die(failure: object) -> None:
        if len(path.read_text().splitlines()) >= 25:
            raise Killed

    with pytest.raises(Killed):
        ask(requests, endpoint, path, on_attempt=die)
    with open(path, "a") as stream:
        stream.write('{"key": "torn off in the mid')
    finished = {attempt.seed for attempt in load_attempts(path).values()}
    assert 25 <= len(finished) < 60
    endpoint.payloads.clear()
    answers = ask(requests, endpoint, path)
    assert {payload["seed"] for payload in endpoint.payloads} == {r.seed for r in requests} - finished
    assert len(endpoint.payloads) == 60 - len(finished)
    assert [a.seed for a in answers] == [r.seed for r in requests] and not any(a.error for a in answers)
    endpoint.payloads.clear()
    ask(requests, endpoint, path)
    assert endpoint.payloads == [], "a finished run asks nothing"


def test_an_answer_is_in_the_file_at_once(tmp_path: Path) -> None:
    """A kill of the process takes at most what came in the same turn of the event loop."""

    async def go() -> None:
        journal = Journal(tmp_path / "a.jsonl")
        journal.add("{}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (tmp_path / "a.jsonl").read_text() == "{}\n", "without close or flush"
        journal.close()

    asyncio.run(go())


def test_half_a_character_spoils_neither_its_row_nor_those_behind_it(tmp_path: Path, endpoint: Endpoint) -> None:
    """A model that ends in the middle of an emoji gives a lone surrogate, which JSON can escape and UTF-8 cannot."""
    endpoint.reply = lambda payload: "好\ud83d" if payload["messages"][-1]["content"] == "问题1" else "好"
    answers = ask(make_requests(8), endpoint, tmp_path / "a.jsonl")
    assert len(answers) == 8 and not any(answer.error for answer in answers)
    assert {answer.output for answer in answers} == {"好", "好?"}


def test_other_sampling_parameters_are_another_request() -> None:
    (request,) = make_requests(1)
    assert request.key("m") != replace(request, parameters="openai").key("m")


@pytest.mark.parametrize("size", [10, 70_000, 140_000])
def test_a_torn_tail_of_any_length_is_cut(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + b"x" * size)
    cut_torn_line(path)
    assert path.read_bytes() == b'{"a":1}\n'
    path.write_bytes(b"x" * size)
    cut_torn_line(path)
    assert path.read_bytes() == b""


def test_zeros_of_a_power_cut_cost_only_their_own_requests(endpoint: Endpoint, tmp_path: Path) -> None:
    requests, path = make_requests(6), tmp_path / "a.jsonl"
    ask(requests, endpoint, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0" * 100 + b"\n", *lines[3:]]))
    endpoint.payloads.clear()
    assert len(ask(requests, endpoint, path)) == 6 and len(endpoint.payloads) == 1


def test_a_full_disk_ends_the_run_with_a_clear_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(EvalError, match="cannot be written: No space left"):
        asyncio.run(_write_to_full_disk())


async def _write_to_full_disk() -> None:
    journal = Journal(Path("/dev/full"))
    try:
        journal.add("{}")
        await asyncio.sleep(0.01)
        journal.add("{}")
    finally:
        journal._rows.clear()


def test_another_model_prompt_or_concurrency_is_asked_anew() -> None:
    first, second = make_requests(2)
    keys = {
        first.key("digest"),
        second.key("digest"),
        first.key("another digest"),
        make_requests(1, concurrency=8)[0].key("digest"),
        make_requests(1, temperature=0.5)[0].key("digest"),
    }
    assert len(keys) == 5
    assert first.key("digest") == make_requests(1)[0].key("digest")


def test_transient_errors_are_tried_again(endpoint: Endpoint, tmp_path: Path) -> None:
    seen: Counter[int] = Counter()

    def reply(payload: dict[str, Any]) -> str | int:
        seen[payload["seed"]] += 1
        return 503 if seen[payload["seed"]] < 3 else "ok"

    endpoint.reply = reply
    answers = ask(make_requests(6), endpoint, tmp_path / "a.jsonl")
    assert [(a.output, a.tries, a.error) for a in answers] == [("ok", 3, None)] * 6


def test_a_rate_limit_does_not_use_up_the_tries(endpoint: Endpoint, tmp_path: Path) -> None:
    seen: Counter[int] = Counter()

    def reply(payload: dict[str, Any]) -> str | int:
        seen[payload["seed"]] += 1
        return 429 if seen[payload["seed"]] < 8 else "ok"

    endpoint.reply = reply
    assert [(a.output, a.tries) for a in ask(make_requests(3), endpoint, tmp_path / "a.jsonl")] == [("ok", 8)] * 3


def test_errors_are_kept_and_asked_again_only_by_the_next_run(endpoint: Endpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    endpoint.reply = lambda payload: 400 if payload["seed"] == 3 else 503 if payload["seed"] == 5 else "ok"
    answers = ask(make_requests(8), endpoint, path)
    assert len(answers) == 8, "an error does not leave the denominator"
    assert [a.seed for a in answers if a.error] == [3, 5]
    assert [a.tries for a in answers if a.error] == [1, 3], "a refusal is final, an overload is not"
    assert [a.error_kind for a in answers if a.error] == ["refused", "server"]
    assert "HTTP 400" in str(answers[3].error)
    endpoint.payloads.clear()
    endpoint.reply = lambda payload: "ok"
    assert not any(a.error for a in ask(make_requests(8), endpoint, path))
    assert sorted(payload["seed"] for payload in endpoint.payloads) == [3, 5]


def test_half_of_the_requests_failing_does_not_stop_the_run(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda payload: 500 if payload["seed"] % 2 else "ok"
    answers = ask(make_requests(40), endpoint, tmp_path / "a.jsonl")
    assert [a.error_kind for a in answers] == [None, "server"] * 20


class Played:
    """A backend whose answers a test decides."""

    def __init__(self, answer: Any):
        self.answer, self.in_flight, self.most = answer, 0, 0

    async def chat(self, request: ChatRequest) -> Completion:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            return await self.answer(request)
        finally:
            self.in_flight -= 1


async def later(request: ChatRequest) -> Completion:
    await asyncio.sleep(0.002)
    return Completion("ok", "stop", 3, 1, 0.002, cached_tokens=2)


def test_both_arms_may_be_asked_the_same_request_at_the_same_time(tmp_path: Path) -> None:
    requests, played = make_requests(4), Played(later)

    async def go() -> None:
        with Journal(tmp_path / "base") as base, Journal(tmp_path / "tuned") as tuned:
            arms = [Target("base", "b", "b", played, base), Target("tuned", "t", "t", played, tuned)]
            await Pool(CONFIG).run(((arm, request) for arm in arms for request in requests), fixed(8))

    asyncio.run(go())
    assert [len(load_attempts(tmp_path / arm)) for arm in ("base", "tuned")] == [4, 4]


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_demanded_concurrency_is_kept(tmp_path: Path, width: int) -> None:
    played = Played(later)
    ask(make_requests(40), played, tmp_path / "a.jsonl", CONFIG.model_copy(update={"concurrency": width}))
    assert played.most == width


def test_a_server_that_hangs_past_every_timeout_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.runner.pool.WATCH_EVERY_S", 0.02)
    monkeypatch.setattr("evals.runner.pool.SAY_STALLED_AFTER_S", 0.1)

    async def never(request: ChatRequest) -> Completion:
        await asyncio.sleep(60)
        raise AssertionError

    began = time.monotonic()
    with pytest.raises(EvalError, match=r"no answer for .* with 4 requests in flight: the endpoint hangs"):
        ask(make_requests(9), Played(never), tmp_path / "a.jsonl", CONFIG.model_copy(update={"request_timeout_s": 0.1}))
    assert time.monotonic() - began < 5


def test_a_timeout_is_tried_once_more(tmp_path: Path) -> None:
    async def slow(request: ChatRequest) -> Completion:
        raise EngineError("no answer within 5 s", transient=True, kind="timeout")

    answers = ask(make_requests(2), Played(slow), tmp_path / "a.jsonl", CONFIG.model_copy(update={"tries": 9}))
    assert [(a.tries, a.error_kind) for a in answers] == [(2, "timeout")] * 2


@pytest.mark.parametrize(
    ("text", "reason", "output"),
    [("答案", "stop", "<think>想想</think>答案"), ("", "length", "<think>想想"), ("", "stop", "<think>想想</think>")],
)
def test_a_thought_that_a_server_cut_off_stays_in_the_evidence(
    tmp_path: Path, text: str, reason: str, output: str
) -> None:
    async def think(request: ChatRequest) -> Completion:
        return Completion(text, reason, 3, 5, 0.01, reasoning="想想")

    (answer,) = ask(make_requests(1), Played(think), tmp_path / "a.jsonl")
    assert (answer.output, answer.finish_reason) == (output, reason)


def test_cached_tokens_and_time_to_first_token_are_kept(tmp_path: Path) -> None:
    async def told(request: ChatRequest) -> Completion:
        assert request.stream
        return Completion("ok", "stop", 9, 1, 0.5, cached_tokens=8, first_token_s=0.25)

    config = CONFIG.model_copy(update={"measure_ttft": True})
    (answer,) = ask(make_requests(1), Played(told), tmp_path / "a.jsonl", config)
    assert (answer.cached_tokens, answer.first_token_s, answer.latency_s) == (8, 0.25, 0.5)


def test_nothing_is_held_but_what_is_in_flight(tmp_path: Path) -> None:
    """Requests are made when a worker takes them."""
    taken = asked = 0

    async def count(request: ChatRequest) -> Completion:
        nonlocal asked
        asked += 1
        assert taken - asked <= 4
        await asyncio.sleep(0)
        return Completion("ok", "stop", 3, 1, 0.01)

    def lazily() -> Any:
        nonlocal taken
        for request in make_requests(200):
            taken += 1
            yield request

    ask_lazily(lazily(), Played(count), tmp_path / "a.jsonl")
    assert taken == asked == 200


def ask_lazily(requests: Any, backend: Played, path: Path) -> None:
    async def go() -> None:
        with Journal(path) as journal:
            target = Target("base", "digest", "tianjing", backend, journal)
            await Pool(CONFIG).run(((target, request) for request in requests), fixed(4))

    asyncio.run(go())


def test_the_cache_gives_back_answers_and_never_errors(endpoint: Endpoint, tmp_path: Path) -> None:
    requests = make_requests(6)
    endpoint.reply = lambda payload: 400 if payload["seed"] == 3 else f"答{payload['seed']}"
    cache = Cache(tmp_path / "cache")
    cache.put(ask(requests, endpoint, tmp_path / "a.jsonl"))
    cache.close()
    cache = Cache(tmp_path / "cache")
    found = [cache.get(request.key("digest"), "tuned", request) for request in requests]
    assert found[3] is None
    assert [(a.output, a.reused, a.arm, a.error) for a in found if a] == [
        (f"答{n}", True, "tuned", None) for n in (0, 1, 2, 4, 5)
    ]
    assert cache.get(requests[0].key("another model"), "tuned", requests[0]) is None
    row = json.loads(found[0].model_dump_json(exclude_defaults=True))  # type: ignore[union-attr]
    assert RawAttempt.model_validate(row) == found[0]


def attempts(texts: list[list[str]]) -> list[RawAttempt]:
    return [
        RawAttempt(
            key=f"{item}-{repeat}", item=f"i{item}", task="t", arm="base", condition=SAMPLED, repeat=repeat, prompt="p",
            seed=repeat, temperature=0.7, output=text,
        )
        for item, row in enumerate(texts)
        for repeat, text in enumerate(row)
    ]  # fmt: skip


def test_copies_are_counted_only_where_every_repeated_item_has_nothing_else() -> None:
    assert copied_repeats(attempts([["a", "a"], ["b", "b"], ["c", "c"]])) == 3
    assert copied_repeats(attempts([["a", "a"], ["b", "b"], ["c", "d"]])) == 0
    assert copied_repeats(attempts([["a"], ["b"]])) == 0
    greedy = [a.model_copy(update={"temperature": 0.0}) for a in attempts([["a", "a"], ["b", "b"]])]
    assert copied_repeats(greedy) == copied_repeats([]) == 0
