"""The engine's event stream, guarded: bytes in, bytes out, no I/O.

Only what is known to be safe is copied over: role, content, finish reason, usage. Anything else an engine may put
into a chunk (reasoning, tool calls, token ids) would pass around the guard and is left out.
"""

from __future__ import annotations

import json
from typing import Any

from serving.errors import ApiError
from serving.guard import REFUSAL, GuardFailure, Outlet, RequestGuard
from serving.protocol import chunk, delta
from serving.sse import DONE, EventReader, event


class GuardedStream:
    """`feed` the engine's bytes and send what it returns, until `done`; then `close` when the engine ended early."""

    def __init__(self, guard: RequestGuard, identity: dict[str, Any], choices: int, include_usage: bool):
        self.done = False
        self._guard = guard
        self._identity = identity
        self._include_usage = include_usage
        self._reader = EventReader()
        self._outlets: dict[int, Outlet] = {index: guard.outlet(index) for index in range(choices)}
        self._started: set[int] = set()
        self._cut = False

    def feed(self, data: bytes) -> bytes:
        """Events that may go to the caller now."""
        sent = b""
        for payload in self._reader.feed(data):
            if self.done:
                break
            try:
                sent += self._event(payload)
            except GuardFailure:
                sent += self._refuse()
        return sent

    def close(self, reason: str = "the engine ended in the middle of the answer") -> bytes:
        """The end of a stream that the engine did not end itself: held text is dropped, the caller gets an error."""
        if self.done:
            return b""
        self.done = True
        return event(ApiError(502, reason, code="engine_failed").body()) + DONE

    def _event(self, payload: str) -> bytes:
        if payload == "[DONE]":
            self.done = True
            left = [self._choice({"index": index, "finish_reason": "stop"}) for index in list(self._outlets)]
            return b"".join(left) + DONE
        try:
            value = json.loads(payload)
            if "error" in value:
                return self.close("the engine failed in the middle of the answer")
            sent = b"".join(self._choice(item) for item in value["choices"])
            usage = value.get("usage") if self._include_usage and not value["choices"] else None
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.close("the engine's answer cannot be read")
        if self._cut:
            self.done = True
            return sent + DONE
        return sent + (event(chunk(self._identity, [], usage=usage)) if usage else b"")

    def _choice(self, item: dict[str, Any]) -> bytes:
        index, finish_reason = item["index"], item.get("finish_reason")
        outlet = self._outlets.get(index)
        if outlet is None:
            return b""  # a choice that nobody asked for, or one that has ended
        released = outlet.push(item.get("delta", {}).get("content") or "")
        if finish_reason and not outlet.ended:
            released += outlet.finish()
        if outlet.ended:  # a rule was broken: what may go out has gone out, the rest is never sent
            finish_reason = "content_filter"
            released += REFUSAL if not outlet.released_chars else ""
        if finish_reason:
            del self._outlets[index]
            # Nobody is left to write for: the end of this stream stops the engine.
            self._cut = outlet.ended and not self._outlets
        first = index not in self._started
        self._started.add(index)
        sent = event(chunk(self._identity, [delta(index, "", role=True)])) if first else b""
        if released:
            sent += event(chunk(self._identity, [delta(index, released)]))
        if finish_reason:
            last = delta(index, None, finish_reason)
            sent += event(chunk(self._identity, [last], tianjing=self._guard.report()))
        return sent

    def _refuse(self) -> bytes:
        """Fail closed: every open choice ends with the refusal, and what was held is never released."""
        self.done = True
        self._guard.block("guard_error")
        sent = b""
        for index in self._outlets:
            parts = [delta(index, REFUSAL, role=index not in self._started), delta(index, None, "content_filter")]
            sent += event(chunk(self._identity, parts[:1]))
            sent += event(chunk(self._identity, parts[1:], tianjing=self._guard.report()))
        return sent + DONE


def whole_stream(identity: dict[str, Any], text: str, tianjing: dict[str, Any], include_usage: bool) -> bytes:
    """The events of an answer that is known from the start: a hand-off, or a refusal."""
    reason = "content_filter" if tianjing["verdict"] == "block" else "stop"
    sent = event(chunk(identity, [delta(0, text, role=True)]))
    sent += event(chunk(identity, [delta(0, None, reason)], tianjing=tianjing))
    if include_usage:
        sent += event(chunk(identity, [], usage=NO_USAGE))
    return sent + DONE


NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
