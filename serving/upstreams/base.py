"""What the gateway asks of its engines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Reply(Protocol):
    """An engine's answer that has begun with status 200."""

    upstream: str
    """Name of the engine that answers."""

    async def read(self) -> dict[str, Any]:
        """The whole body.

        Raises:
            ApiError: 502 or 504.
        """
        ...

    async def pump(self, take: Callable[[bytes], bool]) -> bool:
        """Give the body to `take` as it arrives, in the event loop's own call, until `take` returns False.

        Returns:
            Whether the body has ended; False when `take` stopped it, and the same call goes on.

        Raises:
            ApiError: as `read`. Whatever `take` raises.
        """
        ...


class Upstreams(Protocol):
    """Engines in groups; those of one group serve the same weights."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> bool:
        """Whether some engine of every group answers its health check."""
        ...

    def ask(
        self, group: str, path: str, payload: dict[str, Any], headers: dict[str, str] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """Send a request to an engine of the group; leaving the block early makes it stop generating.

        Another engine is tried when one fails before its first byte.

        Raises:
            ApiError: 400 with the engine's reason; 502, 503 (with `retry_after_s`) or 504.
        """
        ...
