"""Ask the judge and keep every verdict on disk at once; a killed run goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from evals.errors import EvalError
from evals.judge.config import JudgeConfig
from evals.judge.verdicts import Ask, StoredVerdict, read_verdict
from tianjing.engine import ChatClient, ChatRequest, EngineError
from tianjing.files import read_journal
from tianjing.workers import run_workers

_FIRST_PAUSE_S = 0.5
# Failures in a row, none of them one request's own fault, that mean the endpoint is gone.
_GIVE_UP_AFTER = 20


def ask_all(
    asks: Sequence[Ask], config: JudgeConfig, journal: Path, on_answer: Callable[[], None] = lambda: None
) -> list[StoredVerdict]:
    """The verdicts of `asks` in their order, from `journal` as far as they are there.

    Raises:
        EvalError: the key's variable is not set, or the endpoint stopped answering; what came before is kept.
    """
    known = {verdict.key: verdict for verdict in read_journal(journal, StoredVerdict)}
    left = [ask for ask in asks if (found := known.get(ask.key(config))) is None or found.error is not None]
    if left:
        journal.parent.mkdir(parents=True, exist_ok=True)
        asyncio.run(_ask(left, config, journal, on_answer))
        known = {verdict.key: verdict for verdict in read_journal(journal, StoredVerdict)}
    # Read anew, so that a verdict is judged by the rules of today, whenever it was asked.
    return [_read(known[ask.key(config)], ask, config) for ask in asks]


def _read(stored: StoredVerdict, ask: Ask, config: JudgeConfig) -> StoredVerdict:
    if stored.error is not None:
        return stored.model_copy(update={"verdict": None, "evidence": "", "rule": "error"})
    verdict, evidence, rule = read_verdict(stored.output, ask.answers, config)
    return stored.model_copy(update={"verdict": verdict, "evidence": evidence, "rule": rule})


async def _ask(asks: Sequence[Ask], config: JudgeConfig, journal: Path, on_answer: Callable[[], None]) -> None:
    key = os.environ.get(config.api_key_env, "") if config.api_key_env else "none"
    if not key:
        raise EvalError(f"{config.api_key_env} is not set", "export the judge's key under the name in `api_key_env`")
    queue = iter(asks)
    with open(journal, "a", encoding="utf-8") as stream:
        async with ChatClient(config.endpoint, key, config.request_timeout_s) as client:
            pool = _Pool(client, config, stream, on_answer)
            await run_workers(min(config.concurrency, len(asks)), lambda: pool.work(queue))


class _Pool:
    """What the workers share: client, open journal and the failures in a row."""

    def __init__(self, client: ChatClient, config: JudgeConfig, stream: IO[str], on_answer: Callable[[], None]):
        self._client, self._config, self._stream, self._on_answer = client, config, stream, on_answer
        self._failures = 0

    async def work(self, queue: Iterator[Ask]) -> None:
        for ask in queue:
            verdict = await self._verdict(ask)
            self._stream.write(json.dumps(verdict.model_dump(mode="json"), ensure_ascii=False) + "\n")
            self._stream.flush()
            self._on_answer()

    async def _verdict(self, ask: Ask) -> StoredVerdict:
        config = self._config
        blank = StoredVerdict(
            key=ask.key(config),
            subject=ask.subject,
            arm=ask.arm,
            order=ask.order,
            repeat=ask.repeat,
            seed=ask.seed(config),
        )
        request = ChatRequest(config.model, ask.messages, config.max_tokens, config.temperature, 1.0, seed=blank.seed)
        began, pause_s = time.monotonic(), _FIRST_PAUSE_S
        for number in range(1, config.tries + 1):
            try:
                answer = await self._client.chat(request)
            except EngineError as error:
                self._note(error)
                if not error.transient or number == config.tries:
                    spent_s = round(time.monotonic() - began, 3)
                    return blank.model_copy(update={"error": error.message, "latency_s": spent_s})
                await asyncio.sleep(pause_s)
                pause_s *= 2
                continue
            self._failures = 0
            return blank.model_copy(
                update={
                    "output": answer.text,
                    "finish_reason": answer.finish_reason,
                    "latency_s": round(answer.latency_s, 3),
                }
            )
        raise AssertionError("tries is at least 1")

    def _note(self, error: EngineError) -> None:
        if error.status is not None and not error.transient:
            return
        self._failures += 1
        if self._failures >= max(_GIVE_UP_AFTER, 2 * self._config.concurrency):
            raise EvalError(
                f"the judge stopped answering ({self._failures} failures in a row; last: {error.message})",
                "see to its endpoint, then give the same command again: verdicts that came are kept",
            )
