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
import contextlib
import dataclasses
import importlib.util
import os
import platform
import random
import resource
import select
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from serving.audit.base import Accepted, Closed
from serving.audit.chain import Broken, Chain
from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE, AuditLog
from serving.audit.record import genesis
from serving.audit.settings import AnchorSettings, AuditSettings
from serving.audit.verify import Report, Trust, read_anchor, verify_instance
from serving.errors import ApiError

INSTANCE = "bench"
WANTED_PER_S = 20_000
TOGETHER = 2_000
ON_DISK_EVERY = 50


def accepted(number: int) -> Accepted:
    """What a request of an ordinary size puts on record."""
    return Accepted(
        f"{number:024x}",
        "acme",
        "9f2c41aa",
        "/v1/chat/completions",
        "tianjing",
        "tianjing",
        "5b1e" * 16,
        "stable",
        prompt="c0de" * 16,
        prompt_chars=212,
        customer="1a2b" * 16,
        session="3c4d" * 16,
        verdict="mask",
        entities={"phone": 1, "name": 2},
        policy="77aa" * 16,
        stream=True,
    )


def closed(number: int) -> Closed:
    return Closed(
        f"{number:024x}",
        200,
        "allow",
        answer="beef" * 16,
        answer_chars=96,
        finish=("stop",),
        upstream="engine-0",
        prompt_tokens=140,
        completion_tokens=63,
        first_ms=81.2,
        total_ms=740.9,
    )


def settings(**more: object) -> AuditSettings:
    return AuditSettings.model_validate({"instance": INSTANCE, **more})


def folder_of(state: Path) -> Path:
    return state / "audit" / INSTANCE


def trust(state: Path, anchor: Path | None = None) -> Trust:
    return Trust(load_ring(state / KEY_FILE).keys, anchored=read_anchor(anchor, None) if anchor else {})


def verified(state: Path, anchor: Path | None = None) -> Report:
    return verify_instance(folder_of(state), trust(state, anchor))


async def written(state: Path, requests: int, anchor: Path | None = None) -> None:
    """A log of some 2 x `requests` records."""
    log = AuditLog(settings(checkpoint_records=500, anchor=AnchorSettings(file=anchor) if anchor else None), state)
    await log.open()

    async def one(number: int) -> None:
        await log.accepted(accepted(number))
        log.closed(closed(number))

    await asyncio.gather(*map(one, range(requests)))
    await log.close()


# --- rate ---------------------------------------------------------------------------------------------------------


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


# --- tampering ----------------------------------------------------------------------------------------------------


class Log:
    """The lines of a log, and where its chain stood before each."""

    def __init__(self, state: Path, requests: int):
        self.state, self.anchor = state, state / "anchor.jsonl"
        asyncio.run(written(state, requests, self.anchor))
        (path,) = folder_of(state).glob("*.jsonl")
        self.path, self.data = path, path.read_bytes()
        self.lines = self.data.splitlines(keepends=True)
        self.ring = load_ring(state / KEY_FILE)
        self.anchored = max(read_anchor(self.anchor, None)[INSTANCE])
        chain = Chain(genesis(INSTANCE), self.ring.keys)
        self.before = []
        for line in self.lines:
            self.before.append(chain.copy())
            chain.take(line)

    def fault(self, first: int, lines: Sequence[bytes]) -> str:
        """What is wrong with a log whose lines are `lines` from line `first` on, "" when nothing is."""
        chain = self.before[first].copy()
        stream = iter(lines)
        try:
            for line in stream:
                chain.take(line, stream)
        except Broken as broken:
            return broken.problem.fault
        return "tail_lost" if chain.seq < self.anchored else ""

    def fault_on_disk(self, lines: Sequence[bytes], first: int) -> str:
        """The same from the first record, read from files."""
        self.path.write_bytes(b"".join([*self.lines[:first], *lines]))
        try:
            problem = verified(self.state, self.anchor).problem
            return problem.fault if problem else ""
        finally:
            self.path.write_bytes(self.data)


def split(data: bytes) -> list[bytes]:
    """Lines with their newlines, at newlines only."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def every_byte(log: Log, rng: random.Random) -> tuple[Counter[str], int]:
    """(faults by kind, positions): each byte changed to another, taken out, and doubled."""
    faults: Counter[str] = Counter()
    positions = 0
    for at, line in enumerate(log.lines):
        rest = log.lines[at + 1 : at + 3]
        for position in range(len(line)):
            positions += 1
            other = (line[position] + rng.randrange(1, 256)) % 256
            head, tail = line[:position], line[position + 1 :]
            byte = line[position : position + 1]
            for changed in (head + bytes([other]) + tail, head + tail, head + byte + byte + tail):
                if changed == line:
                    continue
                faults[log.fault(at, split(changed + b"".join(rest)))] += 1
    return faults, positions


def random_damage(log: Log, rng: random.Random) -> Iterator[tuple[str, int, list[bytes]]]:
    """(kind, first line that differs, the lines from there on), without end."""
    lines, count = log.lines, len(log.lines)
    while True:
        at = rng.randrange(count - 1)
        line = lines[at]
        position = rng.randrange(len(line) - 1)
        width = rng.randrange(1, 9)
        edited = line[:position] + rng.randbytes(width) + line[position + width :]
        yield "edit", at, split(edited + lines[at + 1]) + lines[at + 2 :]  # an edit may take the newline
        taken = rng.randrange(1, min(50, count - at))
        yield "deletion", at, lines[at + taken :]
        yield "insertion", at, [lines[rng.randrange(count)], *lines[at:]]
        other = rng.randrange(at + 1, count)
        swapped = [lines[other], *lines[at + 1 : other], line, *lines[other + 1 :]]
        yield "reordering", at, swapped
        yield "truncation", at, [line[:position]] if position else []


def tamper(root: Path, number: int, rng: random.Random) -> bool:
    small = Log(root / "small", 98)
    faults, positions = every_byte(small, rng)
    print(f"{len(small.lines)} records, {positions:,} byte positions, 3 changes each: {_summary(faults)}")
    big = Log(root / "big", 4_990)
    found: dict[str, Counter[str]] = {}
    on_disk = 0
    for index, (kind, first, lines) in enumerate(islice(random_damage(big, rng), 5 * number)):
        if lines == big.lines[first:]:
            continue
        fault = big.fault(first, lines)
        if index % ON_DISK_EVERY == 0 and fault:
            on_disk += 1
            assert big.fault_on_disk(lines, first) == fault, (kind, first)
        found.setdefault(kind, Counter())[fault] += 1
    print(f"{len(big.lines):,} records; {on_disk} of the cases also from disk and from the first record:")
    for kind, seen in found.items():
        print(f"  {sum(seen.values()):6,} × {kind:12} {_summary(seen)}")
    return not faults[""] and not any(seen[""] for seen in found.values())


def _summary(faults: Counter[str]) -> str:
    named = ", ".join(f"{name} {count:,}" for name, count in faults.most_common() if name)
    return f"{faults['']} not found; as {named}"


# --- kills --------------------------------------------------------------------------------------------------------


def kills(root: Path, number: int, rng: random.Random) -> bool:
    answered: set[str] = set()
    begun: set[str] = set()
    ended: set[str] = set()
    failures = torn = before = 0
    for round_number in range(number):
        # A log of its own for every 20 kills: each restart is verified from the first record.
        state = root / f"killed-{round_number // 20}"
        before = before if round_number % 20 else 0
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _answering(state, round_number, writing)
        os.close(writing)
        answers = _answers_until(reading, child, rng.uniform(0.002, 0.08))
        os.close(reading)
        answered |= set(answers)
        report = asyncio.run(_restarted(state))
        torn += report.cut_bytes > before
        before = report.cut_bytes
        if not report.ok or report.open:
            failures += 1
            print(f"  kill {round_number}: {report.problem or f'{report.open} requests stay open'}")
        if round_number % 20 == 19 or round_number == number - 1:
            on_record, ends = _requests(state)
            begun |= on_record
            ended |= ends
    unaccounted, unended = len(answered - begun), len(begun - ended)
    print(
        f"{number} kills: {torn} torn writes, {failures} logs broken; {len(answered):,} answers given,"
        f" {unaccounted} without a record; {len(begun):,} requests on record, {unended} without an end"
    )
    return not failures and not unaccounted and not unended and bool(answered)


def _answering(state: Path, round_number: int, writing: int) -> None:
    """The child: accounts for requests, says which it has answered, and is killed."""

    async def one(log: AuditLog, number: int) -> None:
        await log.accepted(accepted(number))
        os.write(writing, f"{number:024x}\n".encode())
        log.closed(closed(number))

    async def work() -> None:
        # Small segments, so that kills fall into their change too.
        log = AuditLog(settings(segment_mib=0.05, checkpoint_records=20, linger_ms=1), state)
        await log.open()
        os.write(writing, b"ready\n")
        for number in range(10**6):
            base = round_number * 10**8 + number * 10
            await asyncio.gather(*(one(log, base + more) for more in range(8)))

    try:
        asyncio.run(work())
    finally:
        os._exit(1)


def _answers_until(reading: int, child: int, seconds: float) -> list[str]:
    """What the child had answered when it was killed, `seconds` after it was ready."""
    data = b""
    kill_at = None
    while True:
        left = 10.0 if kill_at is None else max(0.0, kill_at - time.monotonic())
        if select.select([reading], [], [], left)[0]:
            piece = os.read(reading, 1 << 16)
            if not piece:
                break
            data += piece
            if kill_at is None and b"ready\n" in data:
                kill_at = time.monotonic() + seconds
        if kill_at is not None and time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
            kill_at = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return [line for line in data.decode().split("\n")[:-1] if line != "ready"]


async def _restarted(state: Path) -> Report:
    log = AuditLog(settings(segment_mib=0.05), state)
    await log.open()
    await log.close()
    return verified(state)


def _requests(state: Path) -> tuple[set[str], set[str]]:
    """Requests with an `accepted` record, and with a `closed` one."""
    begun: set[str] = set()
    ended: set[str] = set()
    kinds = {"accepted": begun, "closed": ended}

    def note(row: dict[str, object]) -> None:
        body = row["body"]
        if row["kind"] in kinds and isinstance(body, dict):
            kinds[str(row["kind"])].add(body["request"])

    verify_instance(folder_of(state), trust(state), on_row=note)
    return begun, ended


# --- a disk that refuses ------------------------------------------------------------------------------------------


async def full(root: Path, rounds: int, rng: random.Random) -> bool:
    state = root / "full"
    log = AuditLog(settings(accept_timeout_s=30), state)
    await log.open()
    number = refused = answered = 0
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for _ in range(rounds):
        (path,) = folder_of(state).glob("*.jsonl")
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + rng.randrange(50, 9_000), hard))
        in_progress: list[int] = []
        while True:
            number += 1
            try:
                await log.accepted(accepted(number))
            except ApiError as error:
                assert error.status == 503 and error.retry_after_s
                refused += 1
                break
            in_progress.append(number)
        for one in in_progress:  # these were answered, and end while the disk is full
            log.closed(closed(one))
            answered += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        while True:  # as a client does that heeds Retry-After
            number += 1
            try:
                await log.accepted(accepted(number))
            except ApiError:
                refused += 1
                await asyncio.sleep(0.05)
                continue
            log.closed(closed(number))
            answered += 1
            break
    await log.close()
    report = verified(state)
    begun, ended = _requests(state)
    print(
        f"{rounds} times full: {answered} requests answered, {refused} refused with 503; the log "
        f"{'verifies' if report.ok else f'is broken: {report.problem}'}, names {report.outages} outages and "
        f"{report.refused} refusals, and lacks the end of {len(begun - ended)}"
    )
    counted = report.outages == rounds and report.refused == refused and len(begun) == answered
    return report.ok and begun == ended and counted and report.lost == 0


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
