"""The engines that this endpoint runs itself: each supervised, each a group of the pool."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from serving.adapters.engines import Weights
from serving.config import ServeConfig
from serving.errors import ServeError
from serving.launch.plan import engine_config
from serving.launch.supervisor import Supervisor
from serving.upstreams.pool import Pool
from serving.upstreams.settings import UpstreamSettings
from tianjing.engine import Engine, free_port
from tianjing.engine.config import MAX_SOCKET_PATH_BYTES

FIRST = "default"

_log = logging.getLogger(__name__)


class Fleet:
    """Starts engines, makes them known to `pool`, and stops them; implements `serving.adapters.engines.Engines`.

    Args:
        model: what the first engine serves, and the base of adapters.
        logs: folder of the engines' logs.
        on_progress: told each phase of the first engine's start.
        on_end: called when the first engine has ended for good, from the thread that watched it.
        adapter_root: folder that the first engine may load adapters from while it runs.

    Attributes:
        on_restart: called when the first engine answers again after its end, from the thread that watches it: adapters
            that were loaded into it are gone.
    """

    def __init__(
        self,
        model: Path,
        config: ServeConfig,
        pool: Pool,
        logs: Path,
        on_progress: Callable[[str], None],
        on_end: Callable[[str], None],
        adapter_root: Path | None = None,
    ):
        self._adapter_root = adapter_root
        self.on_restart: Callable[[], None] = lambda: None
        self._model = model
        self._config = config
        self._pool = pool
        self._logs = logs
        self._engines: dict[str, Supervisor] = {}
        self._sockets = Path(tempfile.mkdtemp(prefix="tianjing-")) if config.engine_socket else None
        self._supervisor(FIRST, model, None, on_progress, on_end, lambda: self.on_restart())

    @property
    def first(self) -> Engine:
        """The engine of `model`; its address and secret are known before it is started."""
        return self._engines[FIRST].engine

    def start_first(self) -> None:
        """Start the engine of `model` as the group "default"; not to be called in the gateway's thread.

        Raises:
            EngineError: it does not start.
        """
        supervisor = self._engines[FIRST]
        supervisor.start()
        self._pool.run(self._pool.add(_upstream(FIRST, supervisor), supervisor.engine.api_key))

    async def start(self, weights: Weights) -> str:
        """Start an engine for `weights`, with as much memory as the first; returns its group once it answers.

        Raises:
            TianjingError: it does not start; nothing of it is left.
        """
        group = weights.engine_name
        supervisor = self._supervisor(
            group,
            self._model if weights.kind == "adapter" else weights.folder,
            adapter=weights.folder if weights.kind == "adapter" else None,
            on_end=lambda reason: _log.error("the engine of %s is given up: %s", group, reason),
        )
        try:
            await asyncio.to_thread(supervisor.start)
            await self._pool.add(_upstream(group, supervisor), supervisor.engine.api_key)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._end, group))
            raise
        return group

    async def stop(self, group: str) -> None:
        """Let the group's requests end, take it from the pool, and stop its engine; harmless when there is none."""
        await self._pool.remove(group, self._config.drain_s)
        await asyncio.to_thread(self._end, group)

    def close(self) -> None:
        """Stop every engine."""
        for group in list(self._engines):
            self._end(group)
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _supervisor(
        self,
        group: str,
        model: Path,
        adapter: Path | None = None,
        on_progress: Callable[[str], None] | None = None,
        on_end: Callable[[str], None] = lambda reason: None,
        on_restart: Callable[[], None] = lambda: None,
    ) -> Supervisor:
        root = self._adapter_root if group == FIRST else None
        settings = engine_config(model, self._config, self._socket(group), root)
        if settings.uds is None:
            settings = settings.model_copy(update={"port": free_port()})
        if adapter is not None:
            settings = settings.model_copy(update={"adapter": adapter, "adapter_name": group})
        elif group != FIRST:
            settings = settings.model_copy(update={"served_name": group})
        log = self._logs / ("engine.log" if group == FIRST else f"engine-{group}.log")
        self._engines[group] = Supervisor(settings, log, self._config, on_progress, on_end, on_restart)
        return self._engines[group]

    def _socket(self, group: str) -> Path | None:
        """In a folder of this user alone, with a short name: the state folder's may be too long for a socket."""
        if self._sockets is None:
            return None
        path = self._sockets / f"{secrets.token_hex(4)}-{group[:32]}"
        if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
            raise ServeError(
                f"{path}: longer than the path of a unix socket may be",
                "set TMPDIR to a shorter folder, or engine_socket: false",
            )
        return path

    def _end(self, group: str) -> None:
        if (supervisor := self._engines.pop(group, None)) is not None:
            supervisor.stop()


def _upstream(group: str, supervisor: Supervisor) -> UpstreamSettings:
    return UpstreamSettings(url=supervisor.engine.base_url, name=group, group=group)
