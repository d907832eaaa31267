"""POST /v1/completions: the request by allow-list; one prompt, as text."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serving.config import ServeConfig
from serving.protocol.fields import AskBody, checked, without_nulls
from serving.protocol.json_body import read_json
from serving.protocol.pieces import CheckedCall, Pieces, checked_call


class CompletionBody(AskBody):
    """Body of POST /v1/completions. Token numbers are refused: the guard cannot read them."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    best_of: int | None = Field(default=None, ge=1, le=1)


def parse_completion(raw: bytes, config: ServeConfig) -> CheckedCall:
    """Check a request body against the allow-list and the limits of `config`.

    Raises:
        ApiError: 400 naming the field.
    """
    value = without_nulls(read_json(raw))
    value["stream_options"] = without_nulls(value.get("stream_options", {}))
    body = checked(CompletionBody, value)
    pieces = Pieces()
    prompt = pieces.slot("user", body.prompt if isinstance(body.prompt, str) else body.prompt[0])
    return checked_call(body, "/v1/completions", pieces, {"prompt": prompt}, config)
