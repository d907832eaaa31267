"""TRL's, this project's and the ceiling's side of `training_cpu.py`: one of them trains as ordered, and is timed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from training.assembly import Measured
from training.config import LINEAR_LAYERS, TrainConfig
from training.run import prepare_process, train


def main(order: dict[str, Any]) -> None:
    {"ceiling": ceiling, "TRL": trl, "ours": ours}[order["trainer"]](order)


def ours(order: dict[str, Any]) -> None:
    """The training command itself."""
    from tianjing.dataset import read_examples
    from training.rows import choose

    prepare_process()
    from training_clock import Clock

    place = Path(order["place"])
    fields = {
        "lora": {"rank": order["rank"], "alpha": 2 * order["rank"], **order["fields"].pop("lora", {})},
        "epochs": 1,
        "micro_rows": order["rows"],
        "micro_batches": 1,
        "learning_rate": order["learning_rate"],
        "schedule": "constant_with_warmup",
        "warmup_ratio": 0.0,
        "seed": order["seed"],
        "save_every_steps": 1 << 30,
        **order["fields"],
    }
    if "held_out" in order:
        fields["evaluation"] = {"every_steps": 1 << 30, "max_rows": order["held_out"]}
    examples = choose(read_examples(place / "dataset" / "train.parquet"), None, order["seed"])
    number = {example.id: n for n, example in enumerate(examples)}
    rows = [number[row] for row in order["ids"] or ()]
    batches = [rows[start : start + order["rows"]] for start in range(0, len(rows), order["rows"])]
    measured = Measured(batches or None, [Clock(Path(order["result"]))])
    train(place / "dataset", Path(order["model"]), place / "out", TrainConfig.model_validate(fields), "never", measured)


def trl(order: dict[str, Any]) -> None:
    """TRL's SFTTrainer; what the order does not name has its own default."""
    import torch
    from datasets import Dataset
    from training_clock import Clock
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows = [row for batch in order["batches"] for row in batch]
    given = order["format"]
    # By default: a model given by name has fp32 weights in TRL, also under bf16 autocast.
    dtype = getattr(torch, given or "float32")
    model = AutoModelForCausalLM.from_pretrained(order["model"], dtype=dtype, local_files_only=True)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=order["place"],
            use_cpu=True,
            train_sampling_strategy="sequential",
            per_device_train_batch_size=order["rows"],
            num_train_epochs=1,
            learning_rate=order["learning_rate"],
            lr_scheduler_type="constant",
            seed=order["seed"],
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            dataset_kwargs={"skip_prepare_dataset": True},
            bf16=given == "bfloat16" if given else None,
            **order["fields"],
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(order["model"], local_files_only=True),
        peft_config=lora(order),
        callbacks=[Clock(Path(order["result"]))],
    )
    trainer.train()


def ceiling(order: dict[str, Any]) -> None:
    """The adapted decoder alone on padded batches: what no head and no loss could beat without sharing prompts."""
    prepare_process()
    import torch
    from peft import get_peft_model
    from training_clock import Clock
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    dtype = getattr(torch, order["format"])
    model: Any = AutoModelForCausalLM.from_pretrained(order["model"], dtype=dtype, local_files_only=True)
    adapted: Any = get_peft_model(model, lora(order))
    decoder = adapted.get_base_model().get_decoder()
    optimiser = torch.optim.AdamW(
        [weight for weight in adapted.parameters() if weight.requires_grad], lr=order["learning_rate"], fused=True
    )
    clock = Clock(Path(order["result"]))
    for batch in order["batches"]:
        longest = max(len(row["input_ids"]) for row in batch)
        ids = torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in batch])
        mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in batch])
        clock.begin()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            states = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        states.float().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        clock.end()


def lora(order: dict[str, Any]) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=order["rank"],
        lora_alpha=2 * order["rank"],
        target_modules=list(LINEAR_LAYERS),
        task_type="CAUSAL_LM",
    )


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
