"""The serving package's exceptions: one for the operator, one for the caller of the API."""

from __future__ import annotations

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
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}` as OpenAI's clients read it."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
