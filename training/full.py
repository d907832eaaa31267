"""Full tuning: all weights are trained, in float32, and written as a model that any server loads.

AdamW's steps are smaller than the last place of a bfloat16 weight (8 bits of it) and would be lost, so the weights
themselves are float32 (Micikevicius et al. 2018, arXiv 1710.03740); where the machine has bfloat16, autocast computes
in it. Only the artefact is bfloat16.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from training.config import TrainConfig
from training.errors import TrainingError

KIND = "full"

# What two models that must be the same are asked; merging asks it too.
PROBE = "客户：我这期账单可能还不上了。\n坐席："
NOT_IN_SHARDS = "tune: full writes whole weights, and fsdp2 leaves each process a shard of them"
_FP32, _BF16 = 4, 2
# Of a checkpoint: the weights and AdamW's two moments (Kingma and Ba 2015).
_CHECKPOINT_BYTES = 3 * _FP32
_GIB = 1 << 30


def disk_bytes(parameters: int, config: TrainConfig) -> int:
    """The most that a run holds on disk: the checkpoints kept, the best, the one being written, and the artefact."""
    checkpoints = config.keep_checkpoints + 1 + (config.evaluation is not None)
    return parameters * (checkpoints * _CHECKPOINT_BYTES + _BF16)


def check_disk(work: Path, model: Path, config: TrainConfig) -> None:
    """Whether the disk of `work` can hold the checkpoints of a run; what they take already is counted as free.

    Raises:
        TrainingError: it cannot; names what is needed and what is free.
    """
    from transformers import AutoConfig

    from training.plan.memory import Shape

    needed = disk_bytes(Shape.of(AutoConfig.from_pretrained(model, local_files_only=True)).parameters, config)
    standing = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    free = shutil.disk_usage(work).free + standing
    if free >= needed:
        return
    fewer = "set keep_checkpoints: 1, " if config.keep_checkpoints > 1 else ""
    raise TrainingError(
        f"{work}: tune: full keeps up to {needed / _GIB:.1f} GiB of checkpoints and weights there, and "
        f"{free / _GIB:.1f} GiB are free",
        f"free space, {fewer}give --out a folder on a larger disk, or train an adapter (tune: lora)",
    )


def check_distribution(trainer: Any) -> None:
    """Each process must hold the whole model.

    Raises:
        TrainingError: the launcher cuts it into shards.
    """
    from accelerate import DistributedType

    if trainer.accelerator.distributed_type != DistributedType.FSDP:
        return
    raise TrainingError(
        NOT_IN_SHARDS,
        "set distribution: ddp in the job description, or train an adapter (tune: lora)",
    )


def save(model: Any, tokenizer: Any, folder: Path) -> float:
    """Write the trained `model` as bfloat16, read it back, and compare: relative difference of the logits on a probe.

    The model itself is bfloat16 afterwards.

    Raises:
        TrainingError: what was written answers otherwise than what was trained.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model.eval()
    trained_TV = _logits(model, tokenizer)
    model.config.use_cache = True  # TRL turns it off for training
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # As any server loads it; in float32, so that rounding on disk is all that is compared.
    written = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    written_TV = _logits(written.to(model.device), tokenizer)
    difference = ((written_TV - trained_TV).norm() / trained_TV.norm()).item()
    # Rounding moves logits by some tenths of a percent; a weight that was missed or tied wrongly moves them by more.
    if not difference <= torch.finfo(torch.bfloat16).eps ** 0.5:
        raise TrainingError(
            f"the weights as written and as trained give logits that differ by {difference:.1%}",
            "lower learning_rate and train again; weights as large as these do not survive bfloat16",
        )
    return difference


def _logits(model: Any, tokenizer: Any) -> Any:
    """Of the probe's tokens, around their mean: what all words have in common changes no answer."""
    import torch

    with torch.no_grad():
        found = model(**tokenizer(PROBE, return_tensors="pt").to(model.device)).logits[0].float()
    return found - found.mean(-1, keepdim=True)
