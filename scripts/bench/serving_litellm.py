"""The LiteLLM proxy with its Presidio guard in front of the played engine: the peer of serving_cost.py.

It needs an environment of its own, since its pins are not ours:

    python -m venv /tmp/peer && /tmp/peer/bin/pip install 'litellm[proxy]' presidio-analyzer presidio-anonymizer
    python scripts/bench/serving_cost.py --litellm /tmp/peer/bin/python

Set-up: one worker; a master key and no database; one model, the played engine as an OpenAI endpoint; the guard
`presidio` before the call and on the answer (`mode: [pre_call, post_call]`, `presidio_filter_scope: both`, on by
default, language zh); analyzer and anonymizer in one process beside it (serving_presidio.py). The price list is the one
in the wheel, telemetry and request logs are off. Its CPU is that of both processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from serving_gateway import KEY, MODEL

from tianjing.engine import free_port

START_TIMEOUT_S = 240


@dataclass
class Proxy:
    """A proxy that answers."""

    base_url: str
    processes: Sequence[psutil.Process]
    headers: Mapping[str, str]

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU so far, in the programs and for them in the kernel, of proxy and analyzer."""
        every = [one for process in self.processes for one in (process, *process.children(recursive=True))]
        times = [process.cpu_times() for process in every]
        return sum(one.user for one in times), sum(one.system for one in times)


@contextlib.contextmanager
def litellm(python: Path, engine_url: str) -> Iterator[Proxy]:
    """The proxy, while the block lasts.

    Args:
        python: interpreter of the environment that holds it.
    """
    presidio, port = free_port(), free_port()
    base = f"http://127.0.0.1:{presidio}/"
    config = {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {"model": "openai/mock", "api_base": f"{engine_url}/v1", "api_key": "none"},
            }
        ],
        "guardrails": [
            {
                "guardrail_name": "presidio",
                "litellm_params": {
                    "guardrail": "presidio",
                    "mode": ["pre_call", "post_call"],
                    "default_on": True,
                    "presidio_filter_scope": "both",
                    "presidio_language": "zh",
                    "presidio_analyzer_api_base": base,
                    "presidio_anonymizer_api_base": base,
                },
            }
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False, "disable_streaming_logging": True},
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context(open(folder / "log", "wb"))
        path = folder / "config.yaml"
        path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        environment.pop("PYTHONPATH", None)
        programs = (
            [str(python), str(Path(__file__).with_name("serving_presidio.py")), str(presidio)],
            [str(python.with_name("litellm")), "--config", str(path), "--host", "127.0.0.1", "--port", str(port)],
        )
        processes = []
        for program in programs:
            process = subprocess.Popen(program, stdout=log, stderr=log, env=environment)
            stack.callback(_end, process)
            processes.append(psutil.Process(process.pid))
        for url in (f"{base}health", f"http://127.0.0.1:{port}/health/liveliness"):
            _await(url, processes, folder / "log")
        yield Proxy(f"http://127.0.0.1:{port}", processes, {"authorization": f"Bearer {KEY}"})


def _await(url: str, processes: Sequence[psutil.Process], log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and all(process.is_running() for process in processes):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.2)
    raise SystemExit(f"the peer did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
