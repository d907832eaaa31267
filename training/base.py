"""The base model of a run: whether it fits the configuration and the adapter, and how it is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tianjing.lineage import artefact_digest, read_manifest
from tianjing.models.precision import Precision
from training.config import TrainConfig
from training.config.lora import VOCABULARY_MATRICES
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


def check_modules(model: Path, config: TrainConfig) -> None:
    """Whether every name that `lora` gives is that of a module, as peft will look them up; nothing is loaded for it.

    peft itself is content with one target that it finds, and says nothing of the others.

    Raises:
        TrainingError: a target, a pattern or a module to save is none of the base's, or of none that gets an adapter.
    """
    if config.tune == "full" or config.adapter is not None:  # no adapter, or one that has its shape already
        return
    import torch
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model, local_files_only=True))
    names = [name for name, _ in base.named_modules()]
    linear = [name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)]
    lora = lora_config(base.config.num_hidden_layers, config)
    adapted = [name for name in linear if check_target_module_exists(lora, name)]
    targets = sorted({name.rsplit(".", 1)[-1] for name in linear} - VOCABULARY_MATRICES)
    for target in config.lora.targets:
        if not any(f".{name}".endswith(f".{target}") for name in adapted):
            raise TrainingError(
                f"lora.targets: {model.name} has no linear layer '{target}' that could get an adapter",
                f"use some of {', '.join(targets)}",
            )
    for module in config.lora.modules_to_save:
        if not any(name.endswith(module) for name in names):
            raise TrainingError(
                f"lora.modules_to_save: {model.name} has no module '{module}'", "name one by the last part of its name"
            )
    for field, patterns in (("rank_pattern", config.lora.rank_pattern), ("alpha_pattern", config.lora.alpha_pattern)):
        used = {get_pattern_key(list(patterns), name) for name in adapted}
        for pattern in [pattern for pattern in patterns if pattern not in used]:
            raise TrainingError(
                f"lora.{field}: '{pattern}' is for no module of {model.name} that gets an adapter, or for those alone "
                "that an earlier pattern names too",
                f"the first is {adapted[0]}, the last {adapted[-1]}; put single modules before kinds of them",
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


def lora_config(layers: int, config: TrainConfig) -> Any:
    """The adapter: on all `layers` of the base model, or on the `top_layers` nearest to its output."""
    from peft import LoraConfig

    top = config.lora.top_layers
    return LoraConfig(
        **config.lora.peft(),
        layers_to_transform=list(range(max(0, layers - top), layers)) if top else None,
        layers_pattern="layers" if top else None,
        task_type="CAUSAL_LM",
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
