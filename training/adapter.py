"""The files of a trained adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tianjing.files import atomic_write

KIND = "adapter"


def save(model: Any, tokenizer: Any, folder: Path, base: str, weights: dict[str, Any] | None) -> None:
    """Write the adapter of `model`, tuned on the base of that name, with the tokenizer.

    Args:
        weights: the whole tensors, where each process holds shards of them.
    """
    model.save_pretrained(folder, state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card; the manifest says more
    settle_config(folder / "adapter_config.json", base)
    tokenizer.save_pretrained(folder)


def settle_config(path: Path, base: str) -> None:
    """Make the adapter's configuration the same wherever, and however often, it is trained.

    The base stands in it by name, not by a path of this machine, and its layers in order: peft keeps them as a set,
    whose order changes from process to process and with it the adapter's digest.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    config["target_modules"] = sorted(config["target_modules"])
    atomic_write(path, json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False))
