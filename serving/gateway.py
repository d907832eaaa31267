"""One request from end to end: check, hand off or guard, ask the engine, guard the answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving import handoff
from serving.cases import Case, CaseQueue
from serving.config import ServeConfig
from serving.errors import ApiError
from serving.guard import REFUSAL, GuardFailure, RequestGuard
from serving.protocol import ChatCall, choice, completion
from serving.stream import NO_USAGE, GuardedStream, whole_stream
from serving.upstream import Upstream
from tianjing.records import Message

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What goes back: `body` for a whole answer, `events` for a stream; `verdict` as known when the answer begins."""

    verdict: str
    body: dict[str, Any] | None = None
    events: AsyncGenerator[bytes, None] | None = None


@dataclass
class Gateway:
    """Everything a request needs. `guards` makes the guard of one request."""

    config: ServeConfig
    upstream: Upstream
    queue: CaseQueue
    guards: Callable[[], RequestGuard]

    async def chat(self, call: ChatCall) -> Answer:
        """Answer a checked request.

        Raises:
            ApiError: the engine refuses or cannot be reached, or a case cannot be stored.
        """
        guard = self.guards()
        identity = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.config.served_name,
        }
        spoken = [message.content for message in call.messages if message.role == "user"]
        try:
            messages = guard.admit(call.messages)
            signals = handoff.detect(spoken[-1], call.task) if spoken else ()
        except Exception as error:  # whatever broke, the model does not see the text
            _log.error("guard failed on a request: %s", type(error).__name__)
            guard.block("guard_error")
            return _ready_made(identity, call, REFUSAL, guard.report())
        if signals:
            return await self._hand_off(identity, call, guard, messages, signals)
        payload = call.payload(self.config.served_name, messages)
        if call.stream:
            return await self._stream(identity, call, guard, payload)
        return await self._whole(identity, call, guard, payload)

    async def _whole(
        self, identity: dict[str, Any], call: ChatCall, guard: RequestGuard, payload: dict[str, Any]
    ) -> Answer:
        answer = await self.upstream.chat(payload)
        try:
            choices = [_guarded(guard, item) for item in answer["choices"][: call.choices]]
        except GuardFailure as error:
            _log.error("guard failed on an answer: %s", error)
            guard.block("guard_error")
            choices = [choice(index, REFUSAL, "content_filter") for index in range(call.choices)]
        except (KeyError, TypeError, AttributeError):
            raise ApiError(502, "the engine's answer cannot be read", code="engine_failed") from None
        report = guard.report()
        return Answer(report["verdict"], body=completion(identity, choices, answer.get("usage"), report))

    async def _stream(
        self, identity: dict[str, Any], call: ChatCall, guard: RequestGuard, payload: dict[str, Any]
    ) -> Answer:
        filtered = GuardedStream(guard, identity, call.choices, call.include_usage)
        events = self._events(filtered, payload)
        # Awaited here, so that an engine that refuses is answered with an HTTP status instead of an event.
        accepted = await anext(events)
        assert accepted == b""
        return Answer(guard.report()["verdict"], events=events)

    async def _events(self, filtered: GuardedStream, payload: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """An empty piece once the engine has accepted, then events; closing it early stops the engine's work."""
        async with self.upstream.stream(payload) as pieces:
            yield b""
            try:
                async for piece in pieces:
                    if sent := filtered.feed(piece):
                        yield sent
                    if filtered.done:
                        return
                yield filtered.close()
            except ApiError as error:
                yield filtered.close(error.message)

    async def _hand_off(
        self,
        identity: dict[str, Any],
        call: ChatCall,
        guard: RequestGuard,
        messages: tuple[Message, ...],
        signals: tuple[handoff.Signal, ...],
    ) -> Answer:
        now = datetime.now(UTC)
        reasons = tuple(signal.kind for signal in signals)
        text = next(message.content for message in reversed(messages) if message.role == "user")
        case = Case(f"H{now:%Y%m%d}-{secrets.token_hex(4)}", now.isoformat(timespec="milliseconds"), reasons, text)
        try:
            await asyncio.to_thread(self.queue.add, case)
        except (sqlite3.Error, OSError) as error:
            # Nobody may be told that a person will call when no person will know.
            _log.error("a hand-off could not be stored: %s", error)
            raise ApiError(503, "the case could not be recorded; try again", code="handoff_failed") from None
        report = {**guard.report(), "verdict": "handoff", "reasons": list(reasons), "case_id": case.id}
        return _ready_made(identity, call, handoff.reply(signals, case.id), report)


def _guarded(guard: RequestGuard, item: dict[str, Any]) -> dict[str, Any]:
    outlet = guard.outlet(item["index"])
    content = outlet.push(item["message"].get("content") or "") + outlet.finish()
    if outlet.ended:
        return choice(item["index"], content or REFUSAL, "content_filter")
    return choice(item["index"], content, item.get("finish_reason"))


def _ready_made(identity: dict[str, Any], call: ChatCall, text: str, report: dict[str, Any]) -> Answer:
    """An answer that no model gave."""
    verdict = report["verdict"]
    if call.stream:
        return Answer(verdict, events=_once(whole_stream(identity, text, report, call.include_usage)))
    finish_reason = "content_filter" if verdict == "block" else "stop"
    return Answer(verdict, body=completion(identity, [choice(0, text, finish_reason)], NO_USAGE, report))


async def _once(piece: bytes) -> AsyncGenerator[bytes, None]:
    yield piece
