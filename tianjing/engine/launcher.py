"""Main module of the engine process: `python -m tianjing.engine.launcher VLLM-ARGUMENTS…`.

The `vllm` command looks up a distribution named `vllm` and so crashes on the CPU wheel; this calls the
same entry point.
"""

from __future__ import annotations

import os
from typing import Any

from tianjing.engine.watchdog import die_with_parent

# Compute threads of the core on a CPU; set by `tianjing.engine.command`, absent on a GPU.
THREADS_VARIABLE = "TIANJING_CORE_THREADS"

# Also runs in a core that vLLM spawns (spawning imports the main module again): vLLM itself would let the
# core outlive its API server.
die_with_parent()


def main() -> None:
    threads = int(os.environ.pop(THREADS_VARIABLE, "0"))
    if threads:
        _fork_core(threads)
    from vllm.entrypoints.launchers.api_server.entry import main as serve

    serve()


def _fork_core(threads: int) -> None:
    """Let vLLM fork its core, as it does on a GPU, where its CPU platform would spawn it.

    A spawned core imports everything again: 10 of 30 s of a start and 0.25 GB, measured on two cores. Forking is
    unsafe only after OpenMP has started threads in the parent; the parent runs with one thread, so it never does,
    and the core takes its own number before it computes.
    """
    import torch
    import vllm.v1.engine.core  # noqa: F401  imported once, for both processes
    from vllm.platforms.cpu import CpuPlatform

    platform: Any = CpuPlatform
    update = platform.check_and_update_config

    def update_and_fork(config: object) -> None:
        update(config)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"

    platform.check_and_update_config = staticmethod(update_and_fork)

    def in_core() -> None:
        die_with_parent()
        torch.set_num_threads(threads)

    os.register_at_fork(after_in_child=in_core)


if __name__ == "__main__":
    main()
