"""What a folder of weights is, and whether an engine could serve it."""

from __future__ import annotations

import json
from pathlib import Path

from serving.adapters.state import Kind
from serving.errors import ServeError
from tianjing.engine.command import max_lora_rank
from tianjing.lora import unserved

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20


def kind_of(folder: Path) -> Kind:
    """Whether `folder` holds an adapter or merged weights.

    Raises:
        ServeError: neither.
    """
    if (folder / _CONFIG).is_file():
        return "adapter"
    if (folder / "config.json").is_file():
        return "merged"
    raise ServeError(
        f"{folder}: neither an adapter ({_CONFIG}) nor a model (config.json)",
        "give the folder that 'tianjing train run' or 'tianjing train merge' wrote",
    )


def require_servable(folder: Path, kind: Kind, max_rank: int) -> None:
    """Check an adapter against what the engine refuses; merged weights are for the engine's start to judge.

    Args:
        max_rank: what the engine was started with (`--max-lora-rank`).

    Raises:
        ServeError: naming the field of adapter_config.json and what to do.
        EngineError: the adapter has no rank, or one that vLLM does not serve at all.
    """
    if kind == "merged":
        if not any(folder.glob("*.safetensors")):
            raise ServeError(f"{folder}: no *.safetensors weights", "merge again; pickled weights are not loaded")
        return
    if not (folder / _WEIGHTS).is_file():
        raise ServeError(f"{folder}: no {_WEIGHTS}", "save the adapter as safetensors; pickled weights are not loaded")
    max_lora_rank(folder)
    path = folder / _CONFIG
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise ServeError(f"{path}: larger than {_MAX_CONFIG_BYTES} bytes", "give the configuration that peft wrote")
    if found := unserved(json.loads(path.read_text(encoding="utf-8")), max_rank):
        raise ServeError(f"{path}: '{found[0].field}': {found[0].why}", "or merge it, and serve the merged weights")
