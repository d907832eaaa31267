"""What grouping rows by task and length is worth by itself (`training_cpu.py --epoch-rows`).

For each seed so many rows are drawn, and one epoch of them is trained twice with the defaults of `tianjing train run`:
in the order drawn, and as the sampler groups them. The same base, initial adapter and held-out rows; so the difference
of the two losses on those is the order's, and its spread over the seeds says whether it is more than chance.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from training_cpu_material import QUIET, RANK, Row, write_dataset

from training.config import TrainConfig

ORDERS = ("random", "grouped")


def compare_orders(rows: Sequence[Row], held_out: Sequence[Row], model: Path, count: int, seeds: int) -> None:
    """Print each epoch's speed and the held-out loss that it leads to, and the mean difference of the two orders."""
    print(f"\none epoch of {count} rows, ours with its defaults, all {len(held_out)} held-out rows")
    print(f"{'seed':<6}{'order':<12}{'tokens/s':>9}{'seconds':>9}{'held-out loss':>15}", flush=True)
    losses: dict[str, list[float]] = {order: [] for order in ORDERS}
    speeds: dict[str, list[float]] = {order: [] for order in ORDERS}
    for seed in range(seeds):
        chosen = random.Random(seed).sample(list(rows), count)
        supervised = sum(label != -100 for row in chosen for label in row.labels)
        for order in ORDERS:
            seconds, loss = epoch(chosen, held_out, model, order, seed)
            losses[order].append(loss)
            speeds[order].append(supervised / seconds)
            print(f"{seed:<6}{order:<12}{supervised / seconds:>9.2f}{seconds:>9.1f}{loss:>15.4f}", flush=True)
    differences = [grouped / drawn - 1 for drawn, grouped in zip(losses["random"], losses["grouped"], strict=True)]
    ratios = [grouped / drawn for drawn, grouped in zip(speeds["random"], speeds["grouped"], strict=True)]
    error = f"{statistics.stdev(differences) / seeds**0.5:.2%}" if seeds > 1 else "unknown"
    print(
        f"grouped: {statistics.mean(ratios):.2f}x as fast; held-out loss {statistics.mean(differences):+.2%}, "
        f"standard error {error}, higher in {sum(each > 0 for each in differences)} of {seeds}"
    )


def epoch(chosen: Sequence[Row], held_out: Sequence[Row], model: Path, order: str, seed: int) -> tuple[float, float]:
    """Train one epoch in a process of its own; seconds of its steps, and the loss on `held_out` after it."""
    defaults = TrainConfig()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_dataset(place / "dataset", chosen, held_out)
        told = {
            "trainer": "ours",
            "fields": {name: getattr(defaults, name) for name in ("micro_batches", "schedule", "warmup_ratio")},
            "model": str(model),
            "rank": RANK,
            "learning_rate": defaults.learning_rate,
            "seed": seed,
            "rows": defaults.micro_rows,
            "place": folder,
            "result": str(place / "result.json"),
            "held_out": len(held_out),
            "ids": [row.example.id for row in chosen] if order == "random" else None,
        }
        (place / "order.json").write_text(json.dumps(told), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).parent / "training_trainers.py"), str(place / "order.json")]
        child = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=os.environ | QUIET, check=False)
        if child.returncode:
            raise SystemExit(child.stderr[-3000:])
        made = json.loads((place / "result.json").read_text(encoding="utf-8"))
    return sum(made["seconds"]), made["held_out_loss"]
