"""Writes the log: one thread, one file at a time, whole groups, each durable before the next begins."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.audit import record
from serving.audit.anchor import Anchor
from serving.audit.checkpoint import CHECKPOINT_KIND, sign
from serving.audit.inbox import Entry, Inbox, syncing, tell
from serving.audit.keys import KeyRing, load_ring
from serving.audit.record import Stamp
from serving.audit.recovery import Tail
from serving.audit.retention import Clock, remove_old
from serving.audit.segments import segment_path
from serving.audit.settings import AuditSettings
from serving.errors import ServeError
from tianjing.files import flush

_log = logging.getLogger(__name__)

# Steps of the clock that NTP makes all the time are not worth a note.
_BACK_NOTED_NS = 1_000_000
_HOUR_NS = 3600 * 1_000_000_000


@dataclass
class _Group:
    """Records that are written together; the log has them once they are durable, and not before."""

    instance: str
    signer: Ed25519PrivateKey
    every: int
    seq: int
    hash: str
    wall_ns: int
    signed: int
    key_id: str
    key: bytes
    lines: list[bytes] = field(default_factory=list)
    checkpoint: dict[str, Any] | None = None
    stamp: Stamp | None = None
    ends: bool = False
    """Whether the segment ends with it."""

    def __post_init__(self) -> None:
        self.first = self.seq + 1

    def add(self, kind: str, body: bytes, stamp: Stamp) -> None:
        back_ns = self.wall_ns - stamp.wall_ns
        back_ms = back_ns // 1_000_000 if back_ns >= _BACK_NOTED_NS else 0
        self.seq += 1
        line = record.encode(self.seq, self.first, stamp, back_ms, kind, self.key_id, self.key, body, self.hash)
        self.hash, self.wall_ns, self.stamp = record.line_hash(line), stamp.wall_ns, stamp
        self.lines.append(line)
        if kind != record.CHECKPOINT and self.seq - self.signed >= self.every:
            self.add_checkpoint()

    def add_checkpoint(self) -> None:
        stamp = self.stamp or Stamp.now()  # that of the record before, so that times keep their order
        statement = {"instance": self.instance, "seq": self.seq, "hash": self.hash, "at": record.iso(stamp.wall_ns)}
        self.checkpoint = sign(CHECKPOINT_KIND, statement, self.signer)
        self.signed = self.seq + 1  # the checkpoint itself needs no other one
        self.add(record.CHECKPOINT, record.body_bytes(self.checkpoint), stamp)

    def data(self) -> bytes:
        return b"\n".join([*self.lines, b""])


@dataclass
class _Outage:
    """Why, and since when, the disk refuses."""

    reason: str
    since: str


class Writer(threading.Thread):
    """Owns the log of one instance from `tail` on.

    Args:
        key_path: the key file of `ring`; a key that is added to it is taken over.
        anchor: where checkpoints go, None for nowhere.
    """

    def __init__(
        self,
        folder: Path,
        instance: str,
        settings: AuditSettings,
        key_path: Path,
        ring: KeyRing,
        signer: Ed25519PrivateKey,
        tail: Tail,
        anchor: Anchor | None,
    ):
        super().__init__(name=f"audit-{instance}", daemon=True)
        self.inbox = Inbox(settings.group_records, settings.linger_ms / 1000, settings.max_waiting)
        self.key = ring.secret(ring.current)
        """The key that is written with now."""
        self.records = 0
        self.groups = 0
        self.failures = 0
        self._folder, self._instance, self._settings = folder, instance, settings
        self._key_path, self._ring, self._signer, self._anchor = key_path, ring, signer, anchor
        self._tail = tail
        self._clock = Clock(tail.wall_ns)
        self._key_id = tail.chain.key or ring.current
        self._signed = tail.chain.seq  # whatever was signed before, new records need a new signature
        self._unsigned_since: float | None = None
        self._outage: _Outage | None = None
        self._file: int | None = None

    def run(self) -> None:
        try:
            while not (self.inbox.closing and not len(self.inbox)):
                self._commit(self.inbox.take(self._due_s()))
                if self._outage and self.inbox.closing:
                    break
            self._commit([], last=True)
            if self._outage:
                _log.error("%d records of the account are lost: %s", len(self.inbox), self._outage.reason)
        except BaseException:
            _log.critical("the account's writer failed; every request is refused", exc_info=True)
            self.inbox.close()
            raise
        finally:
            tell(self.inbox.refuse([], "the account is closed"), OSError("the account is closed"))
            if self._file is not None:
                os.close(self._file)

    def _due_s(self) -> float | None:
        """Seconds until a checkpoint is due, None when nothing is unsigned."""
        if self._unsigned_since is None:
            return None
        return max(0.0, self._unsigned_since + self._settings.checkpoint_s - time.monotonic())

    def _commit(self, entries: list[Entry], last: bool = False) -> None:
        counts = self.inbox.take_counts()
        try:
            ring = self._fresh_ring()
            group = self._group(entries, counts, ring, last)
            if not group.lines:
                return
            self._stand()
            data = group.data()
            syncing(entries)
            self._append(data)
        except OSError as error:
            self.inbox.give_counts_back(counts)
            self._failed(entries, error)
            return
        self._adopt(group, entries, ring, len(data))
        for orphan in self.inbox.written(entries):
            self.inbox.add(Entry(record.CLOSED, orphan.orphan, orphan.request))
        tell(entries)
        if group.ends:
            self._end_segment()

    def _group(self, entries: list[Entry], counts: tuple[int, int], ring: KeyRing, last: bool) -> _Group:
        tail = self._tail
        group = _Group(
            self._instance,
            self._signer,
            self._settings.checkpoint_records,
            tail.chain.seq,
            tail.chain.hash,
            tail.wall_ns,
            self._signed,
            self._key_id,
            self._ring.secret(self._key_id),
        )
        now = entries[0].stamp if entries else Stamp.now()
        notes = self._notes(counts, ring)
        if tail.size == 0 and (notes or entries):
            body = {"version": 1, "instance": self._instance, "number": tail.number, "open": list(tail.open)}
            notes.insert(0, (record.SEGMENT, body))
        for kind, body in notes:
            group.add(kind, record.body_bytes(body), now)
        if ring.current != self._key_id:
            group.key_id, group.key = ring.current, ring.secret(ring.current)
        for entry in entries:
            group.add(entry.kind, entry.body, entry.stamp)
        group.ends = self._ended(sum(map(len, group.lines)))
        if group.seq > group.signed and (last or group.ends or self._due_s() == 0.0):
            group.add_checkpoint()
        return group

    def _notes(self, counts: tuple[int, int], ring: KeyRing) -> list[tuple[str, dict[str, Any]]]:
        """What the writer itself has to say; a change of keys comes last, under the old key."""
        refused, lost = counts
        notes: list[tuple[str, dict[str, Any]]] = []
        if self._tail.cut is not None:
            notes.append((record.RECOVERED, self._tail.cut))
        if self._outage is not None:
            story = {"after": self._outage.reason, "since": self._outage.since, "refused": refused}
            notes.append((record.RECOVERED, story))
        elif refused:
            notes.append((record.EVENT, {"event": "refused", "requests": refused}))
        if lost:
            notes.append((record.EVENT, {"event": "lost", "closed": lost}))
        if ring.current != self._key_id:
            notes.append((record.ROTATED, {"key": ring.current, "before": self._key_id}))
        return notes

    def _adopt(self, group: _Group, entries: list[Entry], ring: KeyRing, size: int) -> None:
        """The group is durable: the log ends after it from now on."""
        tail = self._tail
        tail.chain.seq, tail.chain.hash, tail.wall_ns = group.seq, group.hash, group.wall_ns
        tail.began_ns = tail.began_ns or group.wall_ns
        tail.size += size
        tail.cut = None
        for entry in entries:
            if entry.kind == record.ACCEPTED:
                tail.open[entry.request] = None
            elif entry.kind == record.CLOSED:
                tail.open.pop(entry.request, None)
        self._ring, self._key_id, self.key = ring, group.key_id, group.key
        self._signed = group.signed
        self._outage = None
        self.records += len(group.lines)
        self.groups += 1
        if group.seq <= group.signed:
            self._unsigned_since = None
        elif self._unsigned_since is None or group.checkpoint is not None:
            self._unsigned_since = time.monotonic()
        if group.checkpoint is not None and self._anchor is not None:
            self._anchor.offer(group.checkpoint)

    def _failed(self, entries: list[Entry], error: OSError) -> None:
        self.failures += 1
        reason = error.strerror or str(error)
        if self._outage is None:
            _log.error("the account cannot be written, requests are refused: %s", reason)
            self._outage = _Outage(reason, record.iso(time.time_ns()))
        with contextlib.suppress(OSError):  # if it fails too, the next attempt or the next start does it
            self._stand()
        tell(self.inbox.refuse(entries, reason), error)

    def _stand(self) -> None:
        """Open the segment, and cut what a failed or torn write left after its good bytes."""
        if self._file is None:
            path = segment_path(self._folder, self._tail.number)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                flush(self._folder)
            except OSError:
                os.close(descriptor)
                raise
            self._file = descriptor
        found = os.fstat(self._file)
        if found.st_size < self._tail.size or not found.st_nlink:
            raise OSError(errno.EIO, "the log was cut or removed by another program")
        if found.st_size > self._tail.size:
            os.ftruncate(self._file, self._tail.size)
            os.fsync(self._file)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        os.fdatasync(self._file)

    def _ended(self, more: int) -> bool:
        """Whether the segment is full, or old, once `more` bytes have been added."""
        tail, settings = self._tail, self._settings
        if tail.size + more == 0:
            return False
        old = bool(tail.began_ns) and time.time_ns() - tail.began_ns > settings.segment_hours * _HOUR_NS
        return old or tail.size + more >= settings.segment_mib * (1 << 20)

    def _end_segment(self) -> None:
        """The next record begins a new file."""
        assert self._file is not None
        os.close(self._file)
        self._file = None
        self._tail.number += 1
        self._tail.size = self._tail.began_ns = 0
        try:
            removed = remove_old(
                self._folder, self._instance, self._settings.retention_days, self._clock.now_ns(), self._signer
            )
        except (OSError, ServeError) as error:
            _log.error("old segments are not removed: %s", error)
            return
        if removed is not None:
            self.inbox.add(Entry(record.EVENT, record.body_bytes({"event": "segments_removed", **removed})))

    def _fresh_ring(self) -> KeyRing:
        """The ring with keys that were added to the file; looked at when a checkpoint is due."""
        if self._due_s() != 0.0:
            return self._ring
        try:
            return load_ring(self._key_path)
        except ServeError as error:
            _log.error("the key file is not read again: %s", error)
            return self._ring
