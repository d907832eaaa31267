"""Clean a raw folder that is far larger than memory should be, and watch the memory of all its processes.

    python scripts/bench/streaming.py --gigabytes 10 [--folder DIR]

The corpus is a simulated one (`tianjing simulate`) over and over, with its logs and outcomes; each time round dialogues
and customers have other ids. The words repeat, so the time says little of other corpora; memory does not depend on
words. Memory is the proportional set size (pages that processes share count once) of the command and its workers,
summed, every half second; what the command has on the disk at a time is looked up every ten seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LIMIT_GIB = 2.0
CASES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="Size of dialogues.jsonl, in 10^9 bytes.")
    parser.add_argument("--folder", type=Path, help="Where to write; default a temporary folder.")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True)
    work = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        raw = corpus(work, arguments.gigabytes * 1e9, arguments.seed)
        command = [sys.executable, "-m", "tianjing", "data", "clean", str(raw), "--out", str(work / "clean")]
        started = time.monotonic()
        with open(work / "errors.txt", "w+", encoding="utf-8") as errors:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
            peaks, room = watched(process, work, raw)
            seconds = time.monotonic() - started
            if process.returncode:
                errors.seek(0)
                sys.exit(f"data clean failed:\n{errors.read()[-3000:]}")
        counts = json.loads((work / "clean" / "manifest.json").read_text("utf-8"))["counts"]
        read = counts["read dialogues"]
        print(f"{read:,} dialogues in {seconds:,.0f} s, {read / seconds:,.0f} a second")
        material = size_of(raw)
        print(f"on the disk beside the material of {material / 1e9:.1f} GB: at most {room / 1e9:.1f} GB")
        print("memory of all processes, at most:", ", ".join(f"{name} {gib:.2f}" for name, gib in peaks.items()))
        peak = max(peaks.values())
        print(f"peak memory of all processes: {peak:.2f} GiB (target {LIMIT_GIB})")
        sys.exit(peak > LIMIT_GIB)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def corpus(work: Path, wanted_bytes: float, seed: int) -> Path:
    """The raw folder."""
    command = [sys.executable, "-m", "tianjing", "simulate", "--cases", str(CASES), "--seed", str(seed)]
    subprocess.run([*command, "--out", str(work / "simulated")], check=True, stdout=subprocess.DEVNULL)
    simulated, raw = work / "simulated", work / "raw"
    raw.mkdir()
    rounds = max(1, round(wanted_bytes / (simulated / "dialogues.jsonl").stat().st_size))
    for name, keys in (
        ("dialogues", ("id", "customer")),
        ("events", ("case",)),
        ("outcomes", ("case",)),
        ("customers", ("customer",)),
    ):
        with open(raw / f"{name}.jsonl", "w", encoding="utf-8") as target:
            for number in range(rounds):
                target.writelines(renamed(simulated / f"{name}.jsonl", keys, number))
        print(f"{name}.jsonl: {(raw / f'{name}.jsonl').stat().st_size / 1e9:.2f} GB", flush=True)
    return raw


def renamed(path: Path, keys: tuple[str, ...], number: int) -> Iterator[str]:
    """Lines of a file with the number of the round in their ids."""
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            for key in keys:
                line = line.replace(f'"{key}":"', f'"{key}":"{number}-', 1).replace(
                    f'"{key}": "', f'"{key}": "{number}-', 1
                )
            yield line


def watched(process: subprocess.Popen[bytes], work: Path, raw: Path) -> tuple[dict[str, float], int]:
    """Wait for a command; the most that it and its descendants had: GiB of memory by phase, and bytes of `work`."""
    peaks: dict[str, float] = {}
    room = looks = 0
    own = size_of(raw)
    while process.poll() is None:
        name = phase_of(work / "errors.txt")
        peaks[name] = max(peaks.get(name, 0.0), sum(map(proportional, family(process.pid))) / 2**20)
        if looks % 20 == 0:
            room = max(room, size_of(work) - own)
        looks += 1
        time.sleep(0.5)
    return peaks, room


def phase_of(told: Path) -> str:
    """The phase that the command told of last."""
    lines = told.read_bytes()[-300:].decode("utf-8", errors="replace").rstrip().splitlines()
    return lines[-1].removeprefix("clean: ").split(":")[0] if lines else "start"


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; those that go meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def family(root: int) -> list[int]:
    """A process and its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text("utf-8")
            except OSError:
                continue  # it has ended
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def proportional(process: int) -> int:
    """Proportional set size, in KiB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
