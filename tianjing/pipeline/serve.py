"""Leave the result of a pipeline running as an endpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tianjing.engine import require_free_port
from tianjing.pipeline.config import PipelineConfig
from tianjing.pipeline.stages import weights


def check_port(port: int) -> None:
    """Fail before an hour of work when the port of the endpoint is taken."""
    require_free_port("127.0.0.1", port)


def serve_result(config: PipelineConfig, out: Path, port: int) -> int:
    """Serve the tuned model in the foreground until Ctrl-C; returns the endpoint's exit status."""
    command = [sys.executable, "-m", "tianjing", "serve", "run", str(weights(config.train, out))]
    command += ["--release", str(out / "release.json"), "--port", str(port)]
    command += ["--config", str(out / ".state" / "serve_check.yaml")]
    if not config.require_release:
        command.append("--allow-unreleased")
    endpoint = subprocess.Popen(command)
    while True:
        try:
            return endpoint.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C has reached the endpoint too: it stops its engine, then ends
