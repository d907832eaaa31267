"""Some steps of the real training command on a few of the real batches, in a process of its own: time and peak memory.

The largest micro-batch of the run is among them, since it sets the peak; the others are spread from long to short, so
that their time speaks for the run. `python -m training.plan.probe FILE` is that process.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.dataset import preference_file, write_examples, write_preferences
from tianjing.lineage import artefact
from tianjing.records import Example, Preference
from training.config import TrainConfig
from training.errors import TrainingError
from training.plan.audit import Epochs, MicroBatch
from training.plan.devices import CONTEXT_BYTES
from training.rows import TokenRow, choose


@dataclass(frozen=True)
class Probe:
    """What was measured; times in seconds of wall clock, memory in bytes."""

    steps: int
    """Steps that were timed; one more, the first, warmed up."""
    seconds_per_token: float
    """Of a step, for each token that the decoder computes."""
    start_seconds: float
    """From the start of the process to a trainer that could begin."""
    once_seconds_per_token: float
    """Of what is computed once before the first step: the states of frozen layers, the reference of preferences."""
    warm_up_seconds: float
    """By how much the first step took longer than its tokens: memory, and compilation where layers are compiled."""
    peak: int
    """Largest resident size of the process; on an accelerator what its allocator reserved, and the context."""


def probe(
    examples: Sequence[Example] | Sequence[Preference],
    rows: Sequence[TokenRow],
    run: Epochs,
    size: Callable[[MicroBatch], float],
    model: Path,
    config: TrainConfig,
    steps: int,
) -> Probe:
    """Train `steps` steps (at least two) on batches chosen from `run`, and measure.

    Args:
        size: what the largest micro-batch is largest in.

    Raises:
        TrainingError: the training process failed; its last lines are in the message.
    """
    batches = choose_batches(run, size, steps * config.micro_batches)
    ids = [rows[number].id for batch in batches for number in batch.rows]
    wanted = set(ids)
    chosen: list[Any] = [example for example in examples if example.id in wanted]
    place_of = {example.id: place for place, example in enumerate(choose(chosen, None, config.seed))}
    settings = config.model_copy(
        update={
            "max_rows_per_task": None,
            "epochs": max(1.0, config.epochs),
            "evaluation": None,
            "replay": None,  # its rows are among the chosen
            "report_to": "none",
            "save_every_steps": 1 << 30,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with artefact(place / "dataset", kind="dataset") as work:
            if config.method == "sft":
                write_examples(work.dir / "train.parquet", chosen)
            else:
                write_preferences(work.dir / preference_file("train"), chosen)
        order = {
            "dataset": str(place / "dataset"),
            "model": str(model),
            "out": str(place / "adapter"),
            "config": settings.model_dump(mode="json", exclude_unset=True),
            "steps": steps,
            "batches": [[place_of[rows[number].id] for number in batch.rows] for batch in batches],
            "result": str(place / "result.json"),
        }
        (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
        child = subprocess.run(
            [sys.executable, "-m", "training.plan.probe", str(place / "order.json")],
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode != 0 or not (place / "result.json").is_file():
            killed = " (killed: too little memory?)" if child.returncode == -9 else ""
            last = "\n  ".join(child.stderr.strip().splitlines()[-5:])
            raise TrainingError(
                f"the probe ended with status {child.returncode}{killed}:\n  {last}",
                "plan without it: --probe-steps 0",
            )
        measured = json.loads((place / "result.json").read_text(encoding="utf-8"))
    seconds = measured["step_seconds"]
    per_step = [
        sum(batch.tokens for batch in batches[start : start + config.micro_batches])
        for start in range(0, len(batches), config.micro_batches)
    ][: len(seconds)]
    # The first step also allocates; a run of one step has no other.
    timed = slice(1, None) if len(seconds) > 1 else slice(None)
    seconds_per_token = sum(seconds[timed]) / sum(per_step[timed])
    return Probe(
        steps=len(seconds[timed]),
        seconds_per_token=seconds_per_token,
        start_seconds=measured["start_seconds"],
        once_seconds_per_token=measured["once_seconds"] / sum(len(row.input_ids) for row in rows if row.id in place_of),
        warm_up_seconds=max(0.0, seconds[0] - seconds_per_token * per_step[0]),
        peak=measured["peak"],
    )


def choose_batches(run: Epochs, size: Callable[[MicroBatch], float], count: int) -> list[MicroBatch]:
    """Up to `count` micro-batches of one epoch: its largest, which is the run's, first; then evenly to the smallest.

    One of fewer rows than the others, the last of its epoch, comes last here too: the loader counts rows.
    """
    epoch = max(run.micro, key=lambda micro: max(map(size, micro)))
    ordered = sorted(epoch, key=size, reverse=True)
    wanted = min(count, len(ordered))
    places = sorted({round(n * (len(ordered) - 1) / max(1, wanted - 1)) for n in range(wanted)})
    chosen = [ordered[place] for place in places]
    full = max(len(batch.rows) for batch in chosen)
    return sorted(chosen, key=lambda batch: len(batch.rows) < full)


def peak_bytes() -> int:
    """Largest resident size of this process so far.

    Linux' VmHWM where there is one: `ru_maxrss` of a process that was started by a larger one begins at that one's.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    factor = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor


def _main(order: dict[str, Any]) -> None:
    """Train as ordered, and write down when the steps ended."""
    started = time.perf_counter()
    from training.assembly import Measured
    from training.run import prepare_process, train

    prepare_process()
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        built = began = 0.0

        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.built = time.perf_counter()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.ends.append(time.perf_counter())
            if state.global_step >= order["steps"]:
                control.should_training_stop = True

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            times = [self.began, *self.ends]
            result = {
                "start_seconds": self.built - started,
                "once_seconds": self.began - self.built,
                "step_seconds": [end - begin for begin, end in itertools.pairwise(times)],
                "peak": peak_bytes(),
            }
            if torch.cuda.is_available():
                result["peak"] = torch.cuda.max_memory_reserved() + CONTEXT_BYTES
            Path(order["result"]).write_text(json.dumps(result), encoding="utf-8")

    import torch

    places = Path(order["dataset"]), Path(order["model"]), Path(order["out"])
    train(*places, TrainConfig.model_validate(order["config"]), measured=Measured(order["batches"], [Clock()]))


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
