"""The endpoint as a foreground process: the gateway, and behind it an engine of its own or engines that run already.

Threads: the main one waits for signals and for the engine's end; the gateway's runs the event loop and everything that
answers requests; each engine of our own is watched by one more. They share nothing but the pool, which others than the
gateway's thread enter through `Pool.run` and `Pool.submit` alone.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from serving.adapters.compose import adapter_root
from serving.adapters.registry import Registry
from serving.edge.server import Listener
from serving.errors import ServeError
from serving.launch.compose import compose
from serving.launch.fleet import Fleet
from serving.launch.plan import Endpoint
from serving.launch.reload import Reloader
from serving.upstreams.pool import Pool
from tianjing.engine import reserve_port
from tianjing.errors import EXIT_STAGE_FAILED

TICK_S = 1.0
SWITCH_S = 0.0002
STOPPING = "the endpoint is being stopped"

# What the main thread waits for; an error ends the endpoint.
Message = Literal["stop", "reload"] | ServeError
# Unlike other queues, it may be put into from a signal handler.
Inbox = queue.SimpleQueue[Message]


@dataclass(frozen=True)
class Running:
    """An endpoint that answers."""

    base_url: str
    pool: Pool


@contextlib.contextmanager
def running(
    endpoint: Endpoint,
    on_progress: Callable[[str], None],
    pool_type: type[Pool] = Pool,
    inbox: Inbox | None = None,
) -> Iterator[Running]:
    """The endpoint while the block lasts. The gateway answers at once, and says 503 until its engine is there.

    Args:
        inbox: where the end of the engine is told; a "stop" found there while answers end cuts them short.

    Raises:
        EngineError: the port is in use (found before the model is loaded), or the engine does not start.
        RulebookError: a rule pack is wrong.
        ServeError: an engine's secret is missing, or the gateway does not start.
    """
    config = endpoint.config
    messages: Inbox = inbox or queue.SimpleQueue()
    pool = pool_type([(one, one.secret()) for one in config.upstreams], config.pool, config.upstream_timeout_s)
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(reserve_port(config.host, config.port, shared=config.reuse_port))
        fleet: Fleet | None = None
        if endpoint.model is not None:
            fleet = Fleet(
                endpoint.model,
                config,
                pool,
                endpoint.log_folder,
                on_progress,
                on_end=lambda reason: messages.put(_ended(reason)),
                adapter_root=adapter_root(endpoint.state),
            )
            stack.callback(fleet.close)  # after the gateway: its last answers need the engine
        composed = compose(endpoint, pool, fleet)
        listener = Listener(composed.app, sock, config.edge, config.drain_s, lambda: pool.break_off_soon(STOPPING))
        stack.callback(listener.stop, lambda: _told_to_stop(messages))
        base_url = listener.start()
        if fleet is not None:
            registry = composed.registry
            assert registry is not None
            # What was loaded into an engine goes with it.
            fleet.on_restart = lambda: _reloaded(pool, registry)
            fleet.start_first()
            _reloaded(pool, registry)
        yield Running(base_url, pool)


def _reloaded(pool: Pool, registry: Registry) -> None:
    pool.submit(registry.reload())


def serve(
    endpoint: Endpoint,
    on_progress: Callable[[str], None],
    on_ready: Callable[[str], None],
    make_reloader: Callable[[Pool], Reloader] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; then let answers end, and stop gateway and engine.

    SIGHUP, or a change of its file, has the configuration read again.

    Args:
        on_progress: told each phase of the start.
        on_ready: told the base URL once requests are answered.

    Raises:
        EngineError: as `running`.
        ServeError: the engine ended while serving, too often to be started again.
        KeyboardInterrupt: stopped before it was ready.
    """
    inbox: Inbox = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, _interrupt)
    with running(endpoint, on_progress, inbox=inbox) as up:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: inbox.put("stop"))
        signal.signal(signal.SIGHUP, lambda *_: inbox.put("reload"))
        reloader = make_reloader(up.pool) if make_reloader else None
        # Rules and tables live as long as the process; the garbage collector need not go through them again and again.
        gc.collect()
        gc.freeze()
        # The account's writer asks for the interpreter several times a record; by default it would get it from a busy
        # event loop after 5 ms each time.
        sys.setswitchinterval(SWITCH_S)
        on_ready(up.base_url)
        _wait(inbox, reloader)


def _wait(inbox: Inbox, reloader: Reloader | None) -> None:
    """Until it is time to stop; raises the error that ends the endpoint."""
    while True:
        try:
            message = inbox.get(timeout=TICK_S)
        except queue.Empty:
            if reloader is not None:
                reloader.look()
            continue
        if isinstance(message, ServeError):
            raise message
        if message == "stop":
            return
        if reloader is not None:
            reloader.reload()


def _told_to_stop(inbox: Inbox) -> bool:
    with contextlib.suppress(queue.Empty):
        return inbox.get_nowait() == "stop"
    return False


def _ended(reason: str) -> ServeError:
    return ServeError(
        f"the engine is given up: {reason}",
        "mend what its log tells; max_restarts and restart_window_s set how often it is started again",
        exit_code=EXIT_STAGE_FAILED,
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
