"""Settings of a teacher: any OpenAI-compatible endpoint that can decode under a JSON schema."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, field_validator

from data_recipes.errors import DataError
from tianjing.config import StrictModel

TeacherUse = Literal["spoken_question", "paraphrased_question", "worded_answer"]


class TeacherConfig(StrictModel):
    """Who writes, what, how much, and when its work is not good enough to go on."""

    base_url: str
    """OpenAI-compatible root, e.g. http://127.0.0.1:8000/v1."""
    model: str
    """Name that the endpoint serves the model under."""
    api_key_env: str | None = None
    """NAME of the environment variable that holds the key; the key itself stands in no file. None sends no secret."""
    uses: tuple[TeacherUse, ...] = ("spoken_question",)
    """What is written: a derived question as a customer would ask it, another paraphrase of it, and the answer to a
    question in an agent's words beside the quoted clause. Each is one request a row and try."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """Rows asked for by use, drawn by `seed`; None asks for all."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Of a row's first try; 0 is greedy decoding."""
    retry_temperature: Annotated[float, Field(gt=0, le=2)] = 0.7
    """Of the tries after a rejected one, each with another seed: at 0 the same answer would come again."""
    retries: Annotated[int, Field(ge=0)] = 2
    """Further tries of a row whose answer was rejected."""
    max_tokens: Annotated[int, Field(ge=16)] = 256
    """Longest answer in tokens; one that is cut off there is rejected."""
    seed: int = 0
    """Of the first try; try n is asked with seed + n."""
    concurrency: Annotated[int, Field(ge=1, le=512)] = 8
    """Requests in flight."""
    timeout_s: Annotated[float, Field(gt=0)] = 60
    """Seconds until a request without an answer is given up and sent again."""
    sends: Annotated[int, Field(ge=1)] = 6
    """How often a request is sent that gets no answer (a timeout, a refused connection, a status of overload)."""
    backoff_s: Annotated[float, Field(ge=0)] = 0.5
    """Pause before the second sending; each further pause is twice as long, so 6 sendings wait 15 s in all."""
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """If a larger share of the rows is left without an accepted answer, the build ends with an error."""

    @field_validator("base_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("give a URL that begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("uses")
    @classmethod
    def _once(cls, value: tuple[TeacherUse, ...]) -> tuple[TeacherUse, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name each use once, and at least one")
        return value

    def api_key(self) -> str:
        """The secret, from the environment.

        Raises:
            DataError: the variable is not set.
        """
        if self.api_key_env is None:
            return "none"
        key = os.environ.get(self.api_key_env, "")
        if not key:
            raise DataError(
                f"teacher: the environment variable {self.api_key_env} is not set",
                f"export {self.api_key_env}=…, or leave 'api_key_env' out for an endpoint without a key",
            )
        return key
