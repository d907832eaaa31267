"""The gateway as a process of its own, started by its public command, for the benchmarks of serving."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from serving.identity.bootstrap import VARIABLE
from tianjing.engine import free_port

KEY = "bench-key-0123456789abcdef"
MODEL = "tianjing"
START_TIMEOUT_S = 120


@dataclass
class Running:
    """A gateway that answers."""

    base_url: str
    process: subprocess.Popen[bytes]
    state: Path
    headers: Mapping[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {KEY}"})

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU so far, in the program and for it in the kernel, of the process and its children."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(one.user for one in times), sum(one.system for one in times)

    def rss_mib(self) -> float:
        """Resident memory."""
        return sum(process.memory_info().rss for process in self._processes()) / (1 << 20)

    def _processes(self) -> list[psutil.Process]:
        one = psutil.Process(self.pid)
        return [one, *one.children(recursive=True)]


@contextlib.contextmanager
def gateway(engine_url: str, state: Path | None = None, **settings: Any) -> Iterator[Running]:
    """`tianjing serve gateway CONFIG` in front of an engine that runs already, while the block lasts.

    Args:
        state: folder of its audit log, its queue and what it prints; a temporary one unless given.
        settings: further fields of ServeConfig.
    """
    with contextlib.ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serving-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = {
            "served_name": MODEL,
            "host": "127.0.0.1",
            "port": port,
            "state": str(folder),
            "engine": "external",
            "upstreams": [{"url": engine_url}],
            "require_release": False,
            **settings,
        }
        path = folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        with open(folder / "gateway.log", "ab") as log:
            command = [sys.executable, "-m", "tianjing", "serve", "gateway", str(path)]
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, VARIABLE: KEY})
        try:
            running = Running(f"http://127.0.0.1:{port}", process, folder)
            _await(running)
            yield running
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(running: Running) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    request = urllib.request.Request(f"{running.base_url}/ready", headers=dict(running.headers))
    while time.monotonic() < until:
        if running.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=5).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"the gateway did not start:\n{(running.state / 'gateway.log').read_text()[-3000:]}")
