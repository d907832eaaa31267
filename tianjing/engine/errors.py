"""What can go wrong between us and the inference engine."""

from __future__ import annotations

from tianjing.errors import EXIT_STAGE_FAILED, TianjingError


class EngineError(TianjingError):
    """The engine did not start, stopped, or refused a request.

    Args:
        transient: whether the same request may succeed when it is sent again (overload, a timeout, a
            broken connection), as opposed to one the engine will always refuse.
        status: HTTP status of the engine's answer, None when there was no answer.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        transient: bool = False,
        status: int | None = None,
        exit_code: int = EXIT_STAGE_FAILED,
    ):
        super().__init__(message, remedy, exit_code)
        self.transient = transient
        self.status = status
