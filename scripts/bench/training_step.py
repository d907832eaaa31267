"""Time of one LoRA step on this machine: TRL's own head, ours, and ours on half of the layers.

The peer is TRL's SFTTrainer as released; weights, rows, batch, precision and adapter are the same.
Usage: python scripts/bench/training_step.py [--model embedded] [--rows 8] [--tokens 192] [--steps 4]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from typing import Any

SUPERVISED_SHARE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=8, help="rows of one step")
    parser.add_argument("--tokens", type=int, default=192, help="tokens of one row")
    parser.add_argument("--steps", type=int, default=4, help="timed steps; one more warms up")
    arguments = parser.parse_args()

    import torch
    from trl import SFTTrainer

    from tianjing.models import resolve
    from training.trainer import SupervisedTokenTrainer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    path = str(resolve(arguments.model).path)
    tokens = arguments.rows * arguments.tokens
    print(f"{arguments.rows} rows x {arguments.tokens} tokens, {SUPERVISED_SHARE:.0%} supervised, bf16, rank 16")
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n"
    )
    print(f"{'head':<36}{'loss':>10}{'s/step':>10}{'tokens/s':>10}{'ratio':>8}")
    peer = None
    for name, trainer_class, top in (
        ("TRL 1.16 SFTTrainer, all layers", SFTTrainer, None),
        ("supervised tokens only, all layers", SupervisedTokenTrainer, None),
        ("supervised tokens only, upper half", SupervisedTokenTrainer, "half"),
    ):
        loss, seconds = measure(trainer_class, path, arguments, upper_half=top is not None)
        peer = peer or seconds
        print(f"{name:<36}{loss:>10.5f}{seconds:>10.2f}{tokens / seconds:>10.0f}{peer / seconds:>7.2f}x", flush=True)


def measure(trainer_class: Any, path: str, arguments: argparse.Namespace, upper_half: bool) -> tuple[float, float]:
    """First loss, and median seconds of forward and backward."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from training.config import LINEAR_LAYERS

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
    layers = model.config.num_hidden_layers
    first = layers // 2 if upper_half else 0
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_class(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                use_cpu=not torch.cuda.is_available(),
                bf16=True,
                gradient_checkpointing=False,
                report_to="none",
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=Dataset.from_list([{"input_ids": [5, 6], "labels": [-100, 6]}]),
            processing_class=AutoTokenizer.from_pretrained(path),
            peft_config=LoraConfig(
                r=16,
                lora_alpha=32,
                target_modules=list(LINEAR_LAYERS),
                layers_to_transform=list(range(first, layers)),
                layers_pattern="layers",
            ),
        )
        ids = torch.randint(10, 1000, (arguments.rows, arguments.tokens))
        labels = ids.clone()
        labels[:, : int(arguments.tokens * (1 - SUPERVISED_SHARE))] = -100
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        if trainer_class is not SFTTrainer:
            # Ours takes the mask and weights that its collator makes; here the rows stand separately, as the peer's do.
            causal = torch.ones(arguments.tokens, arguments.tokens, dtype=torch.bool).tril()
            inputs["attention_mask"] = causal.expand(arguments.rows, 1, -1, -1)
            inputs["position_ids"] = torch.arange(arguments.tokens).expand(arguments.rows, -1)
            inputs["loss_weights"] = torch.ones(ids.shape)
        trainer.model.train()
        times = []
        for step in range(arguments.steps + 1):
            started = time.perf_counter()
            with trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(trainer.model, dict(inputs))
            loss.backward()
            trainer.model.zero_grad()
            times.append(time.perf_counter() - started)
            if step == 0:
                first_loss = loss.item()
    return first_loss, statistics.median(times[1:])


if __name__ == "__main__":
    main()
