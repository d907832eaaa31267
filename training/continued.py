"""Going on from an adapter that was trained before: what it must be, what of the configuration it decides.

The optimiser begins anew: only weights are taken over. (An interrupted run goes on by itself, with everything.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tianjing.config import parse
from tianjing.lineage import read_manifest
from training.base import check_adapter_base
from training.config import LoraSection, TrainConfig, unserved
from training.errors import TrainingError
from training.origin import require_unchanged_files

# How it is trained, not what it is: these may differ from run to run.
_OF_THE_RUN = ("dropout", "loraplus_ratio")


def inherit(config: TrainConfig, model: Path) -> TrainConfig:
    """The configuration with the shape of the adapter it goes on from; as it is where it begins a fresh one.

    Raises:
        TrainingError: the adapter is of another base, is no adapter artefact, was changed since it was written, is of
            another shape than `lora` asks for, or could not be served.
        LineageError: nothing is there.
    """
    if config.adapter is None:
        return config
    adapter = Path(config.adapter)
    manifest = read_manifest(adapter)
    if manifest.kind != "adapter" or "lora" not in manifest.parameters:
        raise TrainingError(
            f"{adapter}: an artefact of kind '{manifest.kind}', not an adapter to go on from",
            "give the folder of an adapter that `tianjing train run` wrote",
        )
    require_unchanged_files(adapter)
    check_adapter_base(adapter, model)
    had = parse(LoraSection, manifest.parameters["lora"], f"{adapter / 'manifest.json'}: parameters.lora")
    fixed = [name for name in LoraSection.model_fields if name not in _OF_THE_RUN]
    for name in fixed:
        asked, given = getattr(config.lora, name), getattr(had, name)
        if name in config.lora.model_fields_set and asked != given:
            raise TrainingError(
                f"'lora.{name}' is {asked!r}, but the adapter {adapter} has {given!r}",
                "leave it out: an adapter that is gone on from keeps its shape; or begin a fresh one without adapter",
            )
    lora = config.lora.model_copy(update={name: getattr(had, name) for name in fixed})
    refused = unserved(lora.peft()) if config.serve_with == "vllm" else []
    if refused:
        raise TrainingError(f"{adapter}: {refused[0].why}", "or set serve_with: transformers")
    return config.model_copy(update={"lora": lora})


def load_adapter(base: Any, adapter: Path, dropout: float) -> Any:
    """The base with the adapter on it, to be trained further."""
    from peft import LoraConfig, PeftModel

    settings: Any = LoraConfig.from_pretrained(str(adapter))
    settings.lora_dropout = dropout
    # In the artefact it is a mere name (`training.run`), which peft would look up on the hub whenever it saves.
    settings.base_model_name_or_path = base.name_or_path
    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True, config=settings)
