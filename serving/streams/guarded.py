"""The engine's event stream, guarded: bytes in, bytes out, no I/O.

Only what is known to be safe is copied over: role, content, finish reason, usage. Anything else an engine may put
into a chunk (token ids, log-probabilities) would pass around the guard and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from serving.errors import ApiError
from serving.guard.base import REFUSAL, Guard, GuardFailure, Outlet
from serving.protocol.forms import Form
from serving.streams.sse import DONE, EventReader, event


class GuardedStream:
    """`feed` the engine's bytes and send what it returns until `done`; then send what `close` returns.

    The last event of the last choice is left to `close`: it carries the report, which is complete only then.
    """

    def __init__(self, guard: Guard, form: Form, choices: int, include_usage: bool):
        self.done = False
        self.error = ""
        """Why the answer broke off, "" while nothing did."""
        self.usage: dict[str, Any] | None = None
        self._guard = guard
        self._form = form
        self._include_usage = include_usage
        self._reader = EventReader()
        self._open: dict[int, Outlet] = {index: guard.outlet(index) for index in range(choices)}
        self._released: dict[int, list[str]] = {index: [] for index in range(choices)}
        self._finish: dict[int, str] = {}
        self._last = -1  # the choice whose end is still to be sent

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

    def break_off(self, reason: str) -> None:
        """The answer ends without its end: what is held is dropped, and `close` tells the caller."""
        self.done, self.error = True, reason

    def close(self, report: Mapping[str, Any], takeover: str = "") -> bytes:
        """The last events, with the report; `takeover` is what the caller reads of a person who takes over."""
        if self.error:
            return event(ApiError(502, self.error, code="engine_failed").body()) + DONE
        sent = b""
        if self._last >= 0:
            sent += self._form.text(self._last, takeover) if takeover else b""
            sent += self._form.finish(self._last, self._finish[self._last], report)
        if self._include_usage and self.usage:
            sent += self._form.usage(self.usage)
        return sent + DONE

    def texts(self) -> list[str]:
        """What has been released, by choice."""
        return ["".join(pieces) for pieces in self._released.values()]

    def finish_reasons(self) -> list[str]:
        """Why each choice ended, "" where it has not."""
        return [self._finish.get(index, "") for index in self._released]

    def _event(self, payload: str) -> bytes:
        if payload == "[DONE]":
            sent = b"".join(self._choice({"index": index, "finish_reason": "stop"}) for index in list(self._open))
            self.done = True
            return sent
        try:
            value = json.loads(payload)
            if "error" in value:
                self.break_off("the engine failed in the middle of the answer")
                return b""
            self.usage = value.get("usage") or self.usage
            return b"".join(self._choice(item) for item in value["choices"])
        except (ValueError, KeyError, TypeError, AttributeError):
            self.break_off("the engine's answer cannot be read")
            return b""

    def _choice(self, item: dict[str, Any]) -> bytes:
        index, finish_reason = item["index"], item.get("finish_reason")
        outlet = self._open.get(index)
        if outlet is None:
            return b""  # a choice that nobody asked for, or one that has ended
        released = outlet.push(item.get("delta", {}).get("content") or "")
        if finish_reason and not outlet.ended:
            released += outlet.finish()
        if outlet.ended:  # a rule was broken: what may go out has gone out, the rest is never sent
            finish_reason = "content_filter"
            released += REFUSAL if not outlet.released_chars else ""
        sent = b"" if self._released[index] else self._form.role(index)
        self._released[index].append(released)
        if released:
            sent += self._form.text(index, released)
        if finish_reason:
            sent += self._end(index, finish_reason)
            # Nobody is left to write for: the end of this stream stops the engine.
            self.done = self.done or (outlet.ended is not None and not self._open)
        return sent

    def _end(self, index: int, reason: str) -> bytes:
        del self._open[index]
        self._finish[index] = reason
        if self._open:
            return self._form.finish(index, reason)
        self._last = index
        return b""

    def _refuse(self) -> bytes:
        """Fail closed: every open choice ends with the refusal, and what was held is never released."""
        self._guard.block("guard_error")
        self.done = True
        sent = b""
        for index in list(self._open):
            sent += b"" if self._released[index] else self._form.role(index)
            sent += self._form.text(index, REFUSAL)
            self._released[index].append(REFUSAL)
            sent += self._end(index, "content_filter")
        return sent
