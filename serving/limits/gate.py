"""How many requests are let in at all: so many in progress, a bounded queue in front, fair between tenants."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

from serving.errors import ApiError
from serving.identity.principal import Principal
from serving.limits.base import Permit
from serving.limits.settings import LimitSettings

# Weight of the newest request in the mean time that a request takes, from which Retry-After is reckoned.
_NEWEST = 0.1
_MAX_RETRY_S = 60.0


class Revocable(Permit, Protocol):
    """A permit that can be taken back as if it had never been given."""

    async def cancel(self) -> None: ...


class Quotas(Protocol):
    """A limiter whose permits can be taken back."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> bool: ...

    async def admit(self, caller: Principal, tokens: int) -> Revocable: ...


class Gate:
    """At most `max_in_progress` requests inside; the next place goes to the waiting tenant with the fewest inside.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, settings: LimitSettings, clock: Callable[[], float] = time.monotonic):
        self._settings = settings
        self._clock = clock
        self._inside: dict[str, int] = {}
        self._total = 0
        # Tenants in the order in which they were last served; each with its requests in the order they came.
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting = 0
        self._mean_s = 1.0

    async def enter(self, tenant: str) -> float:
        """Wait for a place; returns when it was got, for `leave`.

        Raises:
            ApiError: 503 with `retry_after_s`: the queue is full, or `max_wait_s` is over.
        """
        if self._total < self._settings.max_in_progress and not self._waiting:
            self._take(tenant)
            return self._clock()
        place = self._line_up(tenant)
        try:
            async with asyncio.timeout(self._settings.max_wait_s):
                await place
        except TimeoutError:
            self._give_up(tenant, place)
            raise self._over_capacity() from None
        except BaseException:
            self._give_up(tenant, place)
            raise
        return self._clock()

    def leave(self, tenant: str, entered: float) -> None:
        """A request is over; its place goes to the next."""
        self._mean_s += _NEWEST * (self._clock() - entered - self._mean_s)
        self._free(tenant)

    def _line_up(self, tenant: str) -> asyncio.Future[None]:
        if self._waiting >= self._settings.max_waiting:
            longest = max(self._queues, key=lambda name: len(self._queues[name]), default=tenant)
            if len(self._queues.get(longest, ())) <= len(self._queues.get(tenant, ())) + 1:
                raise self._over_capacity()
            # Another fills the queue: its newest request makes room.
            last = self._queues[longest].pop()
            self._waiting -= 1
            if not last.done():  # its caller may have left a moment ago
                last.set_exception(self._over_capacity())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(place)
        self._waiting += 1
        return place

    def _give_up(self, tenant: str, place: asyncio.Future[None]) -> None:
        """The request no longer waits; a place that it was given at the same moment is passed on."""
        queue = self._queues.get(tenant, deque())
        if place in queue:
            queue.remove(place)
            self._waiting -= 1
            if not queue:
                del self._queues[tenant]
        elif place.done() and not place.cancelled() and place.exception() is None:
            self._free(tenant)

    def _take(self, tenant: str) -> None:
        self._total += 1
        self._inside[tenant] = self._inside.get(tenant, 0) + 1

    def _free(self, tenant: str) -> None:
        self._total -= 1
        self._inside[tenant] -= 1
        if not self._inside[tenant]:
            del self._inside[tenant]
        self._serve_next()

    def _serve_next(self) -> None:
        while self._waiting and self._total < self._settings.max_in_progress:
            tenant = min(self._queues, key=lambda name: self._inside.get(name, 0))
            queue = self._queues[tenant]
            place = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues.move_to_end(tenant)
            else:
                del self._queues[tenant]
            if not place.done():
                self._take(tenant)
                place.set_result(None)

    def _over_capacity(self) -> ApiError:
        ahead = (self._waiting + 1) * self._mean_s / self._settings.max_in_progress
        message = "more requests than can be answered now; try again"
        return ApiError(503, message, code="over_capacity", retry_after_s=min(max(1.0, ahead), _MAX_RETRY_S))


class GatedLimiter:
    """Quotas first, so that a tenant over its own waits in nobody's way; then the gate."""

    def __init__(self, quotas: Quotas, gate: Gate):
        self._quotas = quotas
        self._gate = gate

    async def open(self) -> None:
        await self._quotas.open()

    async def close(self) -> None:
        await self._quotas.close()

    async def ready(self) -> bool:
        return await self._quotas.ready()

    async def admit(self, caller: Principal, tokens: int) -> GatedPermit:
        """Count a request and wait for its place; raises ApiError 400, 429 or 503."""
        permit = await self._quotas.admit(caller, tokens)
        try:
            entered = await self._gate.enter(caller.tenant)
        except BaseException:
            await permit.cancel()
            raise
        return GatedPermit(permit, self._gate, caller.tenant, entered)


class GatedPermit:
    """A request in progress, with its place."""

    def __init__(self, permit: Permit, gate: Gate, tenant: str, entered: float):
        self._permit = permit
        self._gate = gate
        self._tenant = tenant
        self._entered = entered
        self._over = False

    async def settle(self, tokens: int) -> None:
        if self._over:
            return
        self._over = True
        self._gate.leave(self._tenant, self._entered)
        await self._permit.settle(tokens)
