"""The messages of a chat: as clients send them, and as the engine gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from serving.protocol.arguments import written_out
from serving.protocol.call import Speaker
from serving.protocol.fields import WireModel, refused
from serving.protocol.pieces import Pieces
from serving.protocol.tools import FunctionName

MAX_MESSAGES = 256
MAX_CALLS = 64

CallId = Annotated[str, Field(min_length=1, max_length=256)]


class TextPart(WireModel):
    """A piece of a message; images and sound are refused."""

    type: Literal["text"]
    text: str


class CalledFunction(WireModel):
    """A function and its arguments, JSON in a string."""

    name: FunctionName
    arguments: str


class WireToolCall(WireModel):
    """A call of an earlier answer. `index` stands there when a client has put it together from a stream."""

    id: CallId
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class WireMessage(WireModel):
    """A message as clients send it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Field(max_length=MAX_MESSAGES)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    tool_calls: Annotated[list[WireToolCall], Field(max_length=MAX_CALLS)] | None = None
    tool_call_id: CallId | None = None
    reasoning_content: str | None = None
    """Of an earlier answer of this endpoint, sent back."""
    refusal: str | None = None

    def text(self) -> str | None:
        """The content, parts joined."""
        if self.content is None or isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)

    @property
    def speaker(self) -> Speaker:
        """`developer` by its older name, which every engine knows."""
        return "system" if self.role == "developer" else self.role


class Messages:
    """Messages as the engine gets them, with slots for their texts."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._ids: dict[str, str] = {}

    def bodies(self, messages: Sequence[WireMessage]) -> list[dict[str, Any]]:
        """All of them, in order.

        Raises:
            ApiError: 400 naming the message.
        """
        return [self._body(message, f"messages.{number}") for number, message in enumerate(messages)]

    def _body(self, message: WireMessage, where: str) -> dict[str, Any]:
        _check(message, where)
        speaker, pieces = message.speaker, self._pieces
        body: dict[str, Any] = {"role": speaker}
        if message.name is not None:
            body["name"] = pieces.slot(speaker, message.name)
        if message.reasoning_content:
            body["reasoning"] = pieces.slot(speaker, message.reasoning_content, "reasoning")
        text = message.text()
        if text is None:
            text = message.refusal  # what the assistant said instead
        body["content"] = None if text is None else pieces.slot(speaker, text)
        if message.tool_calls:
            body["tool_calls"] = [
                self._call(call, f"{where}.tool_calls.{number}") for number, call in enumerate(message.tool_calls)
            ]
        if message.tool_call_id is not None:
            body["tool_call_id"] = self._id(message.tool_call_id)
        return body

    def _call(self, call: WireToolCall, where: str) -> dict[str, Any]:
        self._pieces.name(call.function.name, f"{where}.function.name")
        try:
            arguments = written_out(call.function.arguments)
        except ValueError as error:
            raise refused(f"{where}.function.arguments", str(error)) from None
        function = {"name": call.function.name, "arguments": self._pieces.slot("assistant", arguments, "arguments")}
        return {"id": self._id(call.id), "type": "function", "function": function}

    def _id(self, given: str) -> str:
        """The engine's id of a call: some templates show it to the model, and a given one may say anything."""
        return self._ids.setdefault(given, f"call{len(self._ids):05d}")


def _check(message: WireMessage, where: str) -> None:
    """What each role must and may have."""
    spoken = message.content is not None or message.refusal is not None
    if not spoken and not (message.role == "assistant" and message.tool_calls):
        raise refused(f"{where}.content", "missing")
    if (message.tool_call_id is not None) != (message.role == "tool"):
        raise refused(f"{where}.tool_call_id", "stands in messages of the role 'tool', and must stand there")
    for name in ("tool_calls", "reasoning_content", "refusal"):
        if getattr(message, name) is not None and message.role != "assistant":
            raise refused(f"{where}.{name}", "only the assistant's messages have it")
