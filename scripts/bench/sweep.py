"""A small sweep of learning rate, rank and epochs on one dataset, judged by the loss on its validation split.

One setting at a time, in this order; what was best so far holds for the next. The schedule falls to zero at the end of
every run, so a run of two epochs is not one of one epoch that goes on. Each run is `tianjing train run` in a process of
its own; a run that is finished is read and not repeated, so an interrupted sweep goes on.
Usage: python scripts/bench/sweep.py DATASET --out DIR [--config YAML] [--learning-rates 2e-4 5e-4 1e-3]
       [--ranks 4 16 64] [--epochs 1 2 3] [--rows 64] [--validation-rows 48] [--seeds 0]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Setting:
    """One point of the sweep; alpha is twice the rank, so that the scale of the update is the same for every rank."""

    learning_rate: float
    rank: int
    epochs: int

    @property
    def name(self) -> str:
        return f"lr{self.learning_rate:g}-r{self.rank}-e{self.epochs}"


@dataclass(frozen=True)
class Outcome:
    """Losses in nats per supervised token, weighted as in training."""

    training: float
    """Mean of the last quarter of the steps."""
    validation: float
    steps: int
    seconds: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs; kept")
    parser.add_argument("--config", type=Path, help="YAML with the fields of TrainConfig that all runs share")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[2e-4, 5e-4, 1e-3])
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, default=64, help="training rows of each task")
    parser.add_argument("--validation-rows", type=int, default=48)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="every setting is run with each")
    arguments = parser.parse_args()

    print(f"{platform.machine()}, {arguments.dataset.name}: {arguments.rows} rows of each task", flush=True)
    print(f"{'learning rate':>13}{'rank':>6}{'epochs':>8}{'steps':>7}{'training':>10}{'validation':>12}{'seconds':>9}")
    best = Setting(arguments.learning_rates[0], sorted(arguments.ranks)[len(arguments.ranks) // 2], arguments.epochs[0])
    for field, values in (
        ("learning_rate", arguments.learning_rates),
        ("rank", arguments.ranks),
        ("epochs", arguments.epochs),
    ):
        best = choose(best, field, values, arguments)
    print(f"\nchosen: learning rate {best.learning_rate:g}, rank {best.rank}, {best.epochs} epochs")


def choose(start: Setting, field: str, values: Sequence[Any], arguments: argparse.Namespace) -> Setting:
    """The value of `field` with the lowest mean validation loss over the seeds, the first of equal ones."""
    found: list[tuple[float, Setting]] = []
    for value in values:
        setting = replace(start, **{field: value})
        outcomes = [outcome(setting, seed, arguments) for seed in arguments.seeds]
        found.append((statistics.mean(each.validation for each in outcomes), setting))
    return min(found, key=lambda entry: entry[0])[1]


def outcome(setting: Setting, seed: int, arguments: argparse.Namespace) -> Outcome:
    """Run one setting, or read what it came to, and print its line."""
    adapter = arguments.out / f"{setting.name}-s{seed}"
    if not (adapter / "manifest.json").exists():
        train(setting, seed, adapter, arguments)
    history = [json.loads(line) for line in (adapter / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [entry["loss"] for entry in history if "loss" in entry]
    counts = json.loads((adapter / "manifest.json").read_text(encoding="utf-8"))["counts"]
    made = Outcome(
        training=statistics.mean(losses[-max(1, len(losses) // 4) :]),
        validation=min(entry["eval_loss"] for entry in history if "eval_loss" in entry),
        steps=counts["steps"],
        seconds=counts["seconds"],
    )
    print(
        f"{setting.learning_rate:>13g}{setting.rank:>6}{setting.epochs:>8}{made.steps:>7}{made.training:>10.4f}"
        f"{made.validation:>12.4f}{made.seconds:>9}",
        flush=True,
    )
    return made


def train(setting: Setting, seed: int, adapter: Path, arguments: argparse.Namespace) -> None:
    """`tianjing train run` with this setting; the validation loss is taken after the last step."""
    fields: dict[str, Any] = yaml.safe_load(arguments.config.read_text(encoding="utf-8")) if arguments.config else {}
    fields["lora"] = fields.get("lora", {}) | {"rank": setting.rank, "alpha": 2 * setting.rank}
    fields |= {
        "learning_rate": setting.learning_rate,
        "epochs": setting.epochs,
        "max_rows_per_task": arguments.rows,
        "evaluation": {"every_steps": 1_000_000, "max_rows": arguments.validation_rows},
        "seed": seed,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    config = arguments.out / f"{adapter.name}.yaml"
    config.write_text(yaml.safe_dump(fields), encoding="utf-8")
    command = [sys.executable, "-m", "tianjing", "train", "run", str(arguments.dataset), "--out", str(adapter)]
    done = subprocess.run([*command, "--config", str(config)], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{adapter.name} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
