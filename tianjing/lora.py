"""What vLLM 0.32 refuses of a LoRA adapter, read off its configuration before it is trained or served.

The rules are those of `vllm/lora/peft_helper.py`, which answers a request for such an adapter with a 500; a test holds
this table against the installed engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# vLLM serves adapters up to this rank (`--max-lora-rank`).
MAX_SERVED_RANK = 512

# Initialisations that only choose the adapter's own first weights, or leave the base as it was in the end.
_SERVED_INITIALISATIONS = frozenset(("gaussian", "eva", "orthogonal", "mica", "lora_ga"))
_SERVED_MODULES = frozenset(("classifier", "score"))


@dataclass(frozen=True)
class Unserved:
    """One reason why vLLM would refuse an adapter."""

    field: str
    """Its name in adapter_config.json."""
    why: str
    """What is refused, and what to use instead."""


def unserved(adapter: Mapping[str, Any], max_rank: int = MAX_SERVED_RANK) -> list[Unserved]:
    """Every reason why vLLM would refuse an adapter; empty if it serves it.

    Args:
        adapter: fields of adapter_config.json; those left out have peft's defaults.
        max_rank: what the engine is started with (`--max-lora-rank`).
    """
    found = []
    ranks = {"r": adapter.get("r", 0)}
    ranks |= {f"rank_pattern.{name}": rank for name, rank in (adapter.get("rank_pattern") or {}).items()}
    for name, rank in ranks.items():
        if rank > max_rank:
            found.append(Unserved(name, f"vLLM serves ranks up to {max_rank}; use at most {max_rank}"))
    if adapter.get("use_dora"):
        found.append(Unserved("use_dora", "vLLM does not serve DoRA; use a higher rank with use_rslora"))
    if adapter.get("bias", "none") != "none":
        found.append(Unserved("bias", "vLLM does not serve trained biases; use 'none' and a higher rank"))
    if adapter.get("lora_bias"):
        found.append(Unserved("lora_bias", "vLLM does not serve a bias of the adapter; leave it out"))
    trained = sorted(set(adapter.get("modules_to_save") or ()) - _SERVED_MODULES)
    if trained:
        found.append(
            Unserved(
                "modules_to_save",
                f"vLLM does not serve trained copies of whole modules ({', '.join(trained)}); name linear layers in "
                "targets instead, with a higher rank for them in rank_pattern",
            )
        )
    first = adapter.get("init_lora_weights", True)
    if isinstance(first, str) and first.lower() not in _SERVED_INITIALISATIONS:
        found.append(
            Unserved(
                "init_lora_weights",
                f"'{first}' changes the base's own weights, and vLLM serves the base as it is; use 'default' or "
                "'orthogonal'",
            )
        )
    for name, what in (
        ("layer_replication", "replicated layers; train the layers that the base has"),
        ("alora_invocation_tokens", "activated LoRA; train a plain adapter"),
        ("use_bdlora", "block-diagonal LoRA; train a plain adapter"),
        ("use_qalora", "QALoRA; train a plain adapter, and quantise the base for serving"),
    ):
        if adapter.get(name):
            found.append(Unserved(name, f"vLLM does not serve {what}"))
    return found
