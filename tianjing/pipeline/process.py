"""One stage in its own process: its memory is given back, and it dies with the pipeline."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_S = 2.0
_STOP_GRACE_S = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Result:
    """Exit status, wall time, and the peak of the process tree's memory (proportional set size)."""

    status: int
    seconds: float
    peak_memory_gib: float


def run(command: list[str], log_environment: dict[str, str] | None = None) -> Result:
    """Run a command to its end, its output on this terminal.

    Raises:
        KeyboardInterrupt: passed on once the child has ended.
    """
    started = time.monotonic()
    child = subprocess.Popen(command, preexec_fn=_die_with_parent, env={**os.environ, **(log_environment or {})})
    memory = _PeakMemory(child.pid)
    memory.start()
    try:
        status = child.wait()
    except KeyboardInterrupt:
        _stop(child)
        raise
    finally:
        memory.stop()
    return Result(status, time.monotonic() - started, memory.peak_bytes / 2**30)


def _stop(child: subprocess.Popen[bytes]) -> None:
    # A terminal's Ctrl-C has reached the child as well; a plain signal to the pipeline has not.
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_STOP_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _die_with_parent() -> None:
    """Linux sends SIGKILL to the child when the pipeline dies, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _PeakMemory(threading.Thread):
    """Samples the memory of a process and its descendants, wherever /proc offers it."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            total = sum(_memory_bytes(pid) for pid in _tree(self._pid))
            self.peak_bytes = max(self.peak_bytes, total)

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, queue = {root}, [root]
    while queue:
        for child in children.get(queue.pop(), []):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


def _memory_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # the process has ended, or belongs to somebody else
    return 0
