"""A fixed number of workers that take requests from one iterator, ask, try again, and write down what came.

Nothing is held but what is in flight: requests are made when a worker takes them, and an answer is a line on disk
before the next one is asked for. So memory does not grow with the run.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import Arm, Request
from evals.runner import retry
from evals.runner.health import Health
from evals.runner.journal import short_key
from evals.runner.pace import Pace
from evals.runner.target import Target
from tianjing.engine import Completion, EngineError
from tianjing.engine.errors import FailureKind

WATCH_EVERY_S = 1.0
SAY_STALLED_AFTER_S = 60.0
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Failure = FailureKind | None
OnAttempt = Callable[[Failure], None]


@dataclass
class _Watch:
    """What the workers share."""

    started: dict[object, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    """When it was last known that requests are in flight."""
    said: float = field(default_factory=time.monotonic)


class Pool:
    """Asks requests of their targets.

    Args:
        on_attempt: called for each finished request with the kind of its failure, None for an answer.
    """

    def __init__(self, config: EvalConfig, on_attempt: OnAttempt = lambda failure: None):
        self._config, self._on_attempt = config, on_attempt
        self._stalled_after_s = 2 * config.request_timeout_s + SAY_STALLED_AFTER_S
        self._health: dict[Arm, Health] = {}

    async def run(self, jobs: Iterable[tuple[Target, Request]], pace: Pace) -> None:
        """Ask all jobs that are not finished, in their order, at `pace`.

        Raises:
            EvalError: the endpoint stopped answering, or answers nothing; what came before is kept.
        """
        queue, watch = iter(jobs), _Watch()
        workers = [asyncio.create_task(self._work(queue, pace, watch)) for _ in range(pace.highest)]
        tasks = [*workers, asyncio.create_task(self._watch(pace, watch))]
        try:
            waiting: set[asyncio.Task[None]] = set(workers)
            while waiting:
                done, _ = await asyncio.wait({*waiting, tasks[-1]}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a worker's or the watch's error ends the run
                waiting -= done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, queue: Iterator[tuple[Target, Request]], pace: Pace, watch: _Watch) -> None:
        for target, request in queue:
            key = request.key(target.identity)
            if short_key(key) in target.finished:
                continue
            await self._attempt(target, request, key, pace, watch)

    async def _attempt(self, target: Target, request: Request, key: str, pace: Pace, watch: _Watch) -> None:
        """Send one request until it is answered, refused for good, or out of tries."""
        health = self._health_of(target)
        began, waited_s, tries = time.monotonic(), 0.0, 0
        while True:
            tries += 1
            if health.checking:
                await health.checked()
            await pace.enter()
            sent = object()  # not the request: that of one arm may be that of the other
            watch.started[sent] = time.monotonic()
            failure: Failure = "connection"
            retry_after_s = None
            try:
                completion = await target.ask(request, self._config.measure_ttft)
                failure = None
                break
            except EngineError as error:
                failure, retry_after_s = error.kind or "server", error.retry_after_s
                await health.failed(error, failure, pace.limit)
                pause_s = retry.pause_s(error, tries, self._config.tries, waited_s)
                if pause_s is None:
                    self._fail(target, request, key, tries, began, error, failure)
                    return
            finally:
                del watch.started[sent]
                pace.leave(failure, retry_after_s)
            waited_s += pause_s
            await asyncio.sleep(pause_s)
        health.answered()
        row = _identity(target, request, key, tries)
        row["output"] = with_reasoning(completion)
        row["finish_reason"] = completion.finish_reason
        row["latency_s"] = round(completion.latency_s, 4)
        row["prompt_tokens"] = completion.prompt_tokens
        row["output_tokens"] = completion.completion_tokens
        if completion.model and completion.model != target.model:
            row["served"] = completion.model
        if completion.cached_tokens:
            row["cached_tokens"] = completion.cached_tokens
        if completion.first_token_s is not None:
            row["first_token_s"] = round(completion.first_token_s, 4)
        target.journal.add(_encode(row))
        self._on_attempt(None)

    def _fail(
        self,
        target: Target,
        request: Request,
        key: str,
        tries: int,
        began: float,
        error: EngineError,
        kind: FailureKind,
    ) -> None:
        row = _identity(target, request, key, tries)
        row |= {"latency_s": round(time.monotonic() - began, 4), "error": error.message, "error_kind": kind}
        target.journal.add(_encode(row))
        self._on_attempt(kind)

    def _health_of(self, target: Target) -> Health:
        health = self._health.get(target.arm)
        if health is None:
            health = Health(target, self._config.measure_ttft, self._config.request_timeout_s)
            self._health[target.arm] = health
        return health

    async def _watch(self, pace: Pace, watch: _Watch) -> None:
        """Say when nothing comes, and end a run whose requests outlive even their own timeout."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now = time.monotonic()
            arms = self._health.values()
            if any(health.checking for health in arms):
                continue  # the check ends by itself
            silent_s = now - max([watch.began, *(health.last_sign for health in arms)])
            if not watch.started:
                watch.began = max(watch.began, now - SAY_STALLED_AFTER_S)
                continue
            if silent_s > self._stalled_after_s:
                raise EvalError(
                    f"no answer for {silent_s:.0f} s with {pace.in_flight} requests in flight: the endpoint hangs",
                    "look at the endpoint, then give the same command again: answered requests are kept",
                )
            if silent_s > SAY_STALLED_AFTER_S and now - watch.said > SAY_STALLED_AFTER_S:
                watch.said = now
                oldest_s = now - min(watch.started.values())
                print(
                    f"no answer for {silent_s:.0f} s: {len(watch.started)} requests in flight, the oldest for "
                    f"{oldest_s:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )


def with_reasoning(completion: Completion) -> str:
    """The raw output as the model wrote it, where a server's reasoning parser cut it in two.

    A thought without an answer after it stays open: the model ran out of tokens, and nothing was answered.
    """
    if not completion.reasoning:
        return completion.text
    close = "</think>" if completion.text or completion.finish_reason != "length" else ""
    return f"<think>{completion.reasoning}{close}{completion.text}"


def _identity(target: Target, request: Request, key: str, tries: int) -> dict[str, Any]:
    """The row of an attempt before its outcome, in the fields of `RawAttempt`; what equals their defaults is left out.

    A plain dict: a pydantic model made and dumped for each answer would cost more than the request itself.
    """
    row: dict[str, Any] = {
        "key": key,
        "item": request.item,
        "task": request.task,
        "arm": target.arm,
        "condition": request.condition,
        "repeat": request.repeat,
        "prompt": request.prompt_digest,
        "seed": request.seed,
        "temperature": request.temperature,
    }
    if tries > 1:
        row["tries"] = tries
    if request.concurrency is not None:
        row["concurrency"] = request.concurrency
    return row
