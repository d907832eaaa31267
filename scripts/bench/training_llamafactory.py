"""LLaMA-Factory's side of `training_cpu.py`, run by the interpreter of its own environment.

The rows are given tokenised (`tokenized_path`), so that its template and its cutting play no part; everything that the
order does not name has its own default.
Made with: python -m venv LF; LF/bin/pip install torch==2.13.0 llamafactory==0.9.5; LF/bin/pip uninstall torchvision
torchaudio (their builds beside that torch want CUDA).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def main(order: dict[str, Any]) -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
    import transformers  # noqa: F401  finds out what is installed; torchaudio is not

    # LLaMA-Factory imports it for audio and nothing else; it cannot be loaded without CUDA.
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    from datasets import Dataset, DatasetDict
    from llamafactory.train.tuner import run_exp
    from training_clock import Clock

    place = Path(order["place"])
    rows = [row | {"attention_mask": [1] * len(row["input_ids"])} for batch in order["batches"] for row in batch]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(place / "tokenized"))
    settings = {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": order["model"],
        "tokenized_path": str(place / "tokenized"),
        "dataset": "tokenised",
        "template": "qwen",
        "finetuning_type": "lora",
        "lora_target": "all",
        "lora_rank": order["rank"],
        "lora_alpha": 2 * order["rank"],
        "lora_dropout": 0.0,
        "disable_shuffling": True,
        "per_device_train_batch_size": order["rows"],
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 1,
        "learning_rate": order["learning_rate"],
        "lr_scheduler_type": "constant",
        "seed": order["seed"],
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "output_dir": str(place / "out"),
    }
    if order["format"]:
        # Autocast; without it the matrices of bfloat16 weights still multiply in bfloat16, but sums and norms do too.
        settings["bf16"] = order["format"] == "bfloat16"
    run_exp(settings | order["fields"], callbacks=[Clock(Path(order["result"]))])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
