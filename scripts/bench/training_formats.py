"""What bfloat16 does to the loss of an adapter that is hardly trained: it differs from float32's, gradients do not.

Plain transformers and peft, of this project nothing but the rows: the loss of two fixed batches in float32 and under
bfloat16 autocast, before any update and after one update on the first of them, made in either format. Then, of every
adapted layer, what is left of the adapter's contribution once it is added to an output in bfloat16, whose numbers lie
1/256 to 1/128 of their value apart. `--adapter` asks the same of an adapter that was trained to its end.
Usage: python scripts/bench/training_formats.py DATASET [--model embedded] [--rows 4] [--adapter DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from training_cpu import LEARNING_RATE, draw
from training_cpu_material import RANK, Row, read_rows
from training_trainers import lora

FORMATS = {"float32": False, "bfloat16": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=4, help="rows of a batch")
    parser.add_argument("--adapter", type=Path, help="an adapter of that model, trained to its end")
    arguments = parser.parse_args()

    from peft import PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, set_seed

    from tianjing.models import resolve

    path = resolve(arguments.model).path
    batches = draw(read_rows(arguments.dataset / "train.parquet", path), "grouped", arguments.rows, 4)[:2]
    set_seed(0)
    base: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    print(f"{'loss of':<34}{'first batch':>20}{'second batch':>22}")
    print(f"{'computed in':<34}" + f"{'float32':>11}{'bfloat16':>11}" * 2)
    if arguments.adapter:
        adapted: Any = PeftModel.from_pretrained(base, str(arguments.adapter))
        tell("adapter, trained", adapted, batches)
        tell_kept(adapted, batches[1])
        return
    adapted = get_peft_model(base, lora({"rank": RANK}))
    weights = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    start = {name: weight.detach().clone() for name, weight in weights.items()}
    tell("before any update", adapted, batches)
    gradients = []
    for name, autocast in FORMATS.items():
        with torch.no_grad():
            for each, weight in weights.items():
                weight.copy_(start[each])
        optimiser = torch.optim.AdamW(list(weights.values()), lr=LEARNING_RATE, weight_decay=0.0)
        optimiser.zero_grad()
        loss(adapted, batches[0], autocast).backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in weights.values() if weight.grad is not None]))
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimiser.step()
        tell(f"after one update, in {name}", adapted, batches)
    print(f"cosine of the two gradients: {torch.nn.functional.cosine_similarity(*gradients, dim=0):.4f}")
    tell_kept(adapted, batches[1])


def loss(adapted: Any, batch: Sequence[Row], autocast: bool) -> torch.Tensor:
    """Mean cross-entropy of the supervised tokens of the padded batch."""
    causal = adapted.get_base_model()
    longest = max(len(row.input_ids) for row in batch)

    def padded(lists: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
        return torch.tensor([[*each, *[filler] * (longest - len(each))] for each in lists])

    labels = padded([row.labels for row in batch], -100)[:, 1:]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        states = causal.get_decoder()(
            input_ids=padded([row.input_ids for row in batch], 0),
            attention_mask=padded([[1] * len(row.input_ids) for row in batch], 0),
            use_cache=False,
        ).last_hidden_state
        scores = causal.lm_head(states[:, :-1][labels != -100])
    return torch.nn.functional.cross_entropy(scores.float(), labels[labels != -100])


@torch.no_grad()
def tell(name: str, adapted: Any, batches: Sequence[Sequence[Row]]) -> None:
    found = [loss(adapted, batch, autocast).item() for batch in batches for autocast in FORMATS.values()]
    print(f"{name:<34}" + "".join(f"{each:>11.4f}" for each in found), flush=True)


@torch.no_grad()
def tell_kept(adapted: Any, batch: Sequence[Row]) -> None:
    """Means over the adapted layers: the contribution's size, and what of it a sum in bfloat16 keeps."""
    found: list[tuple[float, float, float]] = []

    def look(layer: Any, arguments: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        output = layer.base_layer(arguments[0])
        added = layer.lora_B["default"](layer.lora_A["default"](arguments[0])) * layer.scaling["default"]
        kept = (output.bfloat16() + added.bfloat16()).float() - output.bfloat16().float()
        share = (kept * added).sum() / (added * added).sum()
        found.append(((added.norm() / output.norm()).item(), (kept == 0).float().mean().item(), share.item()))

    for layer in adapted.modules():
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            layer.register_forward_hook(look)
    loss(adapted, batch, autocast=False)
    size, nothing, share = (sum(each) / len(found) for each in zip(*found, strict=True))
    print(
        f"adapter's contribution: {size:.2%} of a layer's output; added in bfloat16, {nothing:.0%} of the elements "
        f"stay as they are, and {share:.0%} of it is kept"
    )


if __name__ == "__main__":
    main()
