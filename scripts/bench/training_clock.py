"""Times of a trainer's steps, written down after each of them; needs nothing but transformers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback


def peak_bytes() -> int:
    """Largest resident size of this process so far (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


class Clock(TrainerCallback):
    """Wall and CPU seconds from the first forward pass of a step to the end of its optimiser, and its loss."""

    def __init__(self, result: Path):
        self._result = result
        self.made: dict[str, Any] = {"seconds": [], "cpu_seconds": [], "losses": [], "peak": 0}
        self._began = (0.0, 0.0)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.end()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        logs = logs or {}
        if "loss" in logs:
            self.made["losses"].append(float(logs["loss"]))
            self.write()
        if "eval_loss" in logs:
            self.made["held_out_loss"] = float(logs["eval_loss"])
            self.write()

    def begin(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def end(self) -> None:
        self.made["seconds"].append(time.perf_counter() - self._began[0])
        self.made["cpu_seconds"].append(time.process_time() - self._began[1])
        self.write()

    def write(self) -> None:
        self.made["peak"] = peak_bytes()
        self._result.write_text(json.dumps(self.made))
