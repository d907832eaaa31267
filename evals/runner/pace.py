"""How many requests are in flight: a fixed number, or one that a remote endpoint's refusals steer (AIMD)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from tianjing.engine.errors import FailureKind

START = 20
SHRINK, COOLDOWN_S = 0.8, 15.0
GROWTH = 1.05
# A server in trouble gets no more load for so long; it did not ask for less either.
TROUBLE_S = 5.0
# No server may make us wait longer than this with one Retry-After.
LONGEST_HOLD_S = 120.0
# Enough to see how a run went; a limit that swings for hours must not fill memory.
_HISTORY = 200

Json = dict[str, Any]


class Pace:
    """Slots for requests. `limit` doubles each round until the first 429, then grows by 5 % a round.

    A round is `limit` answers while the slots were all in use. A 429 takes a fifth of the slots, at most once in 15 s:
    the requests in flight will all say the same. A 5xx stops growth without shrinking.
    """

    def __init__(self, limit: int, highest: int):
        self.limit, self.highest = limit, highest
        self.in_flight = 0
        self._steers = highest > limit
        self._doubles = True
        self._answers = 0
        self._shrunk = self._trouble = -1e9
        self._hold_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._began = time.monotonic()
        self._history: deque[tuple[float, int, str]] = deque(maxlen=_HISTORY)

    @property
    def history(self) -> list[Json]:
        """Each change of the limit, the last 200: seconds since the start, the new limit, and why."""
        return [{"at_s": round(at, 1), "limit": limit, "why": why} for at, limit, why in self._history]

    async def enter(self) -> None:
        """Wait for a slot, and for the end of a pause that the server asked for."""
        while (left := self._hold_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        while self.in_flight >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self.in_flight += 1

    def leave(self, failure: FailureKind | None, retry_after_s: float | None = None) -> None:
        """Give the slot back, and say how the request went."""
        full = self.in_flight >= self.limit
        self.in_flight -= 1
        if retry_after_s:
            self._hold_until = max(self._hold_until, time.monotonic() + min(retry_after_s, LONGEST_HOLD_S))
        if self._steers:
            self._steer(failure, full)
        free = self.limit - self.in_flight
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def _steer(self, failure: FailureKind | None, full: bool) -> None:
        if failure is None:
            if full:
                self._answers += 1
            if self._answers >= self.limit and time.monotonic() - max(self._trouble, self._shrunk) > TROUBLE_S:
                grown = 2 * self.limit if self._doubles else max(self.limit + 1, int(self.limit * GROWTH))
                self._set(min(grown, self.highest), "grown")
            return
        now = time.monotonic()
        if failure == "rate_limit":
            self._doubles = False
            if now - self._shrunk > COOLDOWN_S:
                self._shrunk = now
                self._set(max(1, int(self.limit * SHRINK)), "rate limit")
        elif failure in ("server", "timeout", "connection"):
            self._trouble = now

    def _set(self, limit: int, why: str) -> None:
        self._answers = 0
        if limit != self.limit:
            self.limit = limit
            self._history.append((time.monotonic() - self._began, limit, why))


def fixed(limit: int) -> Pace:
    """The same number of requests in flight throughout."""
    return Pace(limit, limit)


def adaptive(highest: int) -> Pace:
    """From 20 requests in flight to what the endpoint bears, at most `highest`."""
    return Pace(min(START, highest), highest)
