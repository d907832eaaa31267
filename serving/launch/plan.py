"""What an endpoint serves, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.config import ServeConfig
from serving.handoff.sqlite import FILE_NAME as QUEUE_FILE
from serving.handoff.sqlite import CaseQueue
from serving.identity.bootstrap import ApiKey
from tianjing.engine import EngineConfig


@dataclass(frozen=True)
class Endpoint:
    """What is served, under which release, with which key; where the hand-off queue and the engine's log lie.

    Attributes:
        model: None where the engines of `config.upstreams` run already.
    """

    model: Path | None
    config: ServeConfig
    state: Path
    key: ApiKey
    release: str
    log_folder: Path

    @property
    def queue(self) -> CaseQueue:
        return CaseQueue(self.state / QUEUE_FILE)


def engine_config(model: Path, config: ServeConfig, uds: Path | None = None) -> EngineConfig:
    """The engine's settings out of the endpoint's."""
    return EngineConfig(
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
