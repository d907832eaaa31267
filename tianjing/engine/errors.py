"""What can go wrong between us and the inference engine."""

from __future__ import annotations

from typing import Literal

from tianjing.errors import EXIT_STAGE_FAILED, TianjingError

FailureKind = Literal["timeout", "connection", "rate_limit", "server", "refused", "context_length", "protocol"]


class EngineError(TianjingError):
    """The engine did not start, stopped, or refused a request.

    Args:
        transient: whether the same request may succeed when it is sent again (overload, a timeout, a
            broken connection), as opposed to one the engine will always refuse.
        status: HTTP status of the engine's answer, None when there was no answer.
        kind: what failed, for requests: `refused` and `context_length` are the request's own fault, `protocol` an
            answer of another kind than a chat completion. None for an engine that did not start or stopped.
        retry_after_s: how long the server asks to be left alone, None where it does not say.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        transient: bool = False,
        status: int | None = None,
        kind: FailureKind | None = None,
        retry_after_s: float | None = None,
        exit_code: int = EXIT_STAGE_FAILED,
    ):
        super().__init__(message, remedy, exit_code)
        self.transient = transient
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s
