"""POST /v1/chat/completions: the request by allow-list.

An unknown request field is refused by name instead of being passed on: fields such as `prompt_logprobs` or
`return_token_ids` would give out the prompt around the guard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from serving.config import ServeConfig
from serving.errors import ApiError
from serving.protocol.call import Call, Extension, Piece
from tianjing.config import StrictModel
from tianjing.tasks import TASKS

MAX_MESSAGES = 256
MAX_STOPS = 4


class TextPart(StrictModel):
    """A piece of a message; images and sound are refused."""

    type: Literal["text"]
    text: str


class WireMessage(StrictModel):
    """A message as clients send it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def piece(self) -> Piece:
        """As the engine gets it: parts joined, `developer` by its older name."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Piece("system" if self.role == "developer" else self.role, "content", content)


class StreamOptions(StrictModel):
    """What a stream ends with."""

    include_usage: bool = False


class ResponseFormat(StrictModel):
    """Free text, or any JSON object; schemas are not served."""

    type: Literal["text", "json_object"]


class ChatBody(StrictModel):
    """Body of POST /v1/chat/completions."""

    model: str
    messages: Annotated[list[WireMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int = Field(default=1, ge=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    """Accepted because clients send it; not passed on: it names a person."""
    tianjing: Extension = Extension()


_SAMPLING = ("top_p", "frequency_penalty", "presence_penalty", "seed")


@dataclass(frozen=True)
class ChatCall(Call):
    """A checked request; each message is one piece."""

    def payload(self, model: str, texts: Sequence[str]) -> dict[str, Any]:
        """The engine's request for `model`, with `texts` (one for each piece) in place of the raw ones."""
        messages = [{"role": piece.speaker, "content": text} for piece, text in zip(self.pieces, texts, strict=True)]
        body = {"model": model, "messages": messages, **self.options}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def parse_chat(raw: bytes, config: ServeConfig) -> ChatCall:
    """Check a request body against the allow-list and the limits of `config`.

    Raises:
        ApiError: 400 naming the field,
    """
    try:
        body = ChatBody.model_validate(_without_nulls(_read_json(raw)))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise ApiError(400, f"unsupported field '{field}'", param=field) from None
        raise ApiError(400, f"field '{field}': {problem['msg']}", param=field or None) from None
    if body.n > config.max_choices:
        raise ApiError(400, f"field 'n': at most {config.max_choices}", param="n")
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stops) > MAX_STOPS or not all(stops):
        raise ApiError(400, f"field 'stop': at most {MAX_STOPS} strings, none empty", param="stop")
    messages = tuple(message.piece() for message in body.messages)
    options = _options(body, stops, config)
    return ChatCall(
        path="/v1/chat/completions",
        model=body.model,
        pieces=_with_task(messages, body.tianjing.task),
        options=options,
        stream=body.stream,
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
        choices=body.n,
        max_tokens=options["max_tokens"],
        extension=body.tianjing,
    )


def _options(body: ChatBody, stops: list[str], config: ServeConfig) -> dict[str, Any]:
    wanted = body.max_completion_tokens or body.max_tokens or config.max_answer_tokens
    # Clients send their own defaults; as with `max_tokens`, more than is served gets what is served.
    temperature = config.temperature if body.temperature is None else min(body.temperature, config.temperature)
    options: dict[str, Any] = {"max_tokens": min(wanted, config.max_answer_tokens), "temperature": temperature}
    options |= {name: value for name in _SAMPLING if (value := getattr(body, name)) is not None}
    if body.n > 1:
        options["n"] = body.n
    if stops:
        options["stop"] = stops
    if body.response_format and body.response_format.type == "json_object":
        options["response_format"] = {"type": "json_object"}
    return options


def _with_task(messages: tuple[Piece, ...], task: str | None) -> tuple[Piece, ...]:
    if task is None:
        return messages
    if task not in TASKS:
        raise ApiError(400, f"field 'tianjing.task': known tasks are {', '.join(TASKS)}", param="tianjing.task")
    if any(message.speaker == "system" for message in messages):
        return messages
    return (Piece("system", "content", TASKS[task].system()), *messages)


def _read_json(raw: bytes) -> Any:
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Clients spell out defaults, and send answers back with their empty fields (`refusal: null`)."""

    def clean(item: Any) -> Any:
        return {k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item

    cleaned = clean(value)
    if isinstance(cleaned.get("messages"), list):
        cleaned["messages"] = [clean(message) for message in cleaned["messages"]]
    return cleaned
