"""What the gateway asks of the audit log, and what it tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Accepted:
    """A request that is about to be answered. Digests and ids only; nothing of its text.

    Attributes:
        prompt: keyed digest of the texts as they came.
        customer, session: keyed digests of the application's ids, "" without one.
    """

    request: str
    tenant: str
    key_id: str
    path: str
    model: str
    target: str
    release: str
    arm: str
    prompt: str
    prompt_chars: int
    customer: str = ""
    session: str = ""
    verdict: str = "allow"
    reasons: tuple[str, ...] = ()
    entities: Mapping[str, int] = field(default_factory=dict)
    policy: str = ""
    stream: bool = False


@dataclass(frozen=True)
class Closed:
    """How a request ended.

    Attributes:
        status: HTTP status that the caller saw; 499 when the caller left.
        answer: keyed digest of what was released, "" when nothing was.
        finish: finish reasons of the choices.
        first_ms, total_ms: milliseconds from acceptance to the first released text and to the end.
    """

    request: str
    status: int
    verdict: str
    reasons: tuple[str, ...] = ()
    entities: Mapping[str, int] = field(default_factory=dict)
    answer: str = ""
    answer_chars: int = 0
    finish: tuple[str, ...] = ()
    case: str = ""
    upstream: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_ms: float | None = None
    total_ms: float = 0.0
    error: str = ""


class Audit(Protocol):
    """An append-only account."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def digest(self, *texts: str) -> str:
        """Keyed digest of texts: equal texts are recognised by who has the key, others cannot even guess them."""
        ...

    async def accepted(self, entry: Accepted, meanwhile: Callable[[], None] | None = None) -> None:
        """Returns once the record is durable.

        Args:
            meanwhile: called in the event loop while the disk writes, if it comes to that; must not raise.

        Raises:
            ApiError: 503 with `retry_after_s` when it cannot be written: what cannot be accounted for is not answered.
        """
        ...

    def closed(self, entry: Closed) -> None:
        """Written with the next group, without waiting; a failure shows at the next `accepted`."""
        ...

    async def event(self, kind: str, details: Mapping[str, Any]) -> None:
        """An operator's act (a key rotated, an adapter promoted, a release overridden); durable on return."""
        ...

    def note(self, kind: str, details: Mapping[str, Any]) -> None:
        """An event that nobody waits for: written with the next group; from any thread."""
        ...


class Vault(Protocol):
    """Encrypted raw text, under a key for each customer that can be destroyed."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Write what waits."""
        ...

    def store(self, tenant: str, customer: str, request: str, texts: Mapping[str, str]) -> None:
        """Keep raw texts; never waits and never fails a request."""
        ...


class NoVault:
    """Keeps nothing."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def store(self, tenant: str, customer: str, request: str, texts: Mapping[str, str]) -> None:
        pass


class NoAudit:
    """Accounts for nothing: for trials of an endpoint that no customer reaches."""

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def digest(self, *texts: str) -> str:
        return ""

    async def accepted(self, entry: Accepted, meanwhile: Callable[[], None] | None = None) -> None:
        pass

    def closed(self, entry: Closed) -> None:
        pass

    async def event(self, kind: str, details: Mapping[str, Any]) -> None:
        pass

    def note(self, kind: str, details: Mapping[str, Any]) -> None:
        pass
