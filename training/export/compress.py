"""Quantise a model with llm-compressor and compare it with the original: python compress.py ORDER.json

Run by the interpreter of llm-compressor's own environment, whose pins fit no other, so it imports nothing of tianjing;
files go in and out. The order names them: `model`, `out`, `scheme`, rows to calibrate on and to compare on (JSON lines
of `input_ids` and `labels`), and where the result goes. `training.export.quantise` writes it.

Shape suffixes: T tokens of a row, V vocabulary.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

# Names of compressed-tensors. FP8 weights by channel and activations as they come (no data needed); 4-bit weights in
# groups of 128 by GPTQ (Frantar et al. 2022, arXiv 2210.17323).
SCHEMES = {"fp8": "FP8_DYNAMIC", "w4a16": "W4A16"}
LIBRARIES = ("llmcompressor", "compressed-tensors", "transformers", "torch")
IGNORED = -100


def quantise(model_folder: str, out: str, scheme: str, calibration: list[dict[str, list[int]]]) -> None:
    """Write the model of `model_folder` with the weights of its linear layers quantised; the output matrix stays."""
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM, AutoTokenizer

    common = {"targets": "Linear", "scheme": SCHEMES[scheme], "ignore": ["lm_head"]}
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="auto", local_files_only=True)
    if scheme == "fp8":
        from llmcompressor.modifiers.quantization import QuantizationModifier

        oneshot(model=model, recipe=QuantizationModifier(**common))
    else:
        from datasets import Dataset
        from llmcompressor.modifiers.gptq import GPTQModifier

        rows = [{"input_ids": row["input_ids"], "attention_mask": [1] * len(row["input_ids"])} for row in calibration]
        oneshot(
            model=model,
            dataset=Dataset.from_list(rows),
            recipe=GPTQModifier(**common),
            max_seq_length=max(len(row["input_ids"]) for row in calibration),
            num_calibration_samples=len(rows),
            shuffle_calibration_samples=False,
        )
    model.save_pretrained(out, save_compressed=True)
    AutoTokenizer.from_pretrained(model_folder, local_files_only=True).save_pretrained(out)


def compare(model_folder: str, quantised_folder: str, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Mean loss (nats per supervised token) of both models on `rows`, and how far their logits are apart.

    `logit_difference` is the norm of the difference over the norm of the original's, at supervised tokens, each token's
    logits taken around their mean; `same_choice` the share of tokens at which both have the same first choice.
    """
    import torch

    first, second = _logits(model_folder, rows), _logits(quantised_folder, rows)
    targets = torch.cat([torch.tensor(row["labels"][1:]) for row in rows])
    targets = targets[targets != IGNORED]
    losses = [torch.nn.functional.cross_entropy(logits_TV, targets).item() for logits_TV in (first, second)]
    first, second = (logits_TV - logits_TV.mean(-1, keepdim=True) for logits_TV in (first, second))
    return {
        "rows": len(rows),
        "tokens": len(targets),
        "loss": losses[0],
        "quantised_loss": losses[1],
        "logit_difference": ((second - first).norm() / first.norm()).item(),
        "same_choice": (first.argmax(-1) == second.argmax(-1)).float().mean().item(),
    }


def _logits(folder: str, rows: list[dict[str, list[int]]]) -> Any:
    """Logits [T, V] that predict the supervised tokens of all rows."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True).eval()
    found = []
    with torch.no_grad():
        for row in rows:
            logits_TV = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0, :-1]
            found.append(logits_TV[torch.tensor(row["labels"][1:]) != IGNORED].float())
    return torch.cat(found)


def _rows(path: str) -> list[dict[str, list[int]]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def main(order_file: str) -> None:
    """Do what the order says."""
    order = json.loads(Path(order_file).read_text(encoding="utf-8"))
    quantise(order["model"], order["out"], order["scheme"], _rows(order["calibration"]))
    result = compare(order["model"], order["out"], _rows(order["check"]))
    result["versions"] = {name: importlib.metadata.version(name) for name in LIBRARIES}
    Path(order["result"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
