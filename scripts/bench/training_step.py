"""Time of one LoRA step on this machine: TRL's SFTTrainer as released, and this project's trainer, part by part.

All see the same rows, precision and adapter, so the first loss of those that adapt the same layers must agree. Tokens
per second count every token of every row, also where a shared prompt is computed once.
Usage: python scripts/bench/training_step.py [--model embedded] [--rows 6] [--shared 150] [--own 75] [--steps 5]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import time
from typing import Any

from training.sft import prepare_process

# Of a row's own tokens, this share is the answer.
SUPERVISED_SHARE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=6, help="rows of one step")
    parser.add_argument("--shared", type=int, default=150, help="tokens that all rows open with")
    parser.add_argument("--own", type=int, default=75, help="further tokens of each row")
    parser.add_argument("--steps", type=int, default=5, help="timed steps; one more warms up")
    arguments = parser.parse_args()

    prepare_process()
    import torch
    from trl import SFTTrainer

    from tianjing.models import resolve
    from training.trainer import SupervisedTokenTrainer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    path = str(resolve(arguments.model).path)
    tokens = arguments.rows * (arguments.shared + arguments.own)
    print(f"{arguments.rows} rows of {arguments.shared} shared, {arguments.own} own tokens, half of these supervised")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, bf16, rank 16\n")
    print(f"{'trainer':<44}{'loss':>10}{'s/step':>9}{'tokens/s':>10}{'ratio':>8}")
    peer = None
    for name, trainer_class, half, keep in (
        ("TRL SFTTrainer, all layers", SFTTrainer, False, False),
        ("TRL SFTTrainer, upper half", SFTTrainer, True, False),
        ("head and shared prompt, all layers", SupervisedTokenTrainer, False, False),
        ("head and shared prompt, upper half", SupervisedTokenTrainer, True, False),
        ("the same, lower half kept from before", SupervisedTokenTrainer, True, True),
    ):
        loss, seconds = measure(trainer_class, path, arguments, half, keep)
        peer = peer or seconds
        print(f"{name:<44}{loss:>10.5f}{seconds:>9.2f}{tokens / seconds:>10.0f}{peer / seconds:>7.2f}x", flush=True)


def measure(
    trainer_class: Any, path: str, arguments: argparse.Namespace, upper_half: bool, keep: bool
) -> tuple[float, float]:
    """First loss, and median seconds of forward and backward."""
    import torch

    torch.manual_seed(0)
    rows = make_rows(arguments)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        trainer, first = make_trainer(trainer_class, path, rows, folder, upper_half)
        batch = make_batch(trainer, rows, first if keep else None)
        trainer.model.train()
        losses, times = [], []
        for _ in range(arguments.steps + 1):
            started = time.perf_counter()
            with trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(trainer.model, dict(batch))
            loss.backward()
            trainer.model.zero_grad()
            times.append(time.perf_counter() - started)
            losses.append(loss.item())
    return losses[0], statistics.median(times[1:])


def make_trainer(
    trainer_class: Any, path: str, rows: list[dict[str, Any]], folder: str, upper_half: bool
) -> tuple[Any, int]:
    """The trainer, TRL's own or ours, and the first layer that it adapts."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from training.attention import NAME
    from training.config import LINEAR_LAYERS

    attention = {} if trainer_class is SFTTrainer else {"attn_implementation": NAME}
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, **attention)
    layers = model.config.num_hidden_layers
    first = layers // 2 if upper_half else 0
    trainer = trainer_class(
        model=model,
        args=SFTConfig(
            output_dir=folder,
            use_cpu=not torch.cuda.is_available(),
            bf16=True,
            gradient_checkpointing=False,
            report_to="none",
            per_device_train_batch_size=len(rows),
            dataset_kwargs={"skip_prepare_dataset": True},
            remove_unused_columns=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(path),
        peft_config=LoraConfig(
            r=16,
            lora_alpha=32,
            target_modules=list(LINEAR_LAYERS),
            layers_to_transform=list(range(first, layers)),
            layers_pattern="layers",
        ),
    )
    return trainer, first


def make_batch(trainer: Any, rows: list[dict[str, Any]], keep_below: int | None) -> dict[str, Any]:
    """What one step is given; with `keep_below`, the states under that layer are computed here, before the clock."""
    import torch
    from trl import SFTTrainer

    from training.batches import SharedPrefix

    device = trainer.model.device
    if type(trainer) is SFTTrainer:
        ids, labels = (torch.tensor([row[name] for row in rows], device=device) for name in ("input_ids", "labels"))
        return {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)}
    if keep_below is not None and not trainer.keep_trunk(keep_below, lambda done: None):
        raise SystemExit("the states of the lower half could not be kept")
    batch = (SharedPrefix() if keep_below is None else trainer.data_collator)(rows)
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}


def make_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Random rows that open alike."""
    import torch

    generator = torch.Generator().manual_seed(0)
    shared = torch.randint(10, 1000, (arguments.shared,), generator=generator).tolist()
    prompt = arguments.shared + int(arguments.own * (1 - SUPERVISED_SHARE))
    rows = []
    for number in range(arguments.rows):
        ids = shared + torch.randint(10, 1000, (arguments.own,), generator=generator).tolist()
        labels = [-100] * prompt + ids[prompt:]
        rows.append({"row": number, "input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)})
    return rows


if __name__ == "__main__":
    main()
