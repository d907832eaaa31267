"""A checked request, whatever its route: what the guard reads of it, and what the engine gets."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from serving.protocol.tokens import most_tokens
from tianjing.config import StrictModel
from tianjing.finance.statements import Facts

Speaker = Literal["system", "user", "assistant", "tool"]
# Text that the model reads or writes, by the place it stands in.
Channel = Literal["content", "reasoning", "refusal", "arguments"]


@dataclass(frozen=True)
class Piece:
    """One text of a request that the model would read."""

    speaker: Speaker
    channel: Channel
    text: str


class Extension(StrictModel):
    """The `tianjing` object of a request: what the application knows and the engine need not see."""

    task: str | None = None
    """Id of a task of tianjing.tasks: its system prompt is inserted when the request has none."""

    session: str | None = Field(default=None, min_length=1, max_length=128)
    """The application's id of the conversation: keeps a customer on one adapter and with one person."""

    customer: str | None = Field(default=None, min_length=1, max_length=128)
    """The application's id of the customer: whose vault key the raw text is kept under."""

    facts: Facts | None = None
    """The truth about the customer's loan; numbers that the model states are held against it."""

    known: dict[str, Annotated[str, Field(max_length=256)]] = Field(default={}, max_length=32)
    """Fields of the customer's record (name, mobile, address …): masked wherever they stand, however they are written.
    Neither the engine nor the account gets them."""

    require: tuple[str, ...] = ()
    """Ids of disclosure rules that this answer must meet; what is missing is added."""


@dataclass(frozen=True)
class ToolCall:
    """A call that the model asks the application to make; `arguments` is guarded text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ChoiceText:
    """One choice of a whole answer after the guard."""

    index: int
    content: str | None
    finish_reason: str | None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True)
class Call:
    """What the guard, the limits and the account read of a checked request; `CheckedCall` adds what the engine gets.

    Attributes:
        path: the engine's route, "/v1/chat/completions" or "/v1/completions".
        model: the name that the caller asked for.
        pieces: every text the model would read, in order.
        options: the fields that go to the engine as they are.
        max_tokens: the most tokens of one choice.
        tools: names of the functions that the answer may call.
        structured: the answer is JSON.
        frame_tokens: the most tokens of what the model reads beside the pieces: marks of messages, schemas of tools.
    """

    path: str
    model: str
    pieces: tuple[Piece, ...]
    options: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    max_tokens: int = 1
    extension: Extension = field(default_factory=Extension)
    tools: frozenset[str] = frozenset()
    structured: bool = False
    frame_tokens: int = 0

    @functools.cached_property
    def prompt_tokens(self) -> int:
        """No more tokens than this are in the prompt; see `serving.protocol.tokens`."""
        return sum(most_tokens(piece.text) for piece in self.pieces) + self.frame_tokens

    @property
    def most_tokens(self) -> int:
        """No more tokens than this are used."""
        return self.max_tokens * self.choices + self.prompt_tokens

    @property
    def last_words(self) -> str:
        """What the customer said last, raw; empty where no user speaks."""
        return next((piece.text for piece in reversed(self.pieces) if piece.speaker == "user"), "")
