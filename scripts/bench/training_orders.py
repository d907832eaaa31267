"""What grouping rows by task and length is worth by itself (`training_cpu.py --epoch-rows`).

For each seed so many rows are drawn, and one epoch of them is trained with the defaults of `tianjing train run`: in the
order drawn, and as the sampler groups them. The same base, initial adapter and held-out rows; so the difference of the
two losses on those is the order's, and its spread over the seeds says whether it is more than chance. Then grouped
again, with as many more rows as it takes the time of the order drawn: which loss the same time buys. Between the two
grouped runs lies the time in which grouping reaches the loss of the order drawn (straight line between the two).
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


def compare_orders(rows: Sequence[Row], held_out: Sequence[Row], model: Path, count: int, seeds: int) -> None:
    """Print each epoch's speed and the held-out loss that it leads to, and the mean differences of the orders."""
    print(f"\none epoch of {count} rows, ours with its defaults, all {len(held_out)} held-out rows")
    print(f"{'seed':<6}{'order':<10}{'rows':>6}{'tokens/s':>10}{'seconds':>9}{'held-out loss':>15}", flush=True)
    faster: list[float] = []
    equal_rows: list[float] = []
    equal_time: list[float] = []
    equal_loss: list[float] = []
    for seed in range(seeds):
        shuffled = random.Random(seed).sample(list(rows), len(rows))
        drawn = _trained(shuffled[:count], held_out, model, "random", seed)
        grouped = _trained(shuffled[:count], held_out, model, "grouped", seed)
        step = TrainConfig().micro_rows * TrainConfig().micro_batches
        longer = round(count * drawn[0] / grouped[0] / step) * step
        more = _trained(shuffled[:longer], held_out, model, "grouped", seed)
        faster.append(drawn[0] / grouped[0])
        equal_rows.append(grouped[1] / drawn[1] - 1)
        equal_time.append(more[1] / drawn[1] - 1)
        share = (grouped[1] - drawn[1]) / (grouped[1] - more[1]) if grouped[1] != more[1] else 0.0
        equal_loss.append(drawn[0] / (grouped[0] + share * (more[0] - grouped[0])))
    print(f"grouped: {statistics.mean(faster):.2f}x as fast; held-out loss {_mean(equal_rows)} of the same rows, ")
    print(
        f"{_mean(equal_time)} in the same time; {statistics.median(equal_loss):.2f}x as fast to the same loss (median)"
    )


def _trained(chosen: Sequence[Row], held_out: Sequence[Row], model: Path, order: str, seed: int) -> tuple[float, float]:
    """`epoch`, and its line of the table."""
    seconds, loss = epoch(chosen, held_out, model, order, seed)
    tokens = sum(label != -100 for row in chosen for label in row.labels) / seconds
    print(f"{seed:<6}{order:<10}{len(chosen):>6}{tokens:>10.2f}{seconds:>9.1f}{loss:>15.4f}", flush=True)
    return seconds, loss


def _mean(differences: Sequence[float]) -> str:
    error = f"{statistics.stdev(differences) / len(differences) ** 0.5:.2%}" if len(differences) > 1 else "unknown"
    higher = sum(each > 0 for each in differences)
    return f"{statistics.mean(differences):+.2%} (standard error {error}, higher in {higher} of {len(differences)})"


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
