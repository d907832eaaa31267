"""Presets: values that stand beneath a configuration file's own fields.

What each sets is this table and nothing else; a field that the file gives wins, also inside `lora`. A step has
micro_batches x pack_tokens tokens (on a CPU, x micro_rows rows) however many processes share them; micro_batches must
be a multiple of their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["cpu", "gpu-1", "gpu-node", "fsdp2"]

# A learning rate of 2e-4 and a short warm-up are what TRL's guide "LoRA without regret" found for batches of this size;
# lengths and micro-batches are sized for 80 GB and a base of 8B parameters, and are not measured yet.
_ONE_BASE_A_GPU: dict[str, Any] = {
    "lora": {"rank": 32, "alpha": 64},
    "learning_rate": 2e-4,
    "schedule": "cosine",
    "warmup_ratio": 0.03,
    "max_length_tokens": 4096,
    "pack_tokens": 4096,
    "compile": True,
    "save_every_steps": 50,
}

PRESETS: dict[str, dict[str, Any]] = {
    # The fields' own defaults: short rows, small batches, a high rate for runs of a hundred steps.
    "cpu": {},
    # One GPU: long rows, 16k tokens to a step.
    "gpu-1": {**_ONE_BASE_A_GPU, "micro_batches": 4},
    # The GPUs of one node, the base whole on each: 32k tokens to a step, one forward pass each on 8 GPUs.
    "gpu-node": {**_ONE_BASE_A_GPU, "micro_batches": 8},
    # The base in shards over all GPUs, for bases that one GPU does not hold: 128k tokens to a step, on up to 32.
    "fsdp2": {
        "lora": {"rank": 16, "alpha": 32},
        "learning_rate": 1e-4,
        "schedule": "cosine",
        "warmup_ratio": 0.03,
        "max_length_tokens": 4096,
        "pack_tokens": 4096,
        "compile": True,
        "micro_batches": 32,
        "save_every_steps": 25,
    },
}


# Beneath a file that says `tune: full`, in place of the preset's own: its `lora`, and a learning rate that suits an
# adapter. 2e-5 is the rate that TRL's SFTConfig has for all weights.
FULL: dict[str, Any] = {"learning_rate": 2e-5}
# Beneath a file with method dpo or kto: a rate that suits imitation drives preferences apart within steps. TRL's guide
# to DPO takes this one for adapters.
PREFERENCE: dict[str, Any] = {"learning_rate": 1e-5}


def under(value: Mapping[str, Any]) -> dict[str, Any]:
    """A file's own fields over those of the preset that it names, and of what it trains."""
    preset = dict(PRESETS.get(str(value.get("preset")), {}))
    if value.get("tune") == "full" or value.get("adapter") is not None:  # which has its own
        preset.pop("lora", None)
    if value.get("tune") == "full":
        preset |= FULL
    elif value.get("method") in ("dpo", "kto"):
        preset = {name: field for name, field in preset.items() if name not in ("pack_tokens", "compile")} | PREFERENCE
    return beneath(preset, value)


def beneath(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's values with `own` laid over them, section by section."""
    merged = dict(preset) | dict(own)
    for name, value in own.items():
        under = preset.get(name)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[name] = beneath(under, value)
    return merged
