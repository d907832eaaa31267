"""The base model of a run: whether it fits the configuration and the adapter, and how it is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tianjing.lineage import artefact_digest, read_manifest
from tianjing.models.precision import Precision
from training.config import TrainConfig
from training.errors import TrainingError


def check_requirements(config: TrainConfig) -> None:
    """Whether this machine has what the configuration asks for, before anything is read or loaded.

    Raises:
        TrainingError: a tracker is not installed; 4-bit weights without a CUDA GPU or without bitsandbytes.
    """
    if config.report_to != "none" and importlib.util.find_spec(config.report_to) is None:
        raise TrainingError(
            f"report_to: {config.report_to} is not installed",
            f"pip install 'tianjing[{config.report_to}]', or set report_to: none",
        )
    if config.quantize is not None:
        import torch

        if not torch.cuda.is_available():
            raise TrainingError(
                f"quantize: {config.quantize} needs a CUDA GPU, and none is usable here",
                "leave quantize out, and take a smaller base or fewer lora.top_layers if memory is short",
            )
        if importlib.util.find_spec("bitsandbytes") is None:
            raise TrainingError(
                f"quantize: {config.quantize} needs bitsandbytes, which is not installed",
                "pip install 'tianjing[qlora]', or leave quantize out",
            )


def check_context(model: Path, max_length_tokens: int) -> None:
    """Whether every row that is let in fits the model's context.

    Raises:
        TrainingError: longer rows would be let in than the model has positions for.
    """
    from transformers import AutoConfig

    shape = AutoConfig.from_pretrained(model, local_files_only=True).get_text_config()
    context = getattr(shape, "max_position_embeddings", None)
    if context is not None and max_length_tokens > context:
        raise TrainingError(
            f"max_length_tokens is {max_length_tokens}, but {model.name} has a context of {context} tokens",
            f"set max_length_tokens to at most {context}; longer rows are then left out and counted",
        )


def check_adapter_base(adapter: Path, model: Path) -> None:
    """Whether `adapter` was trained on `model`, by the digest in its manifest.

    Raises:
        TrainingError: it was trained on another base. LineageError: it has no manifest.
    """
    recorded = {record.sha256 for record in read_manifest(adapter).inputs}
    if artefact_digest(model) not in recorded:
        raise TrainingError(
            f"{adapter}: was trained on another base model than {model}",
            "give --model the base that its manifest.json names (tianjing lineage show), or train on this one",
        )


def load_base(model: Path, dtype: Precision, quantize: str | None) -> Any:
    """The base in `dtype`, or in 4 bits, with the attention of shared prefixes."""
    import torch
    from transformers import AutoModelForCausalLM

    from training.layout.attention import NAME as SHARED_PREFIX

    more: dict[str, Any] = {}
    if quantize is not None:
        from transformers import BitsAndBytesConfig

        compute = getattr(torch, dtype)
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantize,
            bnb_4bit_compute_dtype=compute,
            bnb_4bit_quant_storage=compute,
        )
    return AutoModelForCausalLM.from_pretrained(
        model, dtype=dtype, local_files_only=True, attn_implementation=SHARED_PREFIX, **more
    )
