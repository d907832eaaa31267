"""The account as the gateway writes it: durable before the answer, whole after crashes, refusing when it must."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from serving.audit.keys import add_key
from serving.audit.log import KEY_FILE, AuditLog
from serving.audit.settings import AuditSettings
from serving.audit.writer import Writer
from serving.errors import ApiError, ServeError
from tests.serving.audit_material import (
    accepted,
    bodies,
    checked,
    closed,
    events,
    files,
    requests,
    rows,
    settings,
    soon,
    with_log,
)


def test_an_accepted_record_is_on_disk_when_accepted_returns(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> list[str]:
        await log.accepted(accepted(1, customer="c" * 64, entities={"phone": 2}))
        return [row["body"]["request"] for row in rows(tmp_path) if row["kind"] == "accepted"]

    assert with_log(tmp_path, work) == ["r1"]
    report = checked(tmp_path)
    assert report.ok and report.open == 1


def test_accepted_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, begun, free = os.fdatasync, threading.Event(), threading.Event()

    def held(descriptor: int) -> None:
        begun.set()
        free.wait(30)
        real(descriptor)

    async def work(log: AuditLog) -> None:
        monkeypatch.setattr(os, "fdatasync", held)
        task = asyncio.create_task(log.accepted(accepted(1)))
        await soon(begun.is_set)
        await asyncio.sleep(0.05)
        assert not task.done()
        free.set()
        await task

    with_log(tmp_path, work)


def test_nothing_of_the_text_and_no_customer_id_is_in_the_log(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await log.accepted(accepted(1, prompt=log.digest("我的手机号是13812345678"), customer=log.digest("C-1029")))
        log.closed(closed(1, answer=log.digest("好的，已为您登记。")))

    with_log(tmp_path, work)
    content = b"".join(path.read_bytes() for path in files(tmp_path))
    assert b"13812345678" not in content and b"C-1029" not in content and "登记".encode() not in content


def test_digests_are_equal_for_equal_texts_and_tell_where_one_text_ends(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> tuple[str, ...]:
        return log.digest("ab", "c"), log.digest("ab", "c"), log.digest("a", "bc"), log.digest("\ud800")

    same, again, other, odd = with_log(tmp_path, work)
    assert same == again != other and len(odd) == 64


def test_many_requests_share_a_flush(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> tuple[int, int]:
        before = log.counts()
        await asyncio.gather(*(log.accepted(accepted(number)) for number in range(500)))
        return log.counts().records - before.records, log.counts().groups - before.groups

    written, groups = with_log(tmp_path, work)
    assert written >= 500 and groups < 50
    assert [body["request"] for body in bodies(tmp_path, "accepted")] == [f"r{number}" for number in range(500)]


def test_odd_values_are_recorded_and_read_again(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        odd: dict[Any, Any] = {"half": "\ud800", "large": 1 << 80, "path": Path("x"), 3: "three", "nan": float("nan")}
        await log.event("odd", odd)

    with_log(tmp_path, work)
    assert checked(tmp_path).ok
    with_log(tmp_path, lambda log: log.event("again", {}))
    assert checked(tmp_path).ok and events(tmp_path, "odd")


def test_a_second_process_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        with pytest.raises(ServeError) as caught:
            await AuditLog(settings(), tmp_path).open()
        assert str(os.getpid()) in caught.value.message and "instance" in caught.value.remedy

    with_log(tmp_path, work)


def test_gateways_of_one_account_have_chains_of_their_own(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        other = AuditLog(settings(instance="gateway-1"), tmp_path)
        await other.open()
        await other.accepted(accepted(1))
        await other.close()

    with_log(tmp_path, work)
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {"gateway-0", "gateway-1"}


def test_a_torn_tail_is_cut_and_said_so(tmp_path: Path) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 5))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines()[3][:333])
    assert checked(tmp_path).problem is not None
    with_log(tmp_path, lambda log: requests(log, 5, 1))
    assert checked(tmp_path).ok
    (recovered,) = bodies(tmp_path, "recovered")
    assert recovered["cut_bytes"] == 333 and recovered["segment"] == path.name


@pytest.mark.parametrize("cut", [1, 200, 100_000])
def test_a_last_group_that_a_crash_tore_anywhere_is_cut(tmp_path: Path, cut: int) -> None:
    """Pages of one write reach the disk in any order: nobody was told that it is durable."""

    async def work(log: AuditLog) -> None:
        await requests(log, 0, 3)
        await asyncio.gather(*(log.accepted(accepted(number)) for number in range(3, 40)))

    with_log(tmp_path, work)
    (path,) = files(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    group = json.loads(lines[20])["group"]
    until = max(at for at, line in enumerate(lines) if json.loads(line)["group"] == group)
    torn = bytearray(b"".join(lines[group - 1 : until + 1]))
    torn[cut : cut + 100] = bytes(len(torn[cut : cut + 100]))
    path.write_bytes(b"".join(lines[: group - 1]) + torn)
    with_log(tmp_path, lambda log: requests(log, 100, 1))
    report = checked(tmp_path)
    assert report.ok and report.open == 0


def test_damage_before_the_last_write_is_no_crash_and_stops_the_start(tmp_path: Path) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 5))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"request":"r1"', b'"request":"r9"', 1))
    with pytest.raises(ServeError) as caught:
        with_log(tmp_path, lambda log: requests(log, 5, 1))
    assert "damaged at record" in caught.value.message and "audit verify" in caught.value.remedy
    assert path.stat().st_size == len(content)  # the evidence stays


def test_a_lost_key_stops_the_start(tmp_path: Path) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 2))
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(ServeError, match="is under key"):
        with_log(tmp_path, lambda log: requests(log, 2, 1))


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 1))
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ServeError, match="others may read"):
        with_log(tmp_path, lambda log: requests(log, 1, 1))


def test_requests_that_a_crash_left_open_are_closed_as_interrupted(tmp_path: Path) -> None:
    async def left_open(log: AuditLog) -> None:
        await log.accepted(accepted(1))
        await log.accepted(accepted(2))
        log.closed(closed(1))

    # Small segments: what is open is carried over to the next file.
    with_log(tmp_path, left_open, segment_mib=0.0005)
    with_log(tmp_path, lambda log: requests(log, 3, 5), segment_mib=0.0005)
    assert len(files(tmp_path)) > 2
    interrupted = [body["request"] for body in bodies(tmp_path, "closed") if body["error"] == "interrupted"]
    assert interrupted == ["r2"]
    report = checked(tmp_path)
    assert report.ok and report.open == 0 and report.interrupted == 1


def fail_writes(monkeypatch: pytest.MonkeyPatch, how: str) -> Callable[[], None]:
    """Make writing fail; the returned function mends it."""
    real = Writer._append

    def broken(self: Writer, data: bytes) -> None:
        assert self._file is not None
        os.write(self._file, data if how == "flush" else data[: len(data) // 2])
        raise OSError(errno.EIO if how == "flush" else errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Writer, "_append", broken)
    return lambda: monkeypatch.setattr(Writer, "_append", real)


@pytest.mark.parametrize("how", ["flush", "half"])
def test_what_cannot_be_accounted_for_is_refused_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def work(log: AuditLog) -> None:
        await log.accepted(accepted(1))
        mend = fail_writes(monkeypatch, how)
        for number in (2, 3):
            with pytest.raises(ApiError) as caught:
                await log.accepted(accepted(number))
            assert caught.value.status == 503 and caught.value.retry_after_s
        log.closed(closed(1))
        tries = log.counts().failures
        await soon(lambda: log.counts().failures > tries)  # the end of request 1 was in a write that failed
        assert checked(tmp_path).ok  # in the middle of the outage, too
        mend()
        await soon(lambda: not log.counts().refusing)
        await log.accepted(accepted(4))

    with_log(tmp_path, work)
    report = checked(tmp_path)
    assert report.ok and report.outages == 1 and report.refused == 2 and report.lost == 0
    assert [body["request"] for body in bodies(tmp_path, "accepted")] == ["r1", "r4"]
    assert [body["request"] for body in bodies(tmp_path, "closed")] == ["r1"]


def test_an_outage_ends_by_itself_when_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(log: AuditLog) -> None:
        mend = fail_writes(monkeypatch, "half")
        with pytest.raises(ApiError):
            await log.accepted(accepted(1))
        mend()
        await soon(lambda: bool(bodies(tmp_path, "recovered")))

    with_log(tmp_path, work)
    assert bodies(tmp_path, "recovered")[0]["refused"] == 1


def slow_writes(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """(a write has begun, it may go on)"""
    real, begun, free = Writer._append, threading.Event(), threading.Event()

    def slow(self: Writer, data: bytes) -> None:
        begun.set()
        free.wait(30)
        real(self, data)

    monkeypatch.setattr(Writer, "_append", slow)
    return begun, free


def test_other_work_is_done_while_the_disk_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(log: AuditLog) -> None:
        done, (_, free) = asyncio.Event(), slow_writes(monkeypatch)
        waiting = asyncio.create_task(log.accepted(accepted(1), done.set))
        await asyncio.wait_for(done.wait(), 30)
        assert not waiting.done() and not bodies(tmp_path, "accepted")
        free.set()
        await waiting

    with_log(tmp_path, work)


def test_a_disk_that_is_too_slow_is_refused_in_time_and_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(log: AuditLog) -> None:
        _, free = slow_writes(monkeypatch)
        with pytest.raises(ApiError) as caught:
            await log.accepted(accepted(1))
        assert caught.value.status == 503
        free.set()
        await log.accepted(accepted(2))
        log.closed(closed(2))

    with_log(tmp_path, work, accept_timeout_s=0.05)
    report = checked(tmp_path)
    assert report.ok and report.open == 0
    ends = {body["request"]: body for body in bodies(tmp_path, "closed")}
    assert ends["r1"]["status"] == 503 and ends["r1"]["error"] == "audit_timeout"


def test_a_caller_who_leaves_while_it_is_written_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(log: AuditLog) -> None:
        begun, free = slow_writes(monkeypatch)
        first = asyncio.create_task(log.accepted(accepted(1)))
        await soon(begun.is_set)
        second = asyncio.create_task(log.accepted(accepted(2)))
        await soon(lambda: log.counts().waiting == 1)
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        free.set()

    with_log(tmp_path, work)
    assert checked(tmp_path).open == 0
    recorded = {body["request"] for body in bodies(tmp_path, "accepted")}
    ended = {body["request"]: body["status"] for body in bodies(tmp_path, "closed")}
    assert recorded == {"r1"} and ended == {"r1": 499}


def test_too_much_waiting_is_refused_and_ends_past_the_bound_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(log: AuditLog) -> None:
        begun, free = slow_writes(monkeypatch)
        log.closed(closed(0))
        await soon(begun.is_set)
        for number in range(1, 12):
            log.closed(closed(number))
        with pytest.raises(ApiError):
            await log.accepted(accepted(50))
        free.set()
        await soon(lambda: bool(events(tmp_path, "lost")))

    with_log(tmp_path, work, max_waiting=4, linger_ms=1)
    report = checked(tmp_path)
    assert report.ok and report.lost == 3 and report.refused == 1
    assert len(bodies(tmp_path, "closed")) == 9


def test_a_log_cut_by_another_program_is_not_written_on(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await requests(log, 0, 3)
        (path,) = files(tmp_path)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(ApiError):
            await log.accepted(accepted(9))

    with_log(tmp_path, work)


def test_a_clock_set_back_is_noted_and_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(log: AuditLog) -> None:
        await requests(log, 0, 1)
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
        await requests(log, 1, 1)
        monkeypatch.undo()
        await requests(log, 2, 1)

    with_log(tmp_path, work)
    assert [body["request"] for body in bodies(tmp_path, "accepted")] == ["r0", "r1", "r2"]
    (back,) = [row["back_ms"] for row in rows(tmp_path) if "back_ms" in row]
    assert 3_590_000 < back <= 3_600_000
    report = checked(tmp_path)
    assert report.ok and report.clock_back == 1


def test_the_chain_goes_on_over_segments(tmp_path: Path) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 60), segment_mib=0.01)
    assert len(files(tmp_path)) > 3
    assert [path.name for path in files(tmp_path)][:2] == ["00000001.jsonl", "00000002.jsonl"]
    report = checked(tmp_path)
    assert report.ok and report.segments == len(files(tmp_path))


def age(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Let `days` pass on both clocks."""
    wall, mono, shift = time.time_ns, time.monotonic_ns, int(days * 86_400 * 1e9)
    monkeypatch.setattr(time, "time_ns", lambda: wall() + shift)
    monkeypatch.setattr(time, "monotonic_ns", lambda: mono() + shift)


def test_only_segments_past_their_age_are_removed_and_the_rest_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(log: AuditLog) -> None:
        await requests(log, 0, 60)
        old = {path.name for path in files(tmp_path)}
        age(monkeypatch, 179)
        await requests(log, 60, 60)
        assert old < {path.name for path in files(tmp_path)}
        monkeypatch.undo()
        age(monkeypatch, 181)
        await requests(log, 120, 60)
        await soon(lambda: bool(events(tmp_path, "segments_removed")))

    with_log(tmp_path, work, segment_mib=0.01)
    report = checked(tmp_path)
    assert report.ok and report.removed > 60 and report.first_seq == report.removed + 1
    with_log(tmp_path, lambda log: requests(log, 200, 5), segment_mib=0.01)
    assert checked(tmp_path).ok
    # Who removes more than was stated is found.
    files(tmp_path)[0].unlink()
    problem = checked(tmp_path).problem
    assert problem is not None and problem.fault == "segment_gap"


def test_a_clock_that_was_wrong_at_the_start_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_log(tmp_path, lambda log: requests(log, 0, 60), segment_mib=0.01)
    before = [path.name for path in files(tmp_path)]
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + int(4000 * 86_400 * 1e9))
    with_log(tmp_path, lambda log: requests(log, 60, 60), segment_mib=0.01)
    assert [path.name for path in files(tmp_path)][: len(before)] == before


def test_a_key_that_is_added_is_taken_over_and_old_records_still_verify(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await requests(log, 0, 2)
        before = log.digest("x")
        fresh = add_key(tmp_path / KEY_FILE)
        await soon(lambda: bool(bodies(tmp_path, "rotated")))
        await requests(log, 2, 2)
        assert log.digest("x") != before
        assert rows(tmp_path)[-1]["key"] == fresh

    with_log(tmp_path, work, checkpoint_s=0.1)
    assert len({row["key"] for row in rows(tmp_path)}) == 2
    assert checked(tmp_path).ok
    with_log(tmp_path, lambda log: requests(log, 4, 1))
    assert checked(tmp_path).ok


def test_less_than_six_months_is_not_allowed() -> None:
    with pytest.raises(ValueError, match="180"):
        AuditSettings(retention_days=90)


def test_an_event_is_durable(tmp_path: Path) -> None:
    async def work(log: AuditLog) -> None:
        await log.event("adapter_promoted", {"adapter": "a1"})
        assert events(tmp_path, "adapter_promoted") == [{"adapter": "a1", "event": "adapter_promoted"}]

    with_log(tmp_path, work)


def test_after_close_nothing_is_accepted(tmp_path: Path) -> None:
    async def run() -> Coroutine[Any, Any, None] | None:
        log = AuditLog(settings(), tmp_path)
        await log.open()
        await log.close()
        await log.close()
        log.closed(closed(1))
        with pytest.raises(ApiError):
            await log.accepted(accepted(1))
        return None

    asyncio.run(run())
    assert rows(tmp_path)[-2]["body"] == {"event": "stopped"} and checked(tmp_path).ok
