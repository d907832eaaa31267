"""What the benchmarks of serving have in common: quantiles, the machine, and how long one fdatasync takes."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

RECORD_BYTES = 600
"""Of the audit record that is durable before a request is answered, about."""


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 10_000) // 10_000) - 1))]


def machine() -> str:
    """One line about where a figure comes from."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    return f"{model}, {usable} cores, Python {platform.python_version()}, {platform.system()}; load before: {load:.1f}"


class Fdatasync:
    """Appends records to a file in `folder`, and says how long each takes to be durable, in seconds."""

    def __init__(self, folder: Path):
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix="fdatasync-")  # noqa: SIM115 closed by close()

    def once(self) -> float:
        began = time.perf_counter()
        os.write(self._file.fileno(), b"x" * RECORD_BYTES)
        os.fdatasync(self._file.fileno())
        return time.perf_counter() - began

    def close(self) -> None:
        self._file.close()
