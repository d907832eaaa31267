"""Where a log ends when it is opened: a write that a crash tore is found, and requests that were never closed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from serving.audit import record
from serving.audit.chain import Broken, Chain
from serving.audit.keys import KeyRing
from serving.audit.record import FormError, Row
from serving.audit.segments import Segment, lines, read_removed, segment_path, segments
from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED


@dataclass
class Tail:
    """The end of a log.

    Attributes:
        number, size: the segment that is written next, and its good bytes; 0 before it has a record.
        wall_ns: UTC time of the last record, 0 without one.
        began_ns: UTC time of the segment's first record, 0 without one.
        open: requests accepted and not closed, in order.
        cut: what stands after the good bytes, None where nothing does.
    """

    chain: Chain
    number: int = 1
    size: int = 0
    wall_ns: int = 0
    began_ns: int = 0
    open: dict[str, None] = field(default_factory=dict)
    cut: dict[str, Any] | None = None

    def note(self, row: Row, size: int) -> None:
        """Take account of a record that stands, with `size` bytes, at the end."""
        self.wall_ns = parse_time(row["at"])
        self.began_ns = self.began_ns or self.wall_ns
        self.size += size
        body = row["body"]
        if row["kind"] == record.SEGMENT:
            self.open = dict.fromkeys(body["open"])
        elif row["kind"] == record.ACCEPTED:
            self.open[body["request"]] = None
        elif row["kind"] == record.CLOSED:
            self.open.pop(body["request"], None)


def find_tail(folder: Path, instance: str, ring: KeyRing) -> Tail:
    """Read the last segment of an instance's folder.

    Every write waits until the one before is durable, and every record names the first record of its write. So a
    crash can have torn the last write only; nobody was told that it was written, and it is cut. Damage before it is no
    crash's work.

    Raises:
        ServeError: the log is damaged before its last write, or was written with another key.
    """
    found = segments(folder)
    tail = Tail(_start(folder, instance, ring))
    removed = read_removed(folder)
    if removed is not None:
        tail.number = int(removed["segment"]) + 1
        found = [segment for segment in found if segment.number >= tail.number]
    if not found:
        return tail
    _read(found[-1], tail, ring)
    if tail.size == 0 and len(found) > 1:  # the newest file holds nothing whole: the one before is the end
        cut = tail.cut
        before = Tail(_start(folder, instance, ring))
        _read(found[-2], before, ring)
        if before.cut is not None:
            raise _damaged(found[-2].path, before.chain.seq + 1)
        tail = Tail(before.chain, wall_ns=before.wall_ns, open=before.open, cut=cut)
    tail.number = found[-1].number
    return tail


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of a record's `at`."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def last_row(path: Path) -> Row | None:
    """The last whole record of a segment, unchecked; None where there is none."""
    size = path.stat().st_size
    reach = 64 << 10
    while True:
        start = max(0, size - reach)
        whole = [line for line in lines(path, size, start) if line.endswith(b"\n")]
        if len(whole) > 1 or start == 0:
            return record.decode(whole[-1][:-1]) if whole else None
        reach *= 4


def _start(folder: Path, instance: str, ring: KeyRing) -> Chain:
    removed = read_removed(folder)
    if removed is None:
        return Chain(record.genesis(instance), ring.keys)
    return Chain(removed["hash"], ring.keys, seq=removed["seq"], key=removed["key"])


def _read(segment: Segment, tail: Tail, ring: KeyRing) -> None:
    stream = lines(segment.path)
    first = True
    for line in stream:
        if first:
            _begin(line, tail, ring)
        try:
            row = tail.chain.take(line)
        except Broken as broken:
            if broken.problem.fault == "wrong_key":
                raise ServeError(
                    f"{segment.path}: {broken.problem.message}",
                    "restore the account's key file, or give this gateway another `instance`",
                    exit_code=EXIT_STAGE_FAILED,
                ) from None
            tail.cut = _torn(segment.path, tail, stream, ring)
            return
        if first and row["body"].get("number") != segment.number:
            raise _damaged(segment.path, row["seq"])
        first = False
        tail.note(row, len(line))


def _begin(line: bytes, tail: Tail, ring: KeyRing) -> None:
    """Stand before the segment's first record, wherever that is: what comes before is for `verify`."""
    try:
        row = record.decode(line[:-1])
    except FormError:
        return
    key = ring.keys.get(row["key"])
    if row["kind"] == record.SEGMENT and key is not None and record.authentic(line[:-1], key):
        tail.chain.seq, tail.chain.hash, tail.chain.key = row["seq"] - 1, row["prev"], row["key"]


def _torn(path: Path, tail: Tail, rest: Iterator[bytes], ring: KeyRing) -> dict[str, Any]:
    """What is to be cut; raises ServeError when a later write stands after it, which no crash leaves."""
    torn = tail.chain.seq + 1 if tail.size else None  # of a segment's first write, the next record tells
    for piece in rest:
        try:
            row = record.decode(piece[:-1])
        except FormError:
            continue
        key = ring.keys.get(row["key"])
        if key is None or not record.authentic(piece[:-1], key):
            continue
        torn = row["group"] if torn is None else torn
        if row["group"] > torn:
            raise _damaged(path, tail.chain.seq + 1)
    with open(path, "rb") as stream:
        stream.seek(tail.size)
        size = os.fstat(stream.fileno()).st_size - tail.size
        return {"cut_bytes": size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "segment": path.name}


def _damaged(path: Path, seq: int) -> ServeError:
    return ServeError(
        f"{path}: the account is damaged at record {seq}, and no crash does that",
        f"see what is wrong: tianjing audit verify {path.parent}; keep the folder as evidence and start with another "
        "`instance`",
        exit_code=EXIT_STAGE_FAILED,
    )


def finish_removal(folder: Path) -> None:
    """Delete what retention had stated as removed when it was interrupted."""
    removed = read_removed(folder)
    if removed is not None:
        for segment in segments(folder):
            if segment.number <= int(removed["segment"]):
                segment_path(folder, segment.number).unlink()
