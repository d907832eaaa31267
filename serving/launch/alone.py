"""The engine without a gateway, and what a gateway without an engine can know of the weights."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from serving.config import ServeConfig
from serving.errors import ServeError
from tianjing.engine import Engine, EngineConfig
from tianjing.errors import EXIT_NOT_RELEASED, EXIT_STAGE_FAILED, TianjingError
from tianjing.lineage import verify_release

KEY_VARIABLE = "TIANJING_ENGINE_KEY"
MIN_KEY_CHARS = 16
WATCH_INTERVAL_S = 0.5


def serve_engine(
    config: EngineConfig, log: Path, on_progress: Callable[[str], None], on_ready: Callable[[str], None]
) -> None:
    """Run the engine until Ctrl-C or SIGTERM.

    Raises:
        EngineError: it does not start.
        ServeError: no secret, or the engine has ended: whoever runs this process starts it again.
        KeyboardInterrupt: stopped before it was ready.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < MIN_KEY_CHARS:
        raise ServeError(
            f"the engine's secret in {KEY_VARIABLE} has {len(key)} characters, at least {MIN_KEY_CHARS} are needed",
            "set it to the output of: openssl rand -base64 24; gateways are given the same by key_env or key_file",
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stop = threading.Event()
    with Engine(config, log, on_progress, key) as engine:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        on_ready(engine.base_url)
        while not stop.is_set():
            if not engine.alive():
                raise ServeError("the engine ended", f"its log is {engine.log_path}", exit_code=EXIT_STAGE_FAILED)
            stop.wait(WATCH_INTERVAL_S)


def require_release_elsewhere(config: ServeConfig) -> str:
    """Digest of the weights that the release of `config` promotes.

    The weights themselves lie where the engines run, and are checked there: `tianjing serve engine --release`.

    Raises:
        ServeError: no release, or one that does not promote.
    """
    remedy = "or serve knowingly without a release: --allow-unreleased"
    if config.release is None:
        raise ServeError("not released: no release is given", f"--release FILE; {remedy}", EXIT_NOT_RELEASED)
    try:
        release = verify_release(config.release, config.trusted, now=datetime.now(UTC))
    except TianjingError as error:
        raise ServeError(f"not released: {error.message}", f"{error.remedy}; {remedy}", EXIT_NOT_RELEASED) from None
    if release.verdict != "promote" or config.temperature > release.temperature:
        raise ServeError(
            f"not released: {config.release}: verdict '{release.verdict}' up to temperature {release.temperature:g}",
            f"evaluate again, or lower temperature; {remedy}",
            EXIT_NOT_RELEASED,
        )
    return release.merged
