"""Memory of the device that a run is planned for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

GIB = 1 << 30
# What `nvidia-smi` gives as total memory, in GiB; the makers' gigabytes are smaller.
ACCELERATORS = {
    "h200": 140.4,
    "h100-80": 79.6,
    "a100-80": 80.0,
    "a100-40": 40.0,
    "l40s": 45.0,
    "l4": 22.5,
    "a10": 22.5,
    "rtx4090": 24.0,
}
# A CUDA context with the libraries' kernels and work space. An allowance, not a measurement.
CONTEXT_BYTES = GIB


@dataclass(frozen=True)
class Device:
    """Where a run would go; `capacity` in bytes."""

    name: str
    capacity: int
    is_cpu: bool


def device(name: str) -> Device:
    """The device of this name: `cpu` (this machine), an accelerator, or a number of GiB of an accelerator's memory.

    Raises:
        TrainingError: no such device; the message lists those there are.
    """
    if name == "cpu":
        return Device(name, machine_memory(), is_cpu=True)
    if name in ACCELERATORS:
        return Device(name, int(ACCELERATORS[name] * GIB), is_cpu=False)
    try:
        gib = float(name)
    except ValueError:
        gib = 0.0
    if not 0 < gib < float("inf"):
        raise TrainingError(
            f"no device '{name}'", f"use cpu, {', '.join(ACCELERATORS)}, or a number of GiB such as 24"
        ) from None
    return Device(f"accelerator of {gib:g} GiB", int(gib * GIB), is_cpu=False)


def machine_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Memory of this machine in bytes, cut by a container's limit (cgroup v2 memory.max)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(limit.read_text()))
    except (OSError, ValueError):
        return total
