"""From a request's texts to pieces for the guard, and back: the guarded texts stand where the raw ones stood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.config import ServeConfig
from serving.errors import ApiError
from serving.protocol.arguments import masked_object
from serving.protocol.call import Call, Channel, Piece, Speaker
from serving.protocol.fields import AskBody

# Nothing personal can be said in a name of these characters with so few digits.
_PLAIN_NAME = re.compile(r"(?!(?:[^0-9]*[0-9]){6})[A-Za-z0-9_$#/. -]{0,128}")


@dataclass(frozen=True)
class Slot:
    """A place in the engine's request that takes a guarded text.

    Attributes:
        piece: number of the piece whose text goes there.
        value: what stands there when the guard has changed nothing.
        arguments: the text is a JSON object, and must be one after the guard too.
    """

    piece: int
    value: Any
    arguments: bool = False


class Pieces:
    """Collects the texts of a request."""

    def __init__(self) -> None:
        self.all: list[Piece] = []
        self.fixed: list[tuple[int, str]] = []
        """Pieces that must not be changed by the guard, each with the field it stands in."""

    def slot(self, speaker: Speaker, text: str, channel: Channel = "content") -> Slot:
        """A place for `text` after the guard."""
        self.all.append(Piece(speaker, channel, text))
        return Slot(len(self.all) - 1, text, channel == "arguments")

    def number(self, value: int | float) -> Slot | int | float:
        """A place for a number, if it is long enough to name a person."""
        if isinstance(value, bool) or len(text := str(value)) < 6:
            return value
        self.all.append(Piece("system", "content", text))
        return Slot(len(self.all) - 1, value)

    def name(self, text: str, where: str) -> None:
        """Have a name seen by the guard that cannot be replaced, for other things refer to it."""
        if not _PLAIN_NAME.fullmatch(text):
            self.all.append(Piece("system", "content", text))
            self.fixed.append((len(self.all) - 1, where))


@dataclass(frozen=True)
class CheckedCall(Call):
    """A checked request; `body` is the engine's, with slots for the texts."""

    body: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[tuple[int, str], ...] = ()

    def payload(self, model: str, texts: Sequence[str]) -> dict[str, Any]:
        """The engine's request for `model`, with `texts` (one for each piece) in place of the raw ones.

        Raises:
            ApiError: 400, a name holds what must not be passed on.
        """
        if len(texts) != len(self.pieces):
            raise ValueError(f"{len(texts)} texts for {len(self.pieces)} pieces")
        for piece, where in self.fixed:
            if texts[piece] != self.pieces[piece].text:
                raise ApiError(400, f"field '{where}': a name holds personal data", param=where)
        body = {"model": model, **self._filled(self.body, texts), **self.options}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def _filled(self, value: Any, texts: Sequence[str]) -> Any:
        if isinstance(value, Slot):
            text = texts[value.piece]
            if value.arguments:
                return masked_object(text)
            return value.value if text == self.pieces[value.piece].text else text
        if isinstance(value, dict):
            return {key: self._filled(item, texts) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, texts) for item in value]
        return value


def checked_call(
    asked: AskBody,
    path: str,
    pieces: Pieces,
    body: dict[str, Any],
    config: ServeConfig,
    tools: frozenset[str] = frozenset(),
    structured: bool = False,
    frame_tokens: int = 0,
) -> CheckedCall:
    """The request of any route, once its own fields stand in `body`; raises ApiError as `AskBody.options`."""
    options = asked.options(config)
    return CheckedCall(
        path=path,
        model=asked.model,
        pieces=tuple(pieces.all),
        options=options,
        stream=asked.stream,
        include_usage=asked.include_usage(),
        choices=asked.n,
        max_tokens=options["max_tokens"],
        extension=asked.tianjing,
        tools=tools,
        structured=structured,
        frame_tokens=frame_tokens,
        body=body,
        fixed=tuple(pieces.fixed),
    )
