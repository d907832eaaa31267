"""The gateway of `serving_faults.py`: a process that forks a fresh gateway quickly, however often one is killed.

    python scripts/bench/serving_faults_gateway.py CONFIG.yaml STATE

Loads the rules once, then forks a gateway for each line on standard input and prints `PID URL` when it answers. A
forked gateway is what `tianjing serve gateway` runs, from `serving.launch.endpoint.running` on. SIGUSR1 puts its clock
an hour forward, SIGUSR2 an hour back.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from serving.config import ServeConfig
from serving.guard.factory import GuardFactory
from serving.identity.bootstrap import key_from
from serving.launch import compose as composing
from serving.launch import endpoint as launch
from serving.launch.plan import Endpoint
from tianjing.config import load

KEY = "fault-bench-0123456789"
HOUR_S = 3600.0


def main() -> None:
    config, state = load(ServeConfig, Path(sys.argv[1])), Path(sys.argv[2])
    guards = GuardFactory(config.guard)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("loaded", flush=True)
    for _ in sys.stdin:
        if os.fork() == 0:
            try:
                _gateway(config, state, guards)
            finally:
                os._exit(1)


def _gateway(config: ServeConfig, state: Path, guards: GuardFactory) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the bench's
    offset = 0.0
    real = time.time

    def jump(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    time.time = lambda: real() + offset
    signal.signal(signal.SIGUSR1, lambda *_: jump(HOUR_S))
    signal.signal(signal.SIGUSR2, lambda *_: jump(-HOUR_S))
    composing.GuardFactory = lambda *_: guards  # type: ignore[assignment,misc]
    plan = Endpoint(None, config, state, key_from(KEY), None, "none", state)
    with launch.running(plan, lambda phase: None) as up:
        print(os.getpid(), up.base_url, flush=True)
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(0.2)
    os._exit(0)


if __name__ == "__main__":
    main()
