"""What an endpoint serves, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.adapters.state import Version
from serving.config import ServeConfig
from serving.identity.bootstrap import ApiKey
from tianjing.engine import EngineConfig


@dataclass(frozen=True)
class Endpoint:
    """What is served, under which release, with which key; where everything durable and the engine's log lie.

    Attributes:
        model: None where the engines of `config.upstreams` run already.
        key: the endpoint's own; None where a keyring has all.
        weights: of `model`, and why they may be served; None with it.
        release: digest of the released weights, "none" without a release.
    """

    model: Path | None
    config: ServeConfig
    state: Path
    key: ApiKey | None
    weights: Version | None
    release: str
    log_folder: Path


def engine_config(
    model: Path, config: ServeConfig, uds: Path | None = None, adapter_root: Path | None = None
) -> EngineConfig:
    """The engine's settings out of the endpoint's; adapters are loaded at run time only from `adapter_root`."""
    loads = config.runtime_lora and adapter_root is not None
    return EngineConfig(
        runtime_lora=loads,
        adapter_root=adapter_root if loads else None,
        max_loras=config.max_loras,
        max_lora_rank=config.max_lora_rank,
        model=model,
        served_name=config.served_name,
        uds=uds,
        tensor_parallel=config.tensor_parallel,
        data_parallel=config.data_parallel,
        max_model_len=config.max_model_len,
        max_num_seqs=config.max_num_seqs,
        kv_cache_gib=config.kv_cache_gib,
        seed=config.seed,
        start_timeout_s=config.start_timeout_s,
    )
