"""The engine's event stream, guarded: bytes in, bytes out, no I/O.

Nothing of the engine's events is copied over: texts go through the guard, and events are written anew around what it
releases. Whatever else an engine may put into a chunk (token ids, log-probabilities) would pass around the guard.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from serving.errors import ApiError
from serving.guard.base import Guard, GuardFailure
from serving.protocol.forms import CompletionForm, Form, counted
from serving.streams.choices import CHANNELS, GuardedChoice, Lane, Unreadable, finish_reason
from serving.streams.shapes import MAX_SHAPES, Shape, learn
from serving.streams.sse import DONE, EventReader, event


class GuardedStream:
    """`feed` the engine's bytes and send what it returns until `done`; then send what `close` returns.

    The last event of the last choice is left to `close`: it carries the report, which is complete only then.

    Args:
        choices: how many the caller asked for; others are dropped.
        tools: names of the functions that may be called.
        prompt_tokens: the most tokens of the prompt, told when the engine has not come to tell the usage.
        clock: seconds since any fixed moment, for the guard's cap on how long text is held.
    """

    def __init__(
        self,
        guard: Guard,
        form: Form,
        choices: int,
        include_usage: bool,
        *,
        tools: frozenset[str] = frozenset(),
        prompt_tokens: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.done = False
        self.error: ApiError | None = None
        """Why the answer broke off, None while nothing did."""
        self._guard = guard
        self._form = form
        self._include_usage = include_usage
        self._prompt_tokens = prompt_tokens
        self._clock = clock
        self._completion = isinstance(form, CompletionForm)
        self._reader = EventReader()
        request = form.identity["id"]
        self._choices = {index: GuardedChoice(guard, index, tools, request) for index in range(choices)}
        self._open = dict(self._choices)
        self._begun: set[int] = set()
        self._finish: dict[int, str] = {}
        self._last = -1  # the choice whose end is still to be sent
        self._usage: dict[str, int] | None = None
        self._deltas = 0  # with text, one token each at least
        self._out: list[bytes] = []
        self._shapes: list[Shape] = []
        self._framed: Shape | None = None  # of the last event that was read alone

    def prepare(self) -> None:
        """Do what the first text needs, while the engine has not begun to speak."""
        with contextlib.suppress(Exception):  # what fails here fails again in `feed`, which refuses
            for choice in self._choices.values():
                choice.prepare()

    def feed(self, data: bytes) -> bytes:
        """Events that may go to the caller now."""
        if self.done:
            return b""
        # Tenths of a second are enough for a cap of seconds, and times that repeat cost the guard less.
        now_ms = int(self._clock() * 10) * 100.0
        try:
            framed = self._framed
            if framed is not None and self._reader.between and (text := framed.text(data)) is not None:
                self._say(framed.lane, text.decode(), now_ms, 1)
            else:
                self._events(self._reader.feed(data), now_ms)
        except GuardFailure:
            self._refuse()
        except (Unreadable, ValueError, KeyError, TypeError, AttributeError):
            self.break_off(_failed("the engine's answer cannot be read"))
        if not self._out:
            return b""
        sent = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return sent

    def break_off(self, error: ApiError) -> None:
        """The answer ends without its end: what is held is dropped, and `close` tells the caller."""
        self.done, self.error = True, error

    def close(self, report: Mapping[str, Any], takeover: str = "") -> bytes:
        """The last events, with the report.

        Args:
            takeover: what the caller reads of a person who takes over, also where the answer broke off.
        """
        if takeover:
            self._hand_over(takeover)
        elif self.error is not None:
            return event(self.error.body()) + DONE
        sent = b"".join(self._out)
        if self._last >= 0:
            sent += self._form.finish(self._last, self._finish[self._last], report)
        if self._include_usage:
            sent += self._form.usage(self.usage)
        return sent + DONE

    @property
    def usage(self) -> dict[str, int]:
        """The engine's count of tokens; of an answer that ended before it, no more in the prompt and no fewer out."""
        if self._usage is not None:
            return self._usage
        total = self._prompt_tokens + self._deltas
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._deltas,
            "total_tokens": total,
        }

    def texts(self) -> list[str]:
        """What has been released: of each choice its content, reasoning, and arguments of tool calls."""
        return [text for choice in self._choices.values() for text in choice.texts()]

    def finish_reasons(self) -> list[str]:
        """Why each choice ended, "" where it has not."""
        return [self._finish.get(index, "") for index in self._choices]

    def _events(self, events: list[bytes], now_ms: float) -> None:
        """Usual events of one lane that arrive together go through the guard together."""
        lane: Lane | None = None
        texts: list[bytes] = []
        for data in events:
            shape, text = self._recognised(data)
            if lane is not None and (shape is None or shape.lane is not lane):
                self._say(lane, b"".join(texts).decode(), now_ms, len(texts))
                lane = None
                texts.clear()
            if self.done:
                return
            if shape is None:
                self._event(data, now_ms)
            else:
                lane = shape.lane
                texts.append(text)
        if lane is not None:
            self._say(lane, b"".join(texts).decode(), now_ms, len(texts))

    def _recognised(self, data: bytes) -> tuple[Shape | None, bytes]:
        for shape in self._shapes:
            if (text := shape.text(data)) is not None:
                if self._framed is None or self._framed.lane is not shape.lane:
                    self._framed = shape.framed()
                return shape, text
        return None, b""

    def _say(self, lane: Lane, text: str, now_ms: float, deltas: int) -> None:
        """Send what the guard releases of a text on a lane that is known."""
        choice = self._open.get(lane.index)
        if choice is None:
            return
        self._deltas += deltas
        released = lane.push(text, now_ms)
        if released:
            lane.released.append(released)
            before, behind = lane.around or self._around(lane)
            self._out.append(before + orjson.dumps(released) + behind)
        if lane.outlet.ended is not None:
            choice.ended = lane.outlet.ended
            self._settle(choice, None)

    def _event(self, data: bytes, now_ms: float) -> None:
        if data == b"[DONE]":
            for open_choice in list(self._open.values()):
                if not self.done:
                    self._settle(open_choice, "stop")
            self.done = True
            return
        value = orjson.loads(data)
        if "error" in value:
            self.break_off(_failed("the engine failed in the middle of the answer"))
            return
        if usage := value.get("usage"):
            self._usage = counted(usage)
        for item in value["choices"]:
            index = item["index"]
            choice = self._open.get(index) if type(index) is int else None
            if choice is not None and not self.done:  # otherwise one that nobody asked for, or that has ended
                delta = {"content": item.get("text")} if self._completion else item.get("delta") or {}
                self._take(choice, delta, finish_reason(item.get("finish_reason")), now_ms)
                self._learn(data, value, delta, choice)

    def _take(self, choice: GuardedChoice, delta: Mapping[str, Any], reason: str | None, now_ms: float) -> None:
        self._deltas += any(bool(value) for name, value in delta.items() if name != "role")
        if choice.index not in self._begun:
            self._begun.add(choice.index)
            self._out.append(self._form.role(choice.index))
        self._send(choice.take(delta, now_ms))
        self._settle(choice, reason)

    def _send(self, released: Iterable[tuple[Lane, str]]) -> None:
        for lane, text in released:
            if not text:
                self._out.append(self._form.call(lane.index, lane.call, lane.id, lane.name))
                continue
            before, behind = lane.around or self._around(lane)
            self._out.append(before + orjson.dumps(text) + behind)

    def _around(self, lane: Lane) -> tuple[bytes, bytes]:
        lane.around = self._form.around(lane.index, lane.channel, lane.call)
        return lane.around

    def _settle(self, choice: GuardedChoice, reason: str | None) -> None:
        """End the choice if the guard or the engine has ended it."""
        if reason and choice.ended is None:
            self._send(choice.finish())
        if choice.ended == "block":  # a rule was broken: what may go out has gone out, the rest is never sent
            self._end(choice, "content_filter", "" if choice.spoke() else self._guard.refusal())
            # Nobody is left to write for: the end of this stream stops the engine.
            self.done = self.done or not self._open
        elif choice.ended == "handoff":  # a person goes on with this customer, whatever other choices would say
            for other in [other for other in self._open.values() if other is not choice]:
                self._end(other, "stop")
            self._end(choice, "stop")
            self.done = True
        elif reason:
            self._end(choice, reason)

    def _end(self, choice: GuardedChoice, reason: str, text: str = "") -> None:
        index = choice.index
        self._send(choice.cut_off())
        if text:
            choice.lane("content").released.append(text)
            self._out.append(self._form.text(index, text))
        del self._open[index]
        self._finish[index] = reason
        if self._open:
            self._out.append(self._form.finish(index, reason))
        else:
            self._last = index

    def _hand_over(self, text: str) -> None:
        """End what a break left open, and say `text` at the end of the last choice: the first one of those."""
        for choice in reversed(list(self._open.values())):
            if choice.index not in self._begun:
                self._out.append(self._form.role(choice.index))
            self._end(choice, "stop")
        self._choices[self._last].lane("content").released.append(text)
        self._finish[self._last] = "stop"
        self._out.append(self._form.text(self._last, text))

    def _refuse(self) -> None:
        """Fail closed: every open choice ends with the refusal, and what was held is never released."""
        self._guard.block("guard_error")
        self.done = True
        for choice in list(self._open.values()):
            if choice.index not in self._begun:
                self._out.append(self._form.role(choice.index))
            self._end(choice, "content_filter", self._guard.refusal())

    def _learn(self, data: bytes, value: dict[str, Any], delta: Mapping[str, Any], choice: GuardedChoice) -> None:
        """Know the next event like this one by its bytes, if it holds one text and nothing else of interest."""
        spoken = [name for name, said in delta.items() if said and name != "role"]
        channel = CHANNELS.get(spoken[0]) if len(spoken) == 1 else None
        if channel is None or len(self._shapes) == MAX_SHAPES:
            return
        if len(value["choices"]) > 1 or value["choices"][0].get("finish_reason"):
            return
        path = ("choices", 0, "text") if self._completion else ("choices", 0, "delta", spoken[0])
        if shape := learn(data, value, path, choice.lane(channel)):
            self._shapes.append(shape)


def _failed(message: str) -> ApiError:
    return ApiError(502, message, code="engine_failed")
