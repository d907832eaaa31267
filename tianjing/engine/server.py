"""One vLLM process: started, probed and stopped. It never outlives the process that started it."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from tianjing.engine import log, watchdog
from tianjing.engine.command import arguments, environment, vllm_version
from tianjing.engine.config import EngineConfig
from tianjing.engine.errors import EngineError
from tianjing.engine.ports import free_port, require_free_port
from tianjing.errors import EXIT_BAD_INPUT

Progress = Callable[[str], None]
POLL_S = 0.25


class Engine:
    """`with Engine(config, log_path) as engine:` serves `config.model` at `engine.base_url` until the block ends.

    Attributes:
        base_url: OpenAI-compatible root, "http://HOST:PORT/v1".
        api_key: the secret of this engine, new at every start.
        version: version of vLLM.
        start_seconds: how long the start took.
    """

    def __init__(self, config: EngineConfig, log_path: Path, on_progress: Progress | None = None):
        self.config = config
        self.log_path = Path(log_path)
        self.api_key = secrets.token_urlsafe(24)
        self.base_url = ""
        self.version = ""
        self.start_seconds = 0.0
        self._report = on_progress or (lambda phase: None)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start vLLM and wait until it answers.

        Raises:
            EngineError: no such model folder, the port is in use, vLLM is missing, it ended early (with the
                last lines of its log) or did not answer in `start_timeout_s`.
        """
        require_model(self.config.model)
        self.version, is_cpu = vllm_version()
        if self.config.port:
            require_free_port(self.config.host, self.config.port)
        port = self.config.port or free_port(self.config.host)
        self.base_url = f"http://{self.config.host}:{port}/v1"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with open(self.log_path, "wb") as stream:
            self._process = spawn(
                arguments(self.config, port, is_cpu), environment(self.config, self.api_key, is_cpu), stream
            )
        try:
            self._wait_until_ready(port, began)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def stop(self) -> None:
        """End the engine and everything it started; harmless when it is not running."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _wait_until_ready(self, port: int, began: float) -> None:
        assert self._process is not None
        shown = ""
        while not self._answers(port):
            if self._process.poll() is not None:
                raise EngineError(
                    f"the engine ended while starting (status {self._process.returncode}):\n  "
                    f"{log.failure(self.log_path)}",
                    f"the whole log is in {self.log_path}",
                )
            if time.monotonic() - began > self.config.start_timeout_s:
                raise EngineError(
                    f"the engine did not answer within {self.config.start_timeout_s:g} s; it was {shown}",
                    f"raise start_timeout_s, or read {self.log_path}",
                    transient=True,
                )
            current = log.phase(self.log_path.read_text(errors="replace"))
            if current != shown:
                shown = current
                self._report(shown)
            time.sleep(POLL_S)

    def _answers(self, port: int) -> bool:
        """Whether it is our engine, knowing our secret, that answers on the port."""
        connection = http.client.HTTPConnection(self.config.host, port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {self.api_key}"})
            return connection.getresponse().status == 200
        return False


def require_model(folder: Path) -> None:
    """Raises EngineError unless `folder` looks like a model that vLLM can load."""
    if not folder.is_dir():
        raise EngineError(f"{folder}: no such model folder", "give the folder of a model", exit_code=EXIT_BAD_INPUT)
    if not (folder / "config.json").is_file():
        raise EngineError(
            f"{folder}: not a model folder: config.json is missing",
            "give the folder that 'tianjing train merge' or 'tianjing models fetch' wrote",
            exit_code=EXIT_BAD_INPUT,
        )


def spawn(command: list[str], env: dict[str, str] | None, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Run `command` under the watchdog: it ends with `end`, or when this process ends in any way."""
    guarded = [sys.executable, "-I", "-S", watchdog.__file__, *command]
    return subprocess.Popen(
        guarded, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Orderly end of a spawned command; forced when it does not go in time."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(b"stop\n")
        process.stdin.flush()
    try:
        process.wait(watchdog.STOP_GRACE_S + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(OSError):
        process.stdin.close()
