"""What kills and full disks leave of the account."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import select
import signal
import time
from pathlib import Path

from serving_audit_material import accepted, closed, folder_of, settings, trust, verified

from serving.audit.log import AuditLog
from serving.audit.verify import Report, verify_instance
from serving.errors import ApiError


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
