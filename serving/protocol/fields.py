"""What requests of all routes have in common: the fields of sampling and streaming, and errors that name a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from serving.config import ServeConfig
from serving.errors import ApiError
from serving.protocol.call import Extension
from tianjing.config import StrictModel

MAX_STOPS = 4
MAX_STOP_CHARS = 64
_INT64 = 1 << 63
_SAMPLING = ("top_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed")


class WireModel(StrictModel):
    """An object as clients send it: unknown fields are refused, and "1" is no number."""

    model_config = ConfigDict(strict=True)


Wire = TypeVar("Wire", bound=WireModel)


class StreamOptions(WireModel):
    """What a stream ends with."""

    include_usage: bool = False


class AskBody(WireModel):
    """Fields of every route that asks the model."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    """Not of OpenAI; vLLM's own clients spell out its default."""
    max_tokens: int | None = Field(default=None, ge=1, lt=1 << 31)
    n: int = Field(default=1, ge=1, le=128)
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    logprobs: Literal[False] = False
    """Accepted as clients spell out this default; they are never given out, for they would pass around the guard."""
    user: Annotated[str, Field(max_length=512)] | None = None
    """Accepted because clients send it; not passed on: it names a person."""
    tianjing: Extension = Field(default_factory=Extension)

    def options(self, config: ServeConfig) -> dict[str, Any]:
        """The fields that go to the engine as they are, within the limits of `config`.

        Raises:
            ApiError: 400 naming the field.
        """
        if self.n > config.max_choices:
            raise refused("n", f"at most {config.max_choices}")
        # Clients send their own defaults; as with `max_tokens`, more than is served gets what is served.
        wanted = self.wanted_tokens() or config.max_answer_tokens
        heat = config.temperature if self.temperature is None else min(self.temperature, config.temperature)
        options: dict[str, Any] = {"max_tokens": min(wanted, config.max_answer_tokens), "temperature": heat}
        options |= {name: value for name in _SAMPLING if (value := getattr(self, name)) is not None}
        if self.n > 1:
            options["n"] = self.n
        if stops := self._stops():
            options["stop"] = stops
        return options

    def wanted_tokens(self) -> int | None:
        """The most tokens that the caller wants of a choice."""
        return self.max_tokens

    def include_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def _stops(self) -> list[str]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > MAX_STOPS or not all(0 < len(stop) <= MAX_STOP_CHARS for stop in stops):
            raise refused("stop", f"at most {MAX_STOPS} strings of 1 to {MAX_STOP_CHARS} characters")
        return stops


def refused(where: str, why: str) -> ApiError:
    """A field that is not taken."""
    return ApiError(400, f"field '{where}': {why}", param=where)


def checked(model: type[Wire], value: Mapping[str, Any]) -> Wire:
    """`value` by the allow-list `model`.

    Raises:
        ApiError: 400 naming the first wrong field.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = _field(problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise ApiError(400, f"unsupported field '{field}'", param=field) from None
        raise refused(field, problem["msg"]) from None


def _field(location: tuple[int | str, ...]) -> str:
    """The field at fault; of a field that may be of several types pydantic names the type too, which is left out."""
    first, *rest = map(str, location)
    return ".".join([first, *(part for part in rest if part != "str" and not part[:1].isupper() and "[" not in part)])[
        :200
    ]


def without_nulls(value: Any) -> Any:
    """Clients spell out defaults, and send answers back with their empty fields (`refusal: null`)."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value
