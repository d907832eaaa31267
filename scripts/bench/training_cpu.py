"""Speed and memory of LoRA training on this machine, beside TRL and LLaMA-Factory, on identical fixed batches.

Every trainer runs in a process of its own, one after another, through its own training loop: same base model, rows,
order, batch size, rank, targets, learning rate, no dropout; the first step of each warms up and is not counted. Tokens
are those that carry a loss. "Our format" is what this project computes in on this machine: float32; or, with bfloat16
instructions, the frozen weights in bfloat16, the adapter in float32, and bfloat16 autocast. By default TRL keeps
the weights in float32 under bfloat16 autocast, and LLaMA-Factory computes in the format that they have on disk, without
autocast. "ceiling" is the adapted decoder alone, forward, backward and optimiser, on the padded batches: no head, no
loss, no checkpointing, in our format.

Batches are drawn twice: `grouped`, as this project's sampler forms them, rows of one task and of like length together;
and `random`, rows as they come. `--epoch-rows` adds what grouping is worth by itself (`training_orders.py`).
Usage: python scripts/bench/training_cpu.py DATASET [--model embedded] [--rows 4] [--steps 3] [--limit 600]
       [--llamafactory PYTHON] [--batches grouped random] [--epoch-rows 96 --seeds 6] [--only NAME …]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_cpu_material import QUIET, RANK, Row, read_rows, write_dataset

HERE = Path(__file__).parent
CEILING, OURS, TRL, LLAMAFACTORY = "ceiling", "ours", "TRL", "LLaMA-Factory"


@dataclass(frozen=True)
class Entry:
    """Who trains, and the fields in which it departs from the others."""

    trainer: str
    fields: dict[str, Any] = field(default_factory=dict)
    our_format: bool = True
    """Weights and autocast as this project has them; else by the trainer's own defaults."""


TRAINERS = {
    "ceiling: padded decoder, no head": Entry(CEILING),
    "TRL, defaults": Entry(TRL, our_format=False),
    "TRL, our format": Entry(TRL),
    "TRL, our format, no checkpointing": Entry(TRL, {"gradient_checkpointing": False}),
    "LLaMA-Factory, defaults": Entry(LLAMAFACTORY, our_format=False),
    "LLaMA-Factory, our format": Entry(LLAMAFACTORY),
    "LLaMA-Factory, our format, no ckpt.": Entry(LLAMAFACTORY, {"disable_gradient_checkpointing": True}),
    "ours": Entry(OURS),
    "ours, checkpointing": Entry(OURS, {"checkpointing": "full"}),
    "ours, upper half of the layers": Entry(OURS, {"lora": {"top_layers": 12}}),
}
# They adapt other layers, so that their later losses are others.
OTHER_LAYERS = "ours, upper half of the layers"
LEARNING_RATE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=4, help="rows of a batch")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each trainer")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a trainer may take; what it did counts")
    parser.add_argument("--llamafactory", metavar="PYTHON", help="interpreter of its environment; left out without it")
    parser.add_argument("--batches", nargs="*", choices=("grouped", "random"), default=["grouped", "random"])
    parser.add_argument("--epoch-rows", type=int, default=0, help="rows of the comparison of orders; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=6, help="draws of those rows")
    parser.add_argument("--only", nargs="+", choices=list(TRAINERS), help="these trainers alone")
    arguments = parser.parse_args()

    from tianjing.models import resolve
    from tianjing.models.precision import precision

    model = resolve(arguments.model).path
    rows = read_rows(arguments.dataset / "train.parquet", model)
    dtype = precision(on_gpu=False)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} threads, our format {dtype}, rank {RANK}")
    for kind in arguments.batches:
        batches = draw(rows, kind, arguments.rows, arguments.steps + 1)
        compare(kind, batches, model, dtype, arguments)
    if arguments.epoch_rows:
        from training_orders import compare_orders

        held_out = read_rows(arguments.dataset / "validation.parquet", model)
        compare_orders(rows, held_out, model, arguments.epoch_rows, arguments.seeds)


def draw(rows: Sequence[Row], kind: str, size: int, count: int) -> list[list[Row]]:
    """`count` batches of `size` rows, all full."""
    from training.layout.batches import StratifiedRows

    if kind == "random":
        order = random.Random(0).sample(range(len(rows)), size * count)
    else:
        # Kinds of rows are spread evenly, so that `count` micro-batches hold short and long ones.
        order = list(StratifiedRows([row.input_ids for row in rows], size, seed=0))[: size * count]
    return [[rows[number] for number in order[start : start + size]] for start in range(0, size * count, size)]


def compare(kind: str, batches: list[list[Row]], model: Path, dtype: str, arguments: argparse.Namespace) -> None:
    """Run every trainer on the same batches, and print its line."""
    supervised = [sum(label != -100 for row in batch for label in row.labels) for batch in batches]
    tokens = sum(len(row.input_ids) for batch in batches[1:] for row in batch)
    print(
        f"\n{kind} batches: {len(batches) - 1} timed steps of {arguments.rows} rows, {tokens} tokens, "
        f"{sum(supervised[1:])} of them supervised"
    )
    print(
        f"{'trainer':<36}{'tokens/s':>9}{'of ceiling':>11}{'ours is':>9}{'CPU s/step':>11}{'loss differs':>13}"
        f"{'peak GiB':>9}",
        flush=True,
    )
    found: dict[str, dict[str, Any]] = {}
    for name in arguments.only or TRAINERS:
        entry = TRAINERS[name]
        if entry.trainer != LLAMAFACTORY or arguments.llamafactory:
            found[name] = run(entry, batches, model, dtype, arguments)
    speed = {name: sum(supervised[1 : len(each["seconds"])]) / sum(each["seconds"][1:]) for name, each in found.items()
             if len(each["seconds"]) > 1}  # fmt: skip
    for name, each in found.items():
        if name not in speed:
            print(f"{name:<36}not one step after the first within {arguments.limit:.0f} s")
            continue
        ceiling = speed.get("ceiling: padded decoder, no head")
        ours = speed.get("ours")
        losses = found["ours"]["losses"] if "ours" in found and name not in ("ours", OTHER_LAYERS) else []
        differs = max((abs(a - b) / b for a, b in zip(each["losses"], losses, strict=False)), default=None)
        print(
            f"{name:<36}{speed[name]:>9.2f}"
            f"{f'{speed[name] / ceiling:.2f}' if ceiling else '–':>11}"
            f"{f'{ours / speed[name]:.2f}x' if ours else '–':>9}"
            f"{sum(each['cpu_seconds'][1:]) / (len(each['cpu_seconds']) - 1):>11.2f}"
            f"{f'{differs:.2%}' if differs is not None else '–':>13}"
            f"{each['peak'] / (1 << 30):>9.2f}",
            flush=True,
        )
    print("losses step by step, the first before any update:")
    for name, each in found.items():
        if each["losses"]:
            print(f"{name:<36}" + "".join(f"{loss:>9.4f}" for loss in each["losses"]), flush=True)


def run(entry: Entry, batches: list[list[Row]], model: Path, dtype: str, arguments: Any) -> dict[str, Any]:
    """Train in a process of its own; seconds and losses of its steps, and its peak in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        order = {
            "trainer": entry.trainer,
            "fields": entry.fields,
            "model": str(model),
            "format": dtype if entry.our_format else None,
            "rank": RANK,
            "learning_rate": LEARNING_RATE,
            "seed": 0,
            "rows": len(batches[0]),
            "batches": [[{"input_ids": row.input_ids, "labels": row.labels} for row in batch] for batch in batches],
            "place": folder,
            "result": str(place / "result.json"),
        }
        if entry.trainer == OURS:
            write_dataset(place / "dataset", [row for batch in batches for row in batch])
            order["ids"] = [row.example.id for batch in batches for row in batch]
        other = entry.trainer == LLAMAFACTORY
        if other and entry.our_format:
            order["model"] = str(in_format(model, dtype, place / "base"))
        (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
        script = HERE / ("training_llamafactory.py" if other else "training_trainers.py")
        interpreter = arguments.llamafactory if other else sys.executable
        with (place / "log").open("w") as log:
            command = [interpreter, str(script), str(place / "order.json")]
            child = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | QUIET)
            try:
                status = child.wait(arguments.limit)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                status = 0
        if status:
            raise SystemExit(f"{entry.trainer} ended with status {status}:\n{(place / 'log').read_text()[-3000:]}")
        result = place / "result.json"
        if not result.exists():
            return {"seconds": [], "cpu_seconds": [], "losses": [], "peak": 0}
        made: dict[str, Any] = json.loads(result.read_text())
        return made


def in_format(model: Path, dtype: str, folder: Path) -> Path:
    """The base model with weights of that format on disk: itself, or a copy."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    if AutoConfig.from_pretrained(model, local_files_only=True).dtype == getattr(torch, dtype):
        return model
    base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), local_files_only=True)
    base.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model, local_files_only=True).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
