"""The serving package's exceptions: one for the operator, one for the caller of the API."""

from __future__ import annotations

import math
from typing import Any

from tianjing.errors import TianjingError


class ServeError(TianjingError):
    """The endpoint cannot start: no release, a wrong key file, a missing package."""


class ApiError(Exception):
    """A request that is answered with an error, in the OpenAI form.

    Args:
        status: HTTP status.
        message: what is wrong; shown to the caller, so it holds nothing of other requests.
        param: the request field at fault, if one is.
        retry_after_s: seconds after which the same request may succeed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def of_engine(self) -> bool:
        """Whether an engine failed; every other error tells nothing of the weights that would have answered."""
        return self.code in _ENGINE_CODES

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}` as OpenAI's clients read it."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to the error."""
        headers = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        return headers


_ENGINE_CODES = frozenset({"engine_failed", "engine_timeout", "engine_unreachable", "engine_overloaded"})
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
