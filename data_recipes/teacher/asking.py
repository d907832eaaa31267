"""Ask an endpoint, and keep every answer on disk at once: a killed run goes on where it stopped.

An answer's key is a digest of the whole request (model, messages, schema, sampling), so a changed prompt is asked anew
and an unchanged one never twice. What got no answer is never an empty one: it is an error.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from data_recipes.errors import DataError
from data_recipes.teacher.config import TeacherConfig
from tianjing.config import StrictModel
from tianjing.engine import ChatClient, ChatRequest, EngineError
from tianjing.errors import EXIT_STAGE_FAILED
from tianjing.files import canonical_json, read_journal, sha256_bytes
from tianjing.workers import run_workers

GIVE_UP_AFTER = 3
"""Requests in a row that got no answer, each sent `sends` times: the rest would get none either."""

OnAnswer = Callable[[int, int], None]
"""Called with (answered, all)."""


class Answer(StrictModel):
    """One line of the answers file."""

    key: str
    text: str
    finish_reason: str
    """As the endpoint gave it; `unreadable` where what came was no chat completion (and is asked again next time)."""


@dataclass
class _State:
    """What the concurrent tasks share. Requests given up in a row, without an answer between, tell a dead endpoint."""

    queue: list[ChatRequest]
    total: int
    answers: dict[str, Answer]
    stream: IO[str]
    answered: int = 0
    given_up_in_a_row: int = 0


def request_key(request: ChatRequest) -> str:
    """SHA-256 of the canonical JSON of the request body, as 64 hex digits."""
    return sha256_bytes(canonical_json(request.payload()).encode())


def ask_all(
    requests: Sequence[ChatRequest], config: TeacherConfig, path: Path, on_answer: OnAnswer = lambda done, all_: None
) -> dict[str, Answer]:
    """Answers by `request_key`, from the answers file `path` where they stand there, else from the endpoint.

    Raises:
        DataError: the endpoint is not there, refuses, or left a request without an answer after `config.sends`
            sendings; the answers that came are kept, and the same command asks only for the rest.
    """
    answers = {answer.key: answer for answer in read_journal(path, Answer)}
    missing = list(
        {request_key(request): request for request in requests if request_key(request) not in answers}.values()
    )
    if missing:
        key = config.api_key()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8", newline="\n") as stream:
            state = _State(missing[::-1], len(missing), answers, stream)
            asyncio.run(_ask(state, config, key, on_answer))
    return answers


async def _ask(state: _State, config: TeacherConfig, key: str, on_answer: OnAnswer) -> None:
    async with ChatClient(config.base_url, key, config.timeout_s) as client:
        errors_of = await run_workers(
            min(config.concurrency, state.total), lambda: _work(state, client, config, on_answer)
        )
    unanswered = [error for errors in errors_of for error in errors]
    if unanswered:
        raise _no_answer(
            f"{len(unanswered)} of {state.total} requests got no answer; the last: {unanswered[-1].message}"
        )


async def _work(state: _State, client: ChatClient, config: TeacherConfig, on_answer: OnAnswer) -> list[EngineError]:
    """Take requests until there are none; returns the errors of those that got no answer."""
    unanswered: list[EngineError] = []
    while state.queue:
        request = state.queue.pop()
        try:
            answer = await _send(request, client, config)
        except EngineError as error:
            state.given_up_in_a_row += 1
            if state.given_up_in_a_row == GIVE_UP_AFTER:
                raise _no_answer(f"the endpoint does not answer: {error.message}") from None
            unanswered.append(error)
            continue
        state.answered += 1
        state.given_up_in_a_row = 0
        state.answers[answer.key] = answer
        if answer.finish_reason != "unreadable":
            state.stream.write(json.dumps(answer.model_dump(), ensure_ascii=False) + "\n")
            state.stream.flush()
        on_answer(state.answered, state.total)
    return unanswered


async def _send(request: ChatRequest, client: ChatClient, config: TeacherConfig) -> Answer:
    """One request until it is answered.

    Raises:
        EngineError: no answer after the last sending.
        DataError: the endpoint refuses it for good: a wrong key, an unknown model, no structured output.
    """
    key, pause_s = request_key(request), config.backoff_s
    for number in range(1, config.sends + 1):
        try:
            completion = await client.chat(request)
            return Answer(key=key, text=completion.text, finish_reason=completion.finish_reason)
        except EngineError as error:
            if error.status is None and not error.transient:
                return Answer(key=key, text=error.message, finish_reason="unreadable")
            if not error.transient:
                raise DataError(
                    f"teacher: the endpoint refuses: {error.message}",
                    "check base_url, model and the key; the endpoint must serve chat completions with "
                    "response_format json_schema (structured output)",
                    EXIT_STAGE_FAILED,
                ) from None
            if number == config.sends:
                raise
        await asyncio.sleep(pause_s)
        pause_s *= 2
    raise AssertionError("sends is at least 1")


def _no_answer(message: str) -> DataError:
    return DataError(
        f"teacher: {message}",
        "see that the endpoint runs, or raise timeout_s, or lower concurrency; then give the same command again: "
        "what was answered is kept",
        EXIT_STAGE_FAILED,
    )
