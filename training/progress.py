"""What a person sees of a running training, and what happens between its steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback

from tianjing.console import make_console
from training.config import EvaluationSection
from training.interruption import Stop
from training.layout.attention import Layout
from training.layout.packing import PackedLayout
from training.ranks import any_rank
from training.validation import MARGIN, VALIDATION_LOSS, exhausted

# A log file gets a line this often; a terminal gets a live bar.
_LINE_EVERY_STEPS = 5


@dataclass
class Meter:
    """What was trained on since the process started."""

    tokens: int = 0
    """Of all rows, each in full, also where a shared prompt is computed once."""
    own: int = 0
    """What fills `room`: the tokens behind the shared prompts; of packed rows, all that are computed."""
    room: int = 0
    """Places in which the attention computes those: every row of a batch is padded to its longest, a bin to its end."""

    def count(self, layout: Layout | PackedLayout) -> None:
        """Add one micro-batch."""
        self.tokens += layout.row_tokens
        self.own += layout.own
        self.room += layout.room

    @property
    def padding(self) -> float:
        """Share of padding in `room`, 0 to 1."""
        return 1 - self.own / self.room if self.room else 0.0


class ProgressBar(TrainerCallback):
    """Shows step, loss, tokens per second, padding and time left on stderr."""

    def __init__(self, meter: Meter, console: Console | None = None):
        self._meter = meter
        self._console = console or make_console(stderr=True)
        self._progress: Progress | None = None
        self._loss = "–"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress = Progress(
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} tok/s"),
            TextColumn("padding {task.fields[padding]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        if self._console.is_terminal:
            self._progress.start()
        self._bar = self._progress.add_task(
            "train", total=state.max_steps, completed=state.global_step, loss="–", speed="–", padding="–"
        )
        self._first_step, self._started = state.global_step, time.monotonic()
        self._warm = self._started

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        assert self._progress is not None
        now = time.monotonic()
        elapsed = now - self._started
        if state.global_step == self._first_step + 1:
            self._warm = now
        speed, padding = f"{self._meter.tokens / max(elapsed, 1e-9):.0f}", f"{self._meter.padding:.0%}"
        self._progress.update(self._bar, completed=state.global_step, speed=speed, padding=padding)
        if not self._console.is_terminal and state.global_step % _LINE_EVERY_STEPS == 0:
            # The first step also warms up (and compiles), which no other does again.
            done = state.global_step - self._first_step
            each = (now - self._warm) / (done - 1) if done > 1 else elapsed
            left = each * (state.max_steps - state.global_step)
            self._console.print(
                f"train {state.global_step}/{state.max_steps} loss {self._loss} {speed} tok/s, padding {padding}, "
                f"{left:.0f} s left"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._progress is None or not logs:
            return
        if "loss" in logs:
            self._loss = f"{float(logs['loss']):.3f}"
            if MARGIN in logs:  # of preference pairs: by how much the chosen answers are ahead
                self._loss += f", margin {float(logs[MARGIN]):+.3f}"
            self._progress.update(self._bar, loss=self._loss)
        if VALIDATION_LOSS in logs:
            ahead = f", margin {logs[f'eval_{MARGIN}']:+.4f}" if f"eval_{MARGIN}" in logs else ""
            self._console.print(f"step {state.global_step}: validation loss {logs[VALIDATION_LOSS]:.4f}{ahead}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back, also when training ends by an exception."""
        if self._progress is not None and self._console.is_terminal:
            self._progress.stop()


class EpochOrder(TrainerCallback):
    """Tells the sampler which epoch begins, also where a resumed run of several processes skips what it has seen.

    accelerate's loader does not reach the sampler through its own wrappers for both; that epoch would then have the
    order of the first.
    """

    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        train_dataloader.set_epoch(int(state.epoch or 0))


class StopAfterStep(TrainerCallback):
    """Saves and ends the run at the end of a step in whose course one of its processes was asked to stop."""

    def __init__(self, stop: Stop):
        self._stop = stop

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if any_rank(self._stop.requested):
            self._stop.requested = True
            control.should_save = control.should_training_stop = True


class Evaluations(TrainerCallback):
    """Calls for the validation loss every few steps and at the last, keeps a checkpoint of each, and ends a run that no
    longer gets better."""

    def __init__(self, section: EvaluationSection):
        self._section = section

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._section.every_steps == 0 or state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save = True
        if exhausted(state.log_history, self._section.patience, self._section.min_improvement):
            control.should_training_stop = True
