"""What `training_gpu.py` trains on: models of random weights, and rows of random ids packed into bins."""

from __future__ import annotations

import random
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32},
    "1.7b": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 512,
    },
}
COMMON = {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936, "max_position_embeddings": 40_960}
# Lengths: log-normal, median 600 tokens, sigma 0.8, cut to [32, sequence]; the last 30 % of each row is supervised.
MEDIAN, SIGMA, SUPERVISED = 600, 0.8, 0.3
RANK = 32


def make_rows(vocabulary: int, sequence: int, tokens: int, shared: int) -> list[dict[str, Any]]:
    """Rows of random ids that fill about `tokens` tokens; each has another first token unless they open alike."""
    draw = random.Random(0)
    opening = [draw.randrange(vocabulary) for _ in range(shared)]
    rows: list[dict[str, Any]] = []
    while sum(len(row["input_ids"]) for row in rows) < tokens:
        length = min(max(int(draw.lognormvariate(0, SIGMA) * MEDIAN * sequence / 4096), shared + 32), sequence)
        ids = [*opening, *(draw.randrange(vocabulary) for _ in range(length - shared))]
        first = max(int(length * (1 - SUPERVISED)), shared + 1)
        labels = [-100] * first + ids[first:]
        rows.append({"row": len(rows), "input_ids": ids, "labels": labels, "loss_weights": [1.0] * length})
    return rows


def bins_of(rows: list[dict[str, Any]], room: int, count: int) -> list[list[dict[str, Any]]]:
    """The `count` fullest bins, shuffled with a fixed seed."""
    from training.layout.packing import pack

    packed = pack([row["input_ids"] for row in rows], [row["labels"] for row in rows], room)
    bins = [[rows[number] for number in members] for members in packed]
    if len(bins) < count:
        raise SystemExit(f"{len(bins)} bins, {count} needed: fewer steps, please")
    bins.sort(key=lambda members: -sum(len(row["input_ids"]) for row in members))
    random.Random(0).shuffle(bins := bins[:count])
    return bins


def flop_of(rows: list[dict[str, Any]], config: Any, matrices: int) -> float:
    """Model FLOP of a step on these rows."""
    total = 0.0
    for row in rows:
        length = len(row["input_ids"])
        attention = 6 * length**2 * config.num_attention_heads * config.head_dim * config.num_hidden_layers
        supervised = sum(label != -100 for label in row["labels"])
        total += 4 * matrices * length + attention + 4 * config.vocab_size * config.hidden_size * supervised
    return total


def build(shape: str, device: str, attention: str, half_adapter: bool = False) -> Any:
    """The adapted model on the device, with the same random weights every time."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Qwen3Config

    from training.config.lora import LINEAR_LAYERS

    config = Qwen3Config(**{**COMMON, **SHAPES[shape]}, use_cache=False)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(LINEAR_LAYERS), task_type="CAUSAL_LM")
    model = get_peft_model(base, lora, autocast_adapter_dtype=not half_adapter)
    for name, value in model.named_parameters():
        if value.requires_grad and not half_adapter:
            value.data = value.data.float()
        assert ("lora_" in name) == value.requires_grad
    return model.train()


def one_sequence(rows: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Rows one after another, positions from 0 in each: how transformers is told of packed rows."""
    made: dict[str, list[int]] = {"input_ids": [], "position_ids": [], "labels": []}
    for row in rows:
        made["input_ids"] += row["input_ids"]
        made["position_ids"] += range(len(row["input_ids"]))
        made["labels"] += row["labels"]
    return made
