"""Speed and memory of LoRA training on this machine, beside TRL and LLaMA-Factory, on identical fixed batches.

Every trainer runs in a process of its own, one after another, through its own training loop: same base model, rows,
order, batch size, rank, targets, learning rate, no dropout; the first step of each warms up and is not counted. Tokens
are those that carry a loss. LLaMA-Factory computes in the format that the weights have on disk; "our format" gives it a
copy of them in that. "ceiling" is the adapted decoder alone, forward, backward and optimiser, on the padded
batches: no head, no loss, no checkpointing, in our format.

Batches are drawn twice: `grouped`, as this project's sampler forms them, rows of one task and of like length together;
and `random`, rows as they come. `--epoch-rows` adds what grouping is worth by itself: one epoch of the same rows in
either order, and the loss on held-out rows after it.
Usage: python scripts/bench/training_cpu.py DATASET [--model embedded] [--rows 4] [--steps 3] [--limit 600]
       [--llamafactory PYTHON] [--batches grouped random] [--epoch-rows 48] [--only NAME …]
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CEILING, OURS, LLAMAFACTORY = "ceiling", "ours", "LLaMA-Factory"
# Name as printed: who trains, and the fields in which it departs from the others.
TRAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ceiling: padded decoder, no head": (CEILING, {}),
    "TRL, defaults": ("TRL", {"bf16": True, "gradient_checkpointing": True}),
    "TRL, our format": ("TRL", {"bf16": False, "gradient_checkpointing": True}),
    "TRL, our format, no checkpointing": ("TRL", {"bf16": False, "gradient_checkpointing": False}),
    "LLaMA-Factory, defaults": (LLAMAFACTORY, {}),
    "LLaMA-Factory, our format": (LLAMAFACTORY, {"ours": True}),
    "LLaMA-Factory, our format, no ckpt.": (LLAMAFACTORY, {"ours": True, "disable_gradient_checkpointing": True}),
    "ours": (OURS, {}),
    "ours, checkpointing": (OURS, {"checkpointing": "full"}),
    "ours, upper half of the layers": (OURS, {"lora": {"top_layers": 12}}),
}
# They adapt other layers, so that their later losses are others.
OTHER_LAYERS = "ours, upper half of the layers"
LEARNING_RATE = 1e-4
# For all of them: spinning threads make every trainer a multiple slower where anything else runs on the cores.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE"}
RANK = 16


@dataclass(frozen=True)
class Row:
    """A tokenised training row; `example` is its line of the dataset."""

    example: Any
    input_ids: list[int]
    labels: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=4, help="rows of a batch")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each trainer")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a trainer may take; what it did counts")
    parser.add_argument("--llamafactory", metavar="PYTHON", help="interpreter of its environment; left out without it")
    parser.add_argument("--batches", nargs="+", choices=("grouped", "random"), default=["grouped", "random"])
    parser.add_argument("--epoch-rows", type=int, default=0, help="rows of the comparison of orders; 0 leaves it out")
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
        held_out = read_rows(arguments.dataset / "validation.parquet", model)
        compare_orders(rows, held_out, model, arguments)


def read_rows(file: Path, model: Path) -> list[Row]:
    """Every row, with a weight of one: the other trainers know no weights."""
    from transformers import AutoTokenizer

    from tianjing.dataset import read_examples
    from training.rows import tokenize

    examples = [example.model_copy(update={"weight": 1.0}) for example in read_examples(file)]
    by_id = {example.id: example for example in examples}
    tokens = tokenize(examples, AutoTokenizer.from_pretrained(model, local_files_only=True), 768)
    return [Row(by_id[row.id], row.input_ids, row.labels) for row in tokens.rows]


def draw(rows: Sequence[Row], kind: str, size: int, count: int) -> list[list[Row]]:
    """`count` batches of `size` rows, all full."""
    from training.layout.batches import StratifiedRows

    if kind == "random":
        order = random.Random(0).sample(range(len(rows)), size * count)
    else:
        # One micro-batch of every stratum, so that `count` of them hold short and long rows.
        order = list(StratifiedRows([row.input_ids for row in rows], size, count, seed=0))[: size * count]
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
        trainer, fields = TRAINERS[name]
        if trainer != LLAMAFACTORY or arguments.llamafactory:
            found[name] = run(trainer, fields, batches, model, dtype, arguments)
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


def run(
    trainer: str, fields: dict[str, Any], batches: list[list[Row]], model: Path, dtype: str, arguments: Any
) -> dict[str, Any]:
    """Train in a process of its own; seconds and losses of its steps, and its peak in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        order = {
            "trainer": trainer,
            "fields": fields,
            "model": str(model),
            "dtype": dtype,
            "rank": RANK,
            "learning_rate": LEARNING_RATE,
            "seed": 0,
            "rows": len(batches[0]),
            "batches": [[{"input_ids": row.input_ids, "labels": row.labels} for row in batch] for batch in batches],
            "place": folder,
            "result": str(place / "result.json"),
        }
        if trainer == OURS:
            write_dataset(place / "dataset", [row for batch in batches for row in batch])
            order["ids"] = [row.example.id for batch in batches for row in batch]
        other = trainer == LLAMAFACTORY
        if fields.get("ours"):
            order["fields"] = {name: value for name, value in fields.items() if name != "ours"}
            order["model"] = str(copy_of(model, dtype, place / "base"))
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
            raise SystemExit(f"{trainer} ended with status {status}:\n{(place / 'log').read_text()[-3000:]}")
        result = place / "result.json"
        if not result.exists():
            return {"seconds": [], "cpu_seconds": [], "losses": [], "peak": 0}
        made: dict[str, Any] = json.loads(result.read_text())
        return made


def copy_of(model: Path, dtype: str, folder: Path) -> Path:
    """The base model with weights of that format on disk."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base: Any = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), local_files_only=True)
    base.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model, local_files_only=True).save_pretrained(folder)
    return folder


def write_dataset(folder: Path, train: Sequence[Row], validation: Sequence[Row] = ()) -> None:
    from tianjing.dataset import write_examples
    from tianjing.lineage import artefact

    with artefact(folder, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [row.example for row in train])
        if validation:
            write_examples(work.dir / "validation.parquet", [row.example for row in validation])


def compare_orders(rows: Sequence[Row], held_out: Sequence[Row], model: Path, arguments: argparse.Namespace) -> None:
    """One epoch of the same rows, as they come and as the sampler orders them, and the loss it leads to."""
    draw_rows = random.Random(1)
    chosen = draw_rows.sample(list(rows), arguments.epoch_rows)
    validation = draw_rows.sample(list(held_out), min(len(held_out), arguments.epoch_rows))
    supervised = sum(label != -100 for row in chosen for label in row.labels)
    print(f"\none epoch of {len(chosen)} rows, ours, {len(validation)} held-out rows")
    print(f"{'order':<36}{'tokens/s':>9}{'seconds':>9}{'held-out loss':>15}", flush=True)
    for name in ("random", "grouped"):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            write_dataset(place / "dataset", chosen, validation)
            order = {
                "trainer": OURS,
                "fields": {},
                "model": str(model),
                "rank": RANK,
                "learning_rate": LEARNING_RATE,
                "seed": 0,
                "rows": arguments.rows,
                "place": folder,
                "result": str(place / "result.json"),
                "held_out": len(validation),
                "ids": [row.example.id for row in chosen] if name == "random" else None,
            }
            (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
            script = str(HERE / "training_trainers.py")
            child = subprocess.run(
                [sys.executable, script, str(place / "order.json")], stderr=subprocess.PIPE, text=True
            )
            if child.returncode:
                raise SystemExit(child.stderr[-3000:])
            made = json.loads((place / "result.json").read_text())
        seconds = sum(made["seconds"])
        print(f"{name:<36}{supervised / seconds:>9.2f}{seconds:>9.0f}{made['held_out_loss']:>15.4f}", flush=True)


if __name__ == "__main__":
    main()
