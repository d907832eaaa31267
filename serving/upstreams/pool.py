"""The engines behind the gateway: groups, health checks, choice, and another try before the first byte."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from serving.errors import ApiError, ServeError
from serving.upstreams.reply import EngineReply
from serving.upstreams.settings import PoolSettings, UpstreamSettings
from serving.upstreams.upstream import Failed, Upstream, UpstreamState

DRAIN_POLL_S = 0.05
Result = TypeVar("Result")


class Pool:
    """Engines in groups; implements `serving.upstreams.base.Upstreams`.

    Engines can be added, changed and removed while requests run. Everything runs in the event loop that called `open`;
    from another thread only `submit`, `run` and `break_off_soon` may be called.

    Args:
        upstreams: engines with their secrets.
        timeout_s: seconds that an engine may be silent.
    """

    def __init__(
        self,
        upstreams: Iterable[tuple[UpstreamSettings, str]] = (),
        settings: PoolSettings | None = None,
        timeout_s: float = 300,
    ):
        self._settings = settings or PoolSettings()
        self._timeout_s = timeout_s
        self._engines: dict[str, Upstream] = {}
        self._leaving: set[Upstream] = set()
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened = threading.Event()
        for one, secret in upstreams:
            self._put(one, secret)

    async def open(self) -> None:
        """Check every engine once, then keep checking."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(engine.check() for engine in self._engines.values()))
        for engine in self._engines.values():
            self._watch(engine)
        self._opened.set()

    async def close(self) -> None:
        self._opened.clear()
        checks = list(self._checks.values())
        self._checks.clear()
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        for engine in self._all():
            engine.close()

    async def ready(self) -> bool:
        """Whether some engine of every group passes its health check."""
        groups = {engine.settings.group for engine in self._engines.values()}
        return bool(groups) and all(any(engine.health.up for engine in self._of(group)) for group in groups)

    @asynccontextmanager
    async def ask(
        self, group: str, path: str, payload: dict[str, Any], headers: dict[str, str] | None = None
    ) -> AsyncIterator[EngineReply]:
        """Send a request to an engine of the group; leaving the block early makes it stop generating.

        Another engine is asked when one cannot be reached, is overloaded, or breaks off before its first piece; after
        the last only once, because the request itself may be what broke it. A silent engine is not stood in for: it may
        be at work, and the caller has waited long enough. When an engine that failed is gone with it, as a health check
        shows, the caller is told to come back: 503.

        Raises:
            ApiError: 400 with the engine's reason; 502, 503 (with `retry_after_s`) or 504.
        """
        reply = await self._begin(group, path, self.encode(payload), headers or {})
        try:
            yield reply
        finally:
            reply.close()

    def encode(self, payload: dict[str, Any]) -> bytes:
        """The very bytes that an engine gets."""
        return json.dumps(payload, ensure_ascii=False).encode()

    async def add(self, one: UpstreamSettings, secret: str) -> None:
        """Add an engine; requests go there from its first passed health check on.

        Raises:
            ServeError: the name is taken.
        """
        engine = self._put(one, secret)
        await engine.check()
        self._watch(engine)

    async def remove(self, name: str, drain_s: float) -> bool:
        """Send no more requests to an engine, wait until those in progress end, and drop it.

        Returns:
            Whether all of them ended within `drain_s`; the others broke off with an error for their callers.
        """
        engine = self._engines.pop(name, None)
        if engine is None:
            return True
        if (check := self._checks.pop(name, None)) is not None:
            check.cancel()
        engine.draining = True
        self._leaving.add(engine)
        deadline = asyncio.get_running_loop().time() + drain_s
        while engine.in_progress and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(DRAIN_POLL_S)
        drained = engine.in_progress == 0
        engine.close()
        self._leaving.discard(engine)
        return drained

    async def apply(self, wanted: Iterable[tuple[UpstreamSettings, str]], drain_s: float) -> list[str]:
        """Make the engines those of `wanted`; what did not change goes on undisturbed.

        Returns:
            What was done, a line for each engine added, changed or removed.
        """
        named = {one.label: (one, secret) for one, secret in wanted}
        done, leaving = [], []
        for name, engine in list(self._engines.items()):
            if named.get(name) == (engine.settings, engine.secret):
                del named[name]
                continue
            done.append(f"{'changed' if name in named else 'removed'} {name}")
            leaving.append(asyncio.ensure_future(self.remove(name, drain_s)))
        await asyncio.sleep(0)  # the old ones give their names away before they wait for their last requests
        for name, (one, secret) in named.items():
            await self.add(one, secret)
            done += [] if f"changed {name}" in done else [f"added {name}"]
        await asyncio.gather(*leaving)
        return done

    def break_off(self, reason: str) -> None:
        """Every answer in progress ends with an error that tells `reason`."""
        for engine in self._all():
            for reply in list(engine.replies):
                reply.break_off(reason)

    def snapshot(self) -> tuple[UpstreamState, ...]:
        """The engines as they are now."""
        return tuple(engine.state() for engine in self._all())

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """From another thread: run a coroutine of this pool in its event loop, once that is there."""
        self._opened.wait()
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """As `submit`, and wait for the result."""
        return self.submit(work).result()

    def break_off_soon(self, reason: str) -> None:
        """`break_off` from another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.break_off, reason)

    async def _begin(self, group: str, path: str, body: bytes, headers: dict[str, str]) -> EngineReply:
        tried: set[str] = set()
        broke, fresh, failure = False, False, None
        while (engine := self._choose(group, tried)) is not None:
            try:
                return await engine.begin(path, body, headers, fresh=fresh)
            except Failed as error:
                failure, failed = error.error, engine
                if not error.elsewhere or (error.sent and broke):
                    break
                broke, fresh = broke or error.sent, fresh or error.stale
                if not error.stale:
                    tried.add(engine.name)
        if failure is None:
            raise self._none(group)
        if failure.status == 502 and not await failed.alive():
            message = "the engine broke off and is gone; try again"
            raise ApiError(503, message, code="engine_unreachable", retry_after_s=failed.health.wait_s())
        raise failure

    def _choose(self, group: str, tried: set[str]) -> Upstream | None:
        """The less loaded of two engines, drawn by weight: near the least loaded of all, and no herd runs to one."""
        free = [engine for engine in self._of(group) if engine.name not in tried and engine.usable]
        if len(free) > 2:
            free = random.choices(free, [engine.settings.weight for engine in free], k=2)
        return min(free, key=lambda engine: engine.load, default=None)

    def _none(self, group: str) -> ApiError:
        engines = [engine for engine in self._of(group) if not engine.draining]
        if any(engine.health.usable() for engine in engines):
            return ApiError(503, "every engine is full; try again", code="engine_overloaded", retry_after_s=1)
        after_s = min((engine.health.wait_s() for engine in engines), default=self._settings.eject_s)
        return ApiError(503, "no engine answers now; try again", code="engine_unreachable", retry_after_s=after_s)

    def _all(self) -> list[Upstream]:
        return [*self._engines.values(), *self._leaving]

    def _others(self, engine: Upstream) -> bool:
        return any(other.usable for other in self._of(engine.settings.group) if other is not engine)

    def _of(self, group: str) -> list[Upstream]:
        return [engine for engine in self._engines.values() if engine.settings.group == group]

    def _put(self, one: UpstreamSettings, secret: str) -> Upstream:
        if one.label in self._engines:
            raise ServeError(f"two upstreams are called '{one.label}'", "give each a name of its own")
        engine = Upstream(one, secret, self._settings, self._timeout_s, self._others)
        self._engines[engine.name] = engine
        return engine

    def _watch(self, engine: Upstream) -> None:
        self._checks[engine.name] = asyncio.ensure_future(self._keep_checking(engine))

    async def _keep_checking(self, engine: Upstream) -> None:
        while True:
            # Gateways that started together do not check together.
            await asyncio.sleep(self._settings.health_interval_s * random.uniform(0.8, 1.2))
            await engine.check()
