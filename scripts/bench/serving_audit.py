"""The account of requests: how fast it is, what `verify` finds, and what kills and full disks leave.

--rate     records a second through `accepted` and `closed` of many requests at once, beside one fdatasync for each
           record and beside the package auditchain where it is installed (it never flushes to the disk); and what
           `accepted` adds for one request at a time, beside a bare fdatasync in the same run.
--tamper   every byte of 200 records is changed, removed and doubled; then N random edits, deletions, insertions,
           reorderings and truncations of a 10,000-record log. Verification goes on from the record that was hit, by
           the same code that reads a whole log; one in fifty is written to disk and verified from its first record.
--kills    a process that accounts for pretend answers is killed with SIGKILL at N random moments; after each restart
           the log verifies, and every answer that was given has its record from before the answer.
--full     the file system refuses to grow the log (RLIMIT_FSIZE) and then lets it grow again, N times.

Usage: python scripts/bench/serving_audit.py [--rate] [--tamper 5000] [--kills 500] [--full 20] [--folder DIR]
Exit status 1: something was not found, not accounted for, or (with --rate) below 20,000 records/s.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib.util
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from serving_audit_damage import tamper
from serving_audit_material import accepted, closed, settings, verified
from serving_audit_outages import full, kills

from serving.audit.log import AuditLog

WANTED_PER_S = 20_000
TOGETHER = 2_000


async def rate(root: Path) -> bool:
    group, cpu_us = await _grouped(root / "group", 60_000)
    single = _synced_each(root / "single.jsonl", 400)
    added, bare = await _one_at_a_time(root / "latency", 400)
    peer = await _auditchain(root / "peer.jsonl", 3_000)
    if peer is not None:
        print(f"{'auditchain, a record at a time':36}{peer:10,.0f} records/s   (not durable)")
    print(f"{'one fdatasync a record':36}{single:10,.0f} records/s")
    print(
        f"{'group commit, ' + str(TOGETHER) + ' requests at once':36}{group:10,.0f} records/s   ×{group / single:.0f}"
    )
    print(f"{'of it CPU, callers and writer':36}{cpu_us:10.1f} µs a record")
    for name, values in (("bare fdatasync of such a record", bare), ("accepted(), one at a time", added)):
        p50, p99 = _percentiles(values)
        print(f"{name:36}{p50:10.3f} ms p50 {p99:8.3f} ms p99")
    print(f"{'added above one fdatasync, p50':36}{_percentiles(added)[0] - _percentiles(bare)[0]:10.3f} ms")
    return group >= WANTED_PER_S


async def _grouped(state: Path, requests: int) -> tuple[float, float]:
    """Records a second, and microseconds of CPU a record."""
    log = AuditLog(settings(), state)
    await log.open()

    async def one(number: int) -> None:
        await log.accepted(accepted(number))
        log.closed(closed(number))

    began, cpu = time.perf_counter(), time.process_time()
    for first in range(0, requests, TOGETHER):
        await asyncio.gather(*map(one, range(first, first + TOGETHER)))
    await log.close()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    report = verified(state)
    assert report.ok and report.open == 0, report
    return report.records / seconds, cpu / report.records * 1e6


def _synced_each(path: Path, records: int) -> float:
    line = os.urandom(700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(records):
        os.write(descriptor, line)
        os.fdatasync(descriptor)
    seconds = time.perf_counter() - began
    os.close(descriptor)
    return records / seconds


async def _auditchain(path: Path, records: int) -> float | None:
    """Records a second of the peer, under a key as ours; None without the package."""
    if importlib.util.find_spec("auditchain") is None:
        return None
    peer = importlib.import_module("auditchain")
    body = dataclasses.asdict(accepted(1))
    async with peer.AuditLog(peer.JsonlBackend(path), seal_key=b"k" * 32) as log:
        began = time.perf_counter()
        for number in range(records):
            await log.append("acme", "accepted", f"{number:024x}", metadata=body)
        return records / (time.perf_counter() - began)


async def _one_at_a_time(state: Path, requests: int) -> tuple[list[float], list[float]]:
    """Milliseconds of `accepted` and of a bare write and fdatasync, taken in turn on the same disk."""
    log = AuditLog(settings(), state)
    await log.open()
    descriptor = os.open(state / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = os.urandom(700)
    added, bare = [], []
    for number in range(requests):
        began = time.perf_counter()
        os.write(descriptor, line)
        os.fdatasync(descriptor)
        middle = time.perf_counter()
        await log.accepted(accepted(number))
        added.append((time.perf_counter() - middle) * 1000)
        bare.append((middle - began) * 1000)
    os.close(descriptor)
    await log.close()
    return added, bare


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    return statistics.median(values), sorted(values)[int(len(values) * 0.99)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", action="store_true")
    parser.add_argument("--tamper", type=int, default=0, metavar="N")
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--full", type=int, default=0, metavar="N")
    parser.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rng = random.Random(args.seed)
    good = True
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root = Path(folder)
        # Kills first: a process that has had threads should not fork.
        parts: list[tuple[object, Callable[[], bool]]] = [
            (args.kills, lambda: kills(root, args.kills, rng)),
            (args.tamper, lambda: tamper(root, args.tamper, rng)),
            (args.full, lambda: asyncio.run(full(root, args.full, rng))),
            (args.rate, lambda: asyncio.run(rate(root))),
        ]
        for wanted, part in parts:
            if wanted:
                began = time.perf_counter()
                good = part() and good
                print(f"  ({time.perf_counter() - began:.1f} s)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
