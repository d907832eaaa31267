"""Progress of a training run: a bar with the loss and the time left, and complete checkpoints."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from accelerate import PartialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback

_COMPLETE = "complete"


# A log file gets a line this often; a terminal gets a live bar.
_LINE_EVERY_STEPS = 5


class ProgressBar(TrainerCallback):
    """Shows steps, loss, tokens per second and time left on stderr."""

    def __init__(self, tokens_per_step: float):
        self._tokens_per_step = tokens_per_step
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._loss = "–"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress = Progress(
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} tok/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        if self._console.is_terminal:
            self._progress.start()
        self._bar = self._progress.add_task(
            "train", total=state.max_steps, completed=state.global_step, loss="–", speed="–"
        )
        self._first_step, self._started = state.global_step, time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        assert self._progress is not None
        elapsed = time.monotonic() - self._started
        speed = (state.global_step - self._first_step) * self._tokens_per_step / max(elapsed, 1e-9)
        self._progress.update(self._bar, completed=state.global_step, speed=f"{speed:.0f}")
        if not self._console.is_terminal and state.global_step % _LINE_EVERY_STEPS == 0:
            done = state.global_step - self._first_step
            left = elapsed / done * (state.max_steps - state.global_step)
            self._console.print(
                f"train {state.global_step}/{state.max_steps} loss {self._loss} {speed:.0f} tok/s, {left:.0f} s left"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._progress is not None and logs and "loss" in logs:
            self._loss = f"{float(logs['loss']):.3f}"
            self._progress.update(self._bar, loss=self._loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._progress is not None:
            self._progress.stop()


class CompleteCheckpoints(TrainerCallback):
    """Marks a checkpoint as complete once every process has written its part; a killed save has no mark."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; incomplete ones are removed."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            found.append((int(path.name.rsplit("-", 1)[1]), path))
        else:
            shutil.rmtree(path)
    return max(found)[1] if found else None
