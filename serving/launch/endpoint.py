"""The endpoint as a foreground process: engine on loopback with its own secret, gateway in front of it."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from serving.adapters.base import OneModel, Target
from serving.app import create_app
from serving.audit.base import NoAudit, NoVault
from serving.config import ServeConfig
from serving.errors import ServeError
from serving.gateway import Gateway
from serving.guard.base import Guards
from serving.guard.factory import GuardFactory
from serving.guard.settings import GuardSettings
from serving.handoff.api import doors as case_doors
from serving.handoff.local import LocalDesk
from serving.handoff.sqlite import FILE_NAME as QUEUE_FILE
from serving.handoff.sqlite import CaseQueue
from serving.identity.bootstrap import ApiKey
from serving.limits.base import Unlimited
from serving.observe.base import Unobserved
from serving.upstreams.base import Upstreams
from serving.upstreams.client import Upstream
from tianjing.engine import Engine, EngineConfig, reserve_port
from tianjing.errors import EXIT_STAGE_FAILED

LOG_FILE = "engine.log"
WATCH_INTERVAL_S = 0.5
# Answers in progress get this long to end when the endpoint stops.
DRAIN_S = 5


@dataclass(frozen=True)
class Endpoint:
    """What is served, under which release, with which key; where the hand-off queue and the engine's log lie."""

    model: Path
    config: ServeConfig
    state: Path
    key: ApiKey
    release: str
    log_folder: Path

    @property
    def queue(self) -> CaseQueue:
        return CaseQueue(self.state / QUEUE_FILE)

    def engine_config(self) -> EngineConfig:
        return EngineConfig(
            model=self.model,
            served_name=self.config.served_name,
            max_model_len=self.config.max_model_len,
            max_num_seqs=self.config.max_num_seqs,
            kv_cache_gib=self.config.kv_cache_gib,
            seed=self.config.seed,
            start_timeout_s=self.config.start_timeout_s,
        )


@contextlib.contextmanager
def running(
    endpoint: Endpoint, on_progress: Callable[[str], None], upstream: type[Upstream] = Upstream
) -> Iterator[tuple[str, Engine, Upstream]]:
    """Base URL of the endpoint, its engine, and the gateway's way to it, while the block lasts.

    Raises:
        EngineError: the port is in use (found before the model is loaded), or the engine does not start.
        RulebookError: a rule pack is wrong.
    """
    config = endpoint.config
    guards = GuardFactory(GuardSettings(rule_packs=config.rule_packs, institution=config.institution))
    with (
        reserve_port(endpoint.config.host, endpoint.config.port) as sock,
        Engine(endpoint.engine_config(), endpoint.log_folder / LOG_FILE, on_progress) as engine,
    ):
        door = upstream(engine.base_url, engine.api_key, endpoint.config.upstream_timeout_s)
        gateway = compose(endpoint, door, guards)
        with listening(create_app(gateway, case_doors(endpoint.queue)), sock) as base_url:
            yield base_url, engine, door


def compose(endpoint: Endpoint, door: Upstreams, guards: Guards) -> Gateway:
    """The gateway with all its parts."""
    config = endpoint.config
    return Gateway(
        config=config,
        identity=endpoint.key,
        limiter=Unlimited(),
        router=OneModel(config.served_name, Target(config.served_name, release=endpoint.release)),
        guards=guards,
        desk=LocalDesk(endpoint.queue),
        upstreams=door,
        audit=NoAudit(),
        vault=NoVault(),
        observer=Unobserved(),
    )


@contextlib.contextmanager
def listening(app: ASGIApp, sock: socket.socket) -> Iterator[str]:
    """Serve `app` on `sock` in a thread of its own; gives the base URL."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=DRAIN_S
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="gateway", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ServeError("the gateway did not start", "see the messages above", exit_code=EXIT_STAGE_FAILED)
            time.sleep(0.02)
        host, port = sock.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()


def serve(endpoint: Endpoint, on_progress: Callable[[str], None], on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, then stop gateway and engine.

    Args:
        on_progress: told each phase of the start.
        on_ready: told the base URL once requests are answered.

    Raises:
        EngineError: as `running`.
        ServeError: the engine ended while serving.
        KeyboardInterrupt: stopped before it was ready.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with running(endpoint, on_progress) as (base_url, engine, _):
        # Rules and tables live as long as the process; the garbage collector need not go through them again and again.
        gc.collect()
        gc.freeze()
        on_ready(base_url)
        with contextlib.suppress(KeyboardInterrupt):
            while engine.alive():
                time.sleep(WATCH_INTERVAL_S)
            raise ServeError(
                "the engine ended while serving", f"its log is in {engine.log_path}", exit_code=EXIT_STAGE_FAILED
            )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
