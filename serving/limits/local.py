"""Quotas counted in this process, on the monotonic clock: no change of the wall clock admits or blocks anyone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from serving.identity.principal import Principal, Quota
from serving.limits.quota import (
    CONCURRENCY_RETRY_S,
    DAY_S,
    WINDOW_S,
    Limit,
    Refusal,
    refused,
    require_possible,
)

# How often accounts that count nothing any more are forgotten.
_SWEEP_S = 60.0


class Minute:
    """How much was taken in each of the last seconds."""

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}

    def total(self, now: float) -> int:
        """What counts at `now`."""
        oldest = int(now) - WINDOW_S
        for second in [second for second in self._taken if second <= oldest]:
            del self._taken[second]
        return sum(self._taken.values())

    def add(self, second: int, amount: int) -> None:
        """Take `amount` in a second, or give it back if that second still counts."""
        if amount > 0 or second in self._taken:
            self._taken[second] = max(0, self._taken.get(second, 0) + amount)

    def wait_s(self, now: float, excess: int) -> float:
        """Seconds until `excess` of what was taken no longer counts."""
        for second in sorted(self._taken):
            excess -= self._taken[second]
            if excess <= 0:
                return second + WINDOW_S - now
        return float(WINDOW_S)


@dataclass
class _Account:
    requests: Minute = field(default_factory=Minute)
    tokens: Minute = field(default_factory=Minute)
    in_progress: int = 0
    budget: int = 0
    period: int = -1
    period_ends: float = 0.0

    def idle(self, now: float) -> bool:
        past = now >= self.period_ends or not self.budget
        return past and not self.in_progress and not self.requests.total(now) and not self.tokens.total(now)


class LocalLimiter:
    """Admits requests within each caller's quota.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)
        self._swept = clock()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ready(self) -> bool:
        return True

    async def admit(self, caller: Principal, tokens: int) -> LocalPermit:
        """Count a request that may take up to `tokens`; raises ApiError 400 or 429."""
        now, quota = self._clock(), caller.quota
        self._sweep(now)
        require_possible(quota, tokens)
        account = self._accounts[caller.account]
        period = int(now // (quota.budget_days * DAY_S))
        if account.period != period:
            account.period, account.budget = period, 0
            account.period_ends = (period + 1.0) * quota.budget_days * DAY_S
        if refusal := _refusal(account, quota, tokens, now):
            raise refused(refusal, quota)
        account.requests.add(int(now), 1)
        account.tokens.add(int(now), tokens)
        account.in_progress += 1
        account.budget += tokens
        return LocalPermit(account, tokens, period, now)

    def _sweep(self, now: float) -> None:
        if now - self._swept > _SWEEP_S:
            self._swept = now
            for name in [name for name, account in self._accounts.items() if account.idle(now)]:
                del self._accounts[name]


class LocalPermit:
    """A request in progress."""

    def __init__(self, account: _Account, reserved: int, period: int, admitted: float):
        self._account = account
        self._reserved = reserved
        self._period = period
        self._second = int(admitted)
        self._over = False

    async def settle(self, tokens: int) -> None:
        self._end(tokens)

    async def cancel(self) -> None:
        """As if it had never been admitted."""
        if self._end(0):
            self._account.requests.add(self._second, -1)

    def _end(self, tokens: int) -> bool:
        if self._over:
            return False
        self._over = True
        account, change = self._account, tokens - self._reserved
        account.in_progress -= 1
        account.tokens.add(self._second, change)
        if account.period == self._period:
            account.budget = max(0, account.budget + change)
        return True


def _refusal(account: _Account, quota: Quota, tokens: int, now: float) -> Refusal | None:
    minutes: tuple[tuple[Limit, Minute, int | None, int], ...] = (
        ("requests", account.requests, quota.requests_per_minute, 1),
        ("tokens", account.tokens, quota.tokens_per_minute, tokens),
    )
    for limit, minute, most, wanted in minutes:
        if most is not None and (used := minute.total(now)) + wanted > most:
            return Refusal(limit, used, minute.wait_s(now, used + wanted - most))
    if quota.budget_tokens is not None and account.budget + tokens > quota.budget_tokens:
        return Refusal("budget", account.budget, account.period_ends - now)
    if quota.concurrency is not None and account.in_progress >= quota.concurrency:
        return Refusal("concurrency", account.in_progress, CONCURRENCY_RETRY_S)
    return None
