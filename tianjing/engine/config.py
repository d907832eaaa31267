"""Settings of one vLLM engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tianjing.config import StrictModel
from tianjing.models.precision import Precision

# A socket's address holds 108 bytes, the final NUL included.
MAX_SOCKET_PATH_BYTES = 107


class EngineConfig(StrictModel):
    """How a model folder is served by vLLM on this machine."""

    model: Path
    """Folder of a model: config.json, safetensors weights, tokenizer and chat template."""

    served_name: str = "tianjing"
    """Name that requests give in their `model` field."""

    adapter: Path | None = None
    """Folder of a LoRA adapter of `model`, served beside it under the name `adapter_name`. Needs memory and time of its
    own: on a CPU, merged weights are several times faster."""

    adapter_name: str = "adapter"
    """Name that requests give for the adapter."""

    runtime_lora: bool = False
    """Whether adapters may be loaded while the engine runs, from below `adapter_root`, by who knows its secret. Only
    with one API server: several do not tell one another what is loaded."""

    adapter_root: Path | None = None
    """Folder, of this user alone, below which adapters are loaded from; needed with `runtime_lora`."""

    max_loras: int = Field(default=3, ge=1)
    """Adapters held at once with `runtime_lora`: stable, a canary, and one that is on its way out. Each takes memory
    for `max_lora_rank`."""

    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 64
    """Largest rank of an adapter with `runtime_lora`; the engine's buffers are sized by it."""

    host: str = "127.0.0.1"
    """Address to listen on. Keep loopback: the engine is for this machine's own processes."""

    port: int = Field(default=0, ge=0, le=65535)
    """TCP port; 0 takes a free one."""

    uds: Path | None = None
    """Unix socket to listen on instead of `host` and `port`. Whoever may enter its folder may connect."""

    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that share each layer of the model; unused on a CPU."""

    data_parallel: int = Field(default=1, ge=1)
    """Copies of the model, each on its own `tensor_parallel` GPUs, behind one address; unused on a CPU."""

    max_model_len: int = Field(default=2048, ge=16)
    """Tokens of prompt plus answer; longer requests are refused, and memory grows with it."""

    max_num_seqs: int = Field(default=32, ge=1)
    """Requests decoded together; more gives throughput until the key-value cache is full."""

    kv_cache_gib: float = Field(default=1.0, gt=0)
    """GiB of key-value cache on a CPU; too little makes requests wait. A GPU sizes its own from `gpu_memory`."""

    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory that the engine may take; unused on a CPU."""

    cpu_threads: int = Field(default=0, ge=0)
    """Compute threads on a CPU; 0 takes every core this process may use."""

    dtype: Precision | None = None
    """Number format of weights, adapter, activations and cache; None takes the machine's own
    (`tianjing.models.precision`). float32 where the machine's own is bfloat16 is for checks: it takes twice the memory,
    and what it answers is not what is served."""

    seed: int = 0
    """Seed of sampling for requests that bring none."""

    start_timeout_s: float = Field(default=300, gt=0)
    """Seconds until a start is given up; a large model from a cold disk needs more."""

    @model_validator(mode="after")
    def _root_of_adapters(self) -> Self:
        if self.runtime_lora and self.adapter_root is None:
            raise ValueError("runtime_lora needs adapter_root, the folder that adapters may be loaded from")
        return self

    @field_validator("uds")
    @classmethod
    def _fits(cls, uds: Path | None) -> Path | None:
        if uds is not None and len(bytes(uds.absolute())) > MAX_SOCKET_PATH_BYTES:
            raise ValueError(f"the path of a unix socket has at most {MAX_SOCKET_PATH_BYTES} bytes")
        return uds
