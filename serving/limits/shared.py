"""Quotas counted in Redis, for several gateways that share them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Awaitable
from typing import Any, cast

from serving.errors import ApiError, ServeError
from serving.identity.principal import Principal
from serving.limits.quota import CONCURRENCY_RETRY_S, DAY_S, Limit, Refusal, refused, require_possible
from serving.limits.scripts import ADMIT, RENEW, SETTLE
from serving.limits.settings import LimitSettings

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ModuleNotFoundError:
    raise ServeError(
        "limits.redis is set, but the Redis client is not installed", "pip install 'tianjing[redis]'"
    ) from None

CONNECTIONS = 32
# What could not be given back while Redis was away is tried again this often, and so much of it is remembered.
RETRY_S = 1.0
MAX_UNSETTLED = 10_000
# Loading a data set, or a fail-over: seconds rather than minutes.
GONE_RETRY_AFTER_S = 2.0

_log = logging.getLogger(__name__)


class RedisLimiter:
    """Admits requests within each caller's quota, over all gateways. Without Redis nobody is admitted.

    A request in progress holds a lease that is renewed while it runs. A killed gateway renews nothing, and its places
    are free after `lease_s`; what it had reserved of a minute's tokens stops counting with the minute.

    Raises:
        ServeError: the address or the password file cannot be used.
    """

    def __init__(self, settings: LimitSettings):
        self._settings = settings
        self._lease_ms = int(settings.lease_s * 1000)
        self._redis = _client(settings)
        self._admit = self._redis.register_script(ADMIT)
        self._settle = self._redis.register_script(SETTLE)
        self._renew = self._redis.register_script(RENEW)
        # Leases in progress, and the account of each.
        self._running: dict[str, str] = {}
        self._unsettled: deque[tuple[str, list[Any]]] = deque()
        self._gone = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(ApiError):
            await self._give_back()
        await self._redis.aclose()

    async def ready(self) -> bool:
        try:
            await self._ask(cast(Awaitable[Any], self._redis.ping()))
        except ApiError:
            return False
        # Without renewals, the places of running requests would be given away.
        return self._task is not None and not self._task.done()

    async def admit(self, caller: Principal, tokens: int) -> RedisPermit:
        """Count a request that may take up to `tokens`; raises ApiError 400, 429 or 503."""
        quota, account, lease = caller.quota, caller.account, secrets.token_hex(12)
        require_possible(quota, tokens)
        limits = (quota.requests_per_minute, quota.tokens_per_minute, quota.budget_tokens, quota.concurrency)
        most = [-1 if limit is None else limit for limit in limits]
        given: list[Any] = [lease, tokens, self._lease_ms, quota.budget_days * DAY_S, *most]
        try:
            verdict, number, more = await self._ask(self._admit(keys=self._keys(account), args=given))
        except BaseException:
            # It may have been counted all the same: then it is given back.
            self._later(account, [lease, -tokens, -1, self._lease_ms, -1, -1])
            raise
        if verdict:
            wait_s = CONCURRENCY_RETRY_S if more < 0 else more / 1000
            raise refused(Refusal(cast(Limit, verdict), int(number), wait_s), quota)
        self._running[lease] = account
        return RedisPermit(self, account, lease, tokens, int(number), int(more))

    async def end(self, account: str, lease: str, given_back: list[Any]) -> None:
        """Give back a lease and what was not used; later, when Redis is gone. Never raises for that."""
        self._running.pop(lease, None)
        entry = [lease, *given_back[:2], self._lease_ms, *given_back[2:]]
        try:
            await self._ask(self._settle(keys=self._keys(account), args=entry))
        except ApiError:
            self._later(account, entry)
        except BaseException:
            self._later(account, entry)
            raise

    def _keys(self, account: str) -> list[str]:
        return [f"{self._settings.redis_prefix}:{{{account}}}:{name}" for name in ("req", "tok", "lease", "budget")]

    def _later(self, account: str, entry: list[Any]) -> None:
        self._unsettled.append((account, entry))
        if len(self._unsettled) > MAX_UNSETTLED:
            self._unsettled.popleft()
            _log.warning("more than %d requests wait for Redis: one stays counted as reserved", MAX_UNSETTLED)

    async def _ask(self, work: Awaitable[Any]) -> Any:
        """One answer of Redis within the time.

        Raises:
            ApiError: 503: gone, slow, full, or a replica.
        """
        try:
            async with asyncio.timeout(self._settings.redis_timeout_s):
                answer = await work
        except (RedisError, OSError, TimeoutError) as error:
            if not self._gone:
                self._gone = True
                _log.error("Redis does not count, so nobody is admitted: %s", type(error).__name__)
            message = "requests cannot be counted now; try again"
            raise ApiError(503, message, code="limits_unavailable", retry_after_s=GONE_RETRY_AFTER_S) from None
        if self._gone:
            self._gone = False
            _log.warning("Redis counts again")
        return answer

    async def _keep(self) -> None:
        """Renew the leases of what is in progress, and give back what could not be given back."""
        loop = asyncio.get_running_loop()
        renewal = loop.time() + self._settings.lease_s / 3
        while True:
            await asyncio.sleep(min(RETRY_S, self._settings.lease_s / 3))
            with contextlib.suppress(ApiError):
                await self._give_back()
                if loop.time() >= renewal:
                    await self._renew_all()
                    renewal = loop.time() + self._settings.lease_s / 3

    async def _give_back(self) -> None:
        while self._unsettled:
            account, entry = self._unsettled[0]
            await self._ask(self._settle(keys=self._keys(account), args=entry))
            # Another may have been dropped at the front meanwhile.
            with contextlib.suppress(ValueError):
                self._unsettled.remove((account, entry))

    async def _renew_all(self) -> None:
        accounts: dict[str, list[str]] = {}
        for lease, account in self._running.items():
            accounts.setdefault(account, []).append(lease)
        for account, leases in accounts.items():
            key = self._keys(account)[2]
            await self._ask(self._renew(keys=[key], args=[self._lease_ms, *leases]))
            # What ended while its lease was being renewed has it no longer.
            if ended := [lease for lease in leases if lease not in self._running]:
                await self._ask(cast(Awaitable[Any], self._redis.zrem(key, *ended)))


class RedisPermit:
    """A request in progress; `second` and `period` are those it was counted in."""

    def __init__(self, limiter: RedisLimiter, account: str, lease: str, reserved: int, second: int, period: int):
        self._limiter = limiter
        self._account = account
        self._lease = lease
        self._reserved = reserved
        self._counted_in = [second, period]
        self._over = False

    async def settle(self, tokens: int) -> None:
        await self._end(tokens - self._reserved, 0)

    async def cancel(self) -> None:
        """As if it had never been admitted."""
        await self._end(-self._reserved, -1)

    async def _end(self, tokens: int, requests: int) -> None:
        if not self._over:
            self._over = True
            await self._limiter.end(self._account, self._lease, [tokens, requests, *self._counted_in])


def _client(settings: LimitSettings) -> Redis:
    assert settings.redis is not None
    more: dict[str, Any] = {}
    if settings.redis_password_file is not None:
        try:
            more["password"] = settings.redis_password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServeError(
                f"{settings.redis_password_file}: cannot be read: {error}", "mend limits.redis_password_file"
            ) from None
    try:
        pool = BlockingConnectionPool.from_url(
            settings.redis,
            max_connections=CONNECTIONS,
            timeout=settings.redis_timeout_s,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            # Once more on a connection that has died since; the scripts may run twice.
            retry=Retry(NoBackoff(), 1),
            protocol=2,
            decode_responses=True,
            **more,
        )
    except ValueError as error:
        raise ServeError(f"limits.redis: {error}", "write redis://HOST:PORT/DB, rediss://… or unix:///PATH") from None
    return Redis(connection_pool=pool)
