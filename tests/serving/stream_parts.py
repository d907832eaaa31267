"""A guard from the parts of `tianjing.guard` alone, an engine's events, and what a caller reads of a stream."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from serving.guard.base import REFUSAL, Admission, GuardFailure, Outlet
from serving.protocol.call import Channel, Piece
from serving.protocol.forms import form_of
from serving.streams.guarded import GuardedStream
from serving.streams.sse import EventReader, event
from tianjing import guard as core
from tianjing.privacy import Session

IDENTITY = {"id": "chatcmpl-0123456789ab", "created": 1, "model": "tianjing"}
REPORT: dict[str, Any] = {"verdict": "allow", "reasons": [], "entities": {"input": {}, "output": {}}}
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


class PlainOutlet:
    """One stream of the guard core."""

    def __init__(self, stream: core.Stream):
        self._stream = stream
        self.released_chars = 0

    @property
    def ended(self) -> Literal["block", "handoff"] | None:
        verdict = self._stream.ended
        return None if verdict is None else "handoff" if verdict.action == "handoff" else "block"

    def push(self, delta: str, now_ms: float = 0.0) -> str:
        return self._safe(self._stream.push(delta, now_ms))

    def finish(self) -> str:
        return self._safe(self._stream.finish())

    def cut_off(self) -> str:
        return ""

    def _safe(self, released: core.Released) -> str:
        if self._stream.ended is not None and self._stream.ended.kind.startswith(core.FAULT):
            raise GuardFailure(self._stream.ended.kind)
        self.released_chars += len(released.text)
        return released.text


class PlainGuard:
    """Masks personal data, and does what `more` detectors say."""

    policy = "plain"

    def __init__(self, *more: core.Detector | core.Incremental):
        self.session = Session()
        self.blocked: list[str] = []
        self._more = more

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        return Admission("allow", tuple(self.session.mask(piece.text).text for piece in pieces))

    def outlet(self, choice: int, channel: Channel = "content") -> Outlet:
        return PlainOutlet(core.Guard([core.PrivacyDetector(self.session), *self._more]).open())

    def block(self, reason: str) -> None:
        self.blocked.append(reason)

    def refusal(self) -> str:
        return REFUSAL

    def report(self) -> dict[str, Any]:
        return {**REPORT, "verdict": "block" if self.blocked else "allow", "reasons": list(self.blocked)}


class Word:
    """Takes `action` where a word stands; fails at 密."""

    name = "word"
    lookbehind_chars = 0

    def __init__(self, word: str, action: core.Action = "block"):
        self.word, self.action = word, action

    def find(self, text: str) -> list[core.Span]:
        if "密" in text:
            raise RuntimeError("fault")
        at = text.find(self.word)
        return [] if at < 0 else [core.Span(at, at + len(self.word), "word", self.action)]

    def decided(self, text: str) -> int:
        return max(0, len(text) - len(self.word) + 1)


def stream_of(*detectors: core.Detector, path: str = CHAT, choices: int = 1, **more: Any) -> GuardedStream:
    """A guarded stream in front of no engine."""
    guard = PlainGuard(*detectors)
    return GuardedStream(guard, form_of(path, dict(IDENTITY)), choices, more.pop("include_usage", False), **more)


def delta(index: int = 0, reason: str | None = None, **change: Any) -> bytes:
    """An engine's event with one choice."""
    choice = {"index": index, "delta": change, "logprobs": None, "finish_reason": reason}
    return event({"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def called(position: int = 0, index: int = 0, **function: Any) -> bytes:
    """An engine's event with a piece of a tool call."""
    more = {"id": "functions.x:0", "type": "function"} if "name" in function else {}
    return delta(index, tool_calls=[{"index": position, **more, "function": function}])


def cuts(data: Any, places: Sequence[int]) -> list[Any]:
    """`data` (text or bytes) cut at `places`."""
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


class Read:
    """What a client makes of a stream.

    Attributes:
        texts: by (choice, channel); the arguments of a tool call by (choice, name of the function).
        ends: finish reasons by choice.
    """

    def __init__(self, sent: bytes):
        *events, last = EventReader().feed(sent)
        assert last == b"[DONE]" and b"[DONE]" not in events
        self.events: list[dict[str, Any]] = [json.loads(entry) for entry in events]
        self.texts: defaultdict[tuple[int, str], str] = defaultdict(str)
        self.ends: dict[int, str] = {}
        self.calls: dict[tuple[int, int], dict[str, Any]] = {}
        for entry in self.events:
            for choice in entry.get("choices", ()):
                self._take(choice)

    def _take(self, choice: dict[str, Any]) -> None:
        index = choice["index"]
        change = choice.get("delta") or {"content": choice.get("text")}
        for channel in ("content", "reasoning_content", "refusal"):
            self.texts[index, channel] += change.get(channel) or ""
        for call in change.get("tool_calls", ()):
            place = (index, call["index"])
            if place not in self.calls:
                self.calls[place] = call
            self.texts[index, self.calls[place]["function"]["name"]] += call["function"]["arguments"]
        if choice["finish_reason"]:
            assert index not in self.ends, "a choice ended twice"
            self.ends[index] = choice["finish_reason"]
