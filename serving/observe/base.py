"""What the gateway tells those who watch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serving.adapters.base import Target


@dataclass
class Watched:
    """One request in progress, filled in as it goes. Times are of `time.perf_counter`, in seconds.

    Attributes:
        outcome: how it ended; see `serving.adapters.base.Outcome`.
        traceparent: W3C trace context that goes to the engine, "" without tracing.
    """

    request: str
    tenant: str
    path: str
    began: float
    model: str = ""
    target: Target | None = None
    stream: bool = False
    upstream: str = ""
    accepted: float | None = None
    first: float | None = None
    ended: float | None = None
    status: int = 0
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    traceparent: str = ""
    span: object | None = None


class Observer(Protocol):
    """Told about every request."""

    def began(self, seen: Watched) -> None:
        """A request has come in; may set `traceparent`."""
        ...

    def ended(self, seen: Watched) -> None:
        """It has been answered, refused or left."""
        ...
