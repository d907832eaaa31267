"""One vLLM process: started, probed and stopped. It never outlives the process that started it."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
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
from tianjing.files import make_folder

Progress = Callable[[str], None]
POLL_S = 0.25


class Engine:
    """`with Engine(config, log_path) as engine:` serves `config.model` at `engine.base_url` until the block ends.

    Args:
        api_key: the engine's secret; without one it gets a new one.

    Attributes:
        base_url: OpenAI-compatible root, "http://HOST:PORT/v1", or "unix:PATH" of its socket. It stays the same when
            the engine is started again, as the secret does.
        version: version of vLLM.
        start_seconds: how long the start took.
    """

    def __init__(
        self, config: EngineConfig, log_path: Path, on_progress: Progress | None = None, api_key: str | None = None
    ):
        self.config = config
        self.log_path = Path(log_path)
        self.api_key = api_key or secrets.token_urlsafe(24)
        self.base_url = f"unix:{config.uds.absolute()}" if config.uds else _tcp_url(config.host, config.port)
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
        """Start vLLM and wait until it answers; another thread may call `stop` meanwhile.

        Raises:
            EngineError: no such model folder, the port is in use, vLLM is missing, it ended early (with the
                last lines of its log) or did not answer in `start_timeout_s`.
        """
        require_model(self.config.model)
        self.version, is_cpu = vllm_version()
        port = self._take_address()
        make_folder(self.log_path.parent)
        began = time.monotonic()
        with open(self.log_path, "wb") as stream:
            process = spawn(
                arguments(self.config, port, is_cpu), environment(self.config, self.api_key, is_cpu), stream
            )
        self._process = process
        try:
            self._wait_until_ready(process, port, began)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def stop(self) -> None:
        """End the engine and everything it started; harmless when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            end(process)
            if self.config.uds:
                self.config.uds.unlink(missing_ok=True)

    def alive(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def _take_address(self) -> int:
        """The port to listen on, 0 with a unix socket."""
        if self.config.uds:
            self.config.uds.unlink(missing_ok=True)  # of an engine that was killed: vLLM would find it in use
            return 0
        # A second start keeps the address of the first: whoever knows it need not be told.
        port = int(self.base_url.rpartition(":")[2].removesuffix("/v1") or 0)
        if port:
            require_free_port(self.config.host, port)
        port = port or free_port(self.config.host)
        self.base_url = _tcp_url(self.config.host, port)
        return port

    def _wait_until_ready(self, process: subprocess.Popen[bytes], port: int, began: float) -> None:
        shown = ""
        while not self._answers(port):
            if process.poll() is not None:
                raise EngineError(
                    f"the engine ended while starting (status {process.returncode}):\n  {log.failure(self.log_path)}",
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
        """Whether it is our engine, knowing our secret, that answers there."""
        uds = self.config.uds
        connection = _UnixConnection(uds) if uds else http.client.HTTPConnection(self.config.host, port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {self.api_key}"})
            return connection.getresponse().status == 200
        return False


def _tcp_url(host: str, port: int) -> str:
    """ "" while the port is not chosen."""
    return f"http://{host}:{port}/v1" if port else ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path.absolute()))


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
