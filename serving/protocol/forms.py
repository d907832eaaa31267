"""How answers are written: whole bodies and events of a stream, for each route."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from serving.protocol.call import Channel, ChoiceText
from serving.streams.sse import DONE, event

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
# Where a channel's text stands. vLLM says `reasoning`; more clients read the older name.
FIELDS: dict[Channel, str] = {"content": "content", "reasoning": "reasoning_content", "refusal": "refusal"}
_TEXT = '"\ue000"'  # stands for the text while an event is prepared; no field of ours holds it


def counted(usage: Any) -> dict[str, int]:
    """Token counts of an engine's usage; what else it tells (cached tokens, say) is about others too."""
    given = usage if isinstance(usage, dict) else {}
    values = {name: given.get(name) for name in NO_USAGE}
    return {name: value if type(value) is int and value >= 0 else 0 for name, value in values.items()}


class Form(Protocol):
    """Writes the answers of one request. `identity` holds id, created and model; ids begin with `prefix`."""

    prefix: str
    identity: dict[str, Any]

    def whole(self, choices: Sequence[ChoiceText], usage: Any, report: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a whole answer; `report` is its `tianjing` object."""
        ...

    def role(self, index: int) -> bytes:
        """The event that opens a choice, b"" where the route has none."""
        ...

    def around(self, index: int, channel: Channel = "content", call: int = 0) -> tuple[bytes, bytes]:
        """What stands before and behind the text (a JSON string) in an event; `call` is the number of a tool call."""
        ...

    def text(self, index: int, text: str) -> bytes:
        """An event with released text."""
        ...

    def call(self, index: int, call: int, id: str, name: str) -> bytes:
        """The event that opens a tool call."""
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


class _Events(ABC):
    """The events of a stream; routes differ in what stands in a choice."""

    object = ""

    def __init__(self, identity: dict[str, Any]):
        self.identity = identity

    def role(self, index: int) -> bytes:
        return b""

    def around(self, index: int, channel: Channel = "content", call: int = 0) -> tuple[bytes, bytes]:
        sample = self._event(self._choice(index, self._change(channel, "\ue000", call)))
        before, _, behind = sample.partition(_TEXT.encode())
        return before, behind

    def text(self, index: int, text: str) -> bytes:
        before, behind = self.around(index)
        return before + orjson.dumps(text) + behind

    def finish(self, index: int, reason: str, report: Mapping[str, Any] | None = None) -> bytes:
        return self._event(self._choice(index, self._change("content", "", 0), reason), report)

    def usage(self, usage: Any) -> bytes:
        return event({**self.identity, "object": self.object, "choices": [], "usage": counted(usage)})

    def ready_made(self, text: str, reason: str, report: Mapping[str, Any], include_usage: bool) -> bytes:
        sent = self.role(0) + self.text(0, text) + self.finish(0, reason, report)
        return sent + (self.usage(NO_USAGE) if include_usage else b"") + DONE

    def _event(self, choice: dict[str, Any], report: Mapping[str, Any] | None = None) -> bytes:
        more = {} if report is None else {"tianjing": report}
        return event({**self.identity, "object": self.object, "choices": [choice], **more})

    @abstractmethod
    def _change(self, channel: Channel, text: str, call: int) -> dict[str, Any]:
        """What text of a channel adds to a choice."""

    @abstractmethod
    def _choice(self, index: int, change: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        """A choice of an event."""


class ChatForm(_Events):
    """chat.completion and chat.completion.chunk."""

    prefix = "chatcmpl"
    object = "chat.completion.chunk"

    def whole(self, choices: Sequence[ChoiceText], usage: Any, report: Mapping[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "index": choice.index,
                "message": _message(choice),
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ]
        body = {**self.identity, "object": "chat.completion", "choices": rows}
        return {**body, "usage": counted(usage), "tianjing": report}

    def role(self, index: int) -> bytes:
        return self._event(self._choice(index, {"role": "assistant", "content": ""}))

    def call(self, index: int, call: int, id: str, name: str) -> bytes:
        opened = {"index": call, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        return self._event(self._choice(index, {"tool_calls": [opened]}))

    def _change(self, channel: Channel, text: str, call: int) -> dict[str, Any]:
        if channel == "arguments":
            return {"tool_calls": [{"index": call, "function": {"arguments": text}}]}
        return {FIELDS[channel]: text} if text else {}

    def _choice(self, index: int, change: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": change, "logprobs": None, "finish_reason": reason}


class CompletionForm(_Events):
    """text_completion, whole and streamed: one channel, and no tools."""

    prefix = "cmpl"
    object = "text_completion"

    def whole(self, choices: Sequence[ChoiceText], usage: Any, report: Mapping[str, Any]) -> dict[str, Any]:
        rows = [self._choice(c.index, {"text": c.content or ""}, c.finish_reason) for c in choices]
        body = {**self.identity, "object": self.object, "choices": rows}
        return {**body, "usage": counted(usage), "tianjing": report}

    def call(self, index: int, call: int, id: str, name: str) -> bytes:
        return b""

    def _change(self, channel: Channel, text: str, call: int) -> dict[str, Any]:
        return {"text": text}

    def _choice(self, index: int, change: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"index": index, **change, "logprobs": None, "finish_reason": reason}


def _message(choice: ChoiceText) -> dict[str, Any]:
    """The message of a whole answer; fields that say nothing are left out, but for `content`."""
    message: dict[str, Any] = {"role": "assistant", "content": choice.content}
    if choice.tool_calls:
        message["content"] = choice.content or None
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    texts = ((FIELDS["reasoning"], choice.reasoning), (FIELDS["refusal"], choice.refusal))
    return {**message, **{name: text for name, text in texts if text}}


def form_of(path: str, identity: dict[str, Any]) -> Form:
    """The form of a route's answers."""
    return CompletionForm(identity) if path == "/v1/completions" else ChatForm(identity)
