"""Bodies and queries of the desk's routes, by allow-list."""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import Request

from serving.edge.wire import read_body
from serving.errors import ApiError
from tianjing.config import StrictModel

MOST_BODY_BYTES = 32 << 10
MOST_CHARS = 2000
MOST_NUMBER = 10**9
_MOST_DIGITS = len(str(MOST_NUMBER))
Body = TypeVar("Body", bound=StrictModel)

_Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARS, pattern=r"\S")]
_Agent = Annotated[str | None, Field(pattern=r"^[\w.@-]{1,64}$")]
_Version = Annotated[int | None, Field(ge=1, le=MOST_NUMBER)]


class ActBody(StrictModel):
    """Body of claim and release."""

    agent: _Agent = None
    """Who acts, where one key serves a desk of many; without it, the key."""
    version: _Version = None
    """The version that the agent has seen: with a newer one the act is refused."""


class MessageBody(ActBody):
    """Body of messages."""

    text: _Text
    """What the customer is told."""
    key: str | None = Field(default=None, min_length=1, max_length=64)
    """The sender's name for this message: sent again under the same one, it is stored once."""


class CloseBody(ActBody):
    """Body of close."""

    resolution: _Text
    """What was done, for the record and for the training material; the customer does not see it."""
    outcome: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """How it ended, in a word of your own, e.g. resolved, promise, unresolved: it becomes an outcome's name."""


async def read(request: Request, model: type[Body]) -> Body:
    """The body as `model`; an empty one is `{}`.

    Raises:
        ApiError: 413, or 400 naming the field.
    """
    raw = await read_body(request, MOST_BODY_BYTES) or b"{}"
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object")
    if "\0" in raw.decode() or "\\u0000" in raw.decode():
        raise ApiError(400, "the body holds a NUL character")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise ApiError(400, f"unsupported field '{field[:64]}'", param=field[:64]) from None
        raise ApiError(400, f"field '{field}': {problem['msg']}", param=field or None) from None


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        ApiError: 400 outside `least` to `most`.
    """
    given = request.query_params.get(name, str(default))
    value = int(given) if given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS else -1
    if not least <= value <= most:
        raise ApiError(400, f"'{name}' must be a number from {least} to {most}", param=name)
    return value
