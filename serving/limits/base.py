"""What a limiter does for the gateway."""

from __future__ import annotations

from typing import Protocol

from serving.identity.principal import Principal


class Permit(Protocol):
    """Leave to answer one request; settled once, however it ends."""

    async def settle(self, tokens: int) -> None:
        """The request is over and took `tokens` (prompt and answer); the reserved rest is given back. Never raises."""
        ...


class Limiter(Protocol):
    """Admits requests within each caller's quota."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> bool:
        """Whether requests can be counted now."""
        ...

    async def admit(self, caller: Principal, tokens: int) -> Permit:
        """Count a request that may take up to `tokens`.

        Raises:
            ApiError: 429 with `retry_after_s` when a quota is used up; 503 with `retry_after_s` when nothing can be
                counted: without counting nobody is let in.
        """
        ...
