"""How answers are written: whole bodies and events of a stream, for each route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serving.protocol.call import ChoiceText
from serving.streams.sse import DONE, event

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class Form(Protocol):
    """Writes the answers of one request. `identity` holds id, created and model; ids begin with `prefix`."""

    prefix: str
    identity: dict[str, Any]

    def whole(self, choices: Sequence[ChoiceText], usage: Any, report: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a whole answer; `report` is its `tianjing` object."""
        ...

    def role(self, index: int) -> bytes:
        """The event that opens a choice."""
        ...

    def text(self, index: int, text: str) -> bytes:
        """An event with released text."""
        ...

    def finish(self, index: int, reason: str, report: Mapping[str, Any] | None = None) -> bytes:
        """The event that ends a choice; the last one carries the report."""
        ...

    def usage(self, usage: Any) -> bytes:
        """The event with the usage."""
        ...

    def ready_made(self, text: str, reason: str, report: Mapping[str, Any], include_usage: bool) -> bytes:
        """The whole stream of an answer that is known from the start: a hand-off, or a refusal."""
        ...


class ChatForm:
    """chat.completion and chat.completion.chunk."""

    prefix = "chatcmpl"

    def __init__(self, identity: dict[str, Any]):
        self.identity = identity

    def whole(self, choices: Sequence[ChoiceText], usage: Any, report: Mapping[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.content},
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ]
        return {**self.identity, "object": "chat.completion", "choices": rows, "usage": usage, "tianjing": report}

    def role(self, index: int) -> bytes:
        return self._delta(index, {"role": "assistant", "content": ""})

    def text(self, index: int, text: str) -> bytes:
        return self._delta(index, {"content": text})

    def finish(self, index: int, reason: str, report: Mapping[str, Any] | None = None) -> bytes:
        return self._delta(index, {}, reason, {} if report is None else {"tianjing": report})

    def usage(self, usage: Any) -> bytes:
        return event({**self.identity, "object": "chat.completion.chunk", "choices": [], "usage": usage})

    def ready_made(self, text: str, reason: str, report: Mapping[str, Any], include_usage: bool) -> bytes:
        sent = self.role(0) + self.text(0, text) + self.finish(0, reason, report)
        return sent + (self.usage(NO_USAGE) if include_usage else b"") + DONE

    def _delta(
        self, index: int, change: dict[str, Any], reason: str | None = None, more: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": index, "delta": change, "logprobs": None, "finish_reason": reason}
        return event({**self.identity, "object": "chat.completion.chunk", "choices": [choice], **(more or {})})


def form_of(path: str, identity: dict[str, Any]) -> Form:
    """The form of a route's answers."""
    return ChatForm(identity)
