"""Checks an account on disk, while a gateway writes it or long after: streams, and stops at the first thing wrong."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.audit import record
from serving.audit.chain import Broken, Chain, Fault, Problem
from serving.audit.checkpoint import CHECKPOINT_KIND, REMOVED_KIND, SignatureError, checked
from serving.audit.record import Row
from serving.audit.recovery import parse_time
from serving.audit.segments import Segment, instances, is_written, lines, read_removed, segments
from serving.errors import ServeError

Progress = Callable[[int, int], None]
OnRow = Callable[[Row], None]
# A writer that is in the middle of a group ends it within this.
_GROUP_ENDS_S = 2.0


@dataclass(frozen=True)
class Trust:
    """What an account is checked with; at least one of the first two.

    Attributes:
        keys: record keys by id: every record is checked, to the last one.
        public: public keys that may sign, hexadecimal: what a checkpoint covers is checked, and no secret is needed.
        anchored: per instance, hash by seq, of the checkpoints found at the anchor.
    """

    keys: Mapping[str, bytes] | None = None
    public: frozenset[str] | None = None
    anchored: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


@dataclass
class Report:
    """What was found in one instance's account.

    Attributes:
        first_seq, last_seq: the records that are as they were written, 0 without one.
        removed: records that retention has removed, stated under signature.
        unproven: records after the newest checkpoint that nothing but a record key can check, when none was given.
        anchored_seq: newest record that the anchor vouches for; None when no anchor was given.
        unanchored, unanchored_s: records, and seconds, after it: their loss at the end of the log could not be seen.
        open: requests accepted and not closed.
        outages, refused, lost: times the disk refused, requests refused then, and ends of requests not kept.
        clock_back: records whose clock stood before that of the record before them.
    """

    instance: str
    problem: Problem | None = None
    records: int = 0
    first_seq: int = 0
    last_seq: int = 0
    last_at: str = ""
    removed: int = 0
    segments: int = 0
    checkpoints: int = 0
    unproven: int = 0
    anchored_seq: int | None = None
    unanchored: int = 0
    unanchored_s: float = 0.0
    open: int = 0
    interrupted: int = 0
    cut_bytes: int = 0
    outages: int = 0
    refused: int = 0
    lost: int = 0
    clock_back: int = 0
    being_written: bool = False

    @property
    def ok(self) -> bool:
        return self.problem is None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self)


def verify_account(folder: Path, trust: Trust, progress: Progress = lambda done, total: None) -> list[Report]:
    """Check every instance below `folder`, or the one that it is.

    Args:
        progress: told bytes read and bytes there are.

    Raises:
        ServeError: there is no account, or nothing to check it with.
    """
    found = instances(folder)
    known = {one.name for one in found}
    total = sum(segment.path.stat().st_size for one in found for segment in segments(one))
    done = 0
    reports = []
    for one in found:

        def told(read: int, before: int = done) -> None:
            progress(before + read, total)

        reports.append(verify_instance(one, trust, told))
        done += sum(segment.path.stat().st_size for segment in segments(one))
    if folder not in found:
        for missing in sorted(trust.anchored.keys() - known):
            newest = max(trust.anchored[missing])
            message = f"the anchor knows {newest} records of this instance, and its folder is not there"
            reports.append(Report(missing, Problem(1, "tail_lost", message), anchored_seq=newest))
    return reports


def verify_instance(
    folder: Path, trust: Trust, progress: Callable[[int], None] = lambda read: None, on_row: OnRow | None = None
) -> Report:
    """Check one instance's account.

    Args:
        on_row: told every good record, in order.

    Raises:
        ServeError: nothing to check with.
    """
    if trust.keys is None and trust.public is None:
        raise ServeError(
            "nothing to check the account with", "give --key, the record keys, or --public, the signer's .pub"
        )
    walk = _Walk(folder, trust, progress, on_row)
    walk.run()
    return walk.report


class _Walk:
    """One pass over the segments of an instance."""

    def __init__(self, folder: Path, trust: Trust, progress: Callable[[int], None], on_row: OnRow | None):
        self.report = Report(folder.name, being_written=is_written(folder))
        self._folder, self._trust, self._progress, self._on_row = folder, trust, progress, on_row
        self._chain = Chain(record.genesis(folder.name), trust.keys, trust.public)
        self._anchored = trust.anchored.get(folder.name, {})
        self.report.anchored_seq = max(self._anchored, default=0) if trust.anchored else None
        self._open: dict[str, None] = {}
        self._anchored_at = ""
        self._held: Row | None = None
        self._read = 0

    def run(self) -> None:
        report = self.report
        segment = ""
        try:
            expected = self._after_removed()
            found = [one for one in segments(self._folder) if one.number >= expected]
            for position, one in enumerate(found):
                segment = one.path.name
                if one.number != expected:
                    raise self._broken("segment_gap", f"segment {expected:08d}.jsonl is missing")
                self._segment(one, last=position == len(found) - 1)
                expected += 1
                report.segments += 1
            segment = ""
            self._against_anchor()
        except Broken as broken:
            report.problem = Problem(
                broken.problem.seq, broken.problem.fault, broken.problem.message, broken.problem.segment or segment
            )
        report.last_seq = min(self._chain.seq, report.problem.seq - 1) if report.problem else self._chain.seq
        if self._held is not None and self._held["seq"] <= report.last_seq:
            self._pass_on(None)
        report.open = len(self._open)
        if self._trust.keys is None:
            report.unproven = max(0, report.last_seq - max(self._chain.signed + 1, report.removed))

    def _after_removed(self) -> int:
        """Stand where retention has cut; the number of the first segment that must be there."""
        removed = read_removed(self._folder)
        if removed is None:
            return 1
        try:
            checked(removed, REMOVED_KIND, self._signers())
        except SignatureError as error:
            raise self._broken("bad_signature", f"the statement about removed segments: {error}") from None
        if removed["instance"] != self._folder.name:
            raise self._broken("bad_signature", "the statement about removed segments is of another instance")
        chain, self.report.removed = self._chain, removed["seq"]
        chain.seq, chain.hash, chain.key, chain.signed = (
            removed["seq"],
            removed["hash"],
            removed["key"],
            removed["seq"],
        )
        return int(removed["segment"]) + 1

    def _signers(self) -> frozenset[str] | None:
        """Who may sign; without public keys, whoever signed a checkpoint that the record keys authenticate."""
        if self._trust.public is not None:
            return self._trust.public
        return frozenset(self._signers_by_records())

    def _signers_by_records(self) -> Iterator[str]:
        keys = self._trust.keys or {}
        for segment in segments(self._folder):
            for line in lines(segment.path):
                try:
                    row = record.decode(line[:-1])
                except record.FormError:
                    continue
                key = keys.get(row["key"])
                if row["kind"] == record.CHECKPOINT and key and record.authentic(line[:-1], key):
                    yield row["body"]["public_key"]
                    return

    def _segment(self, segment: Segment, last: bool) -> None:
        end = segment.path.stat().st_size
        at = 0
        first = True
        stream = lines(segment.path, end)
        for line in stream:
            if not line.endswith(b"\n") and last and self.report.being_written:
                line = self._completed(segment.path, at, line)
                if not line:
                    return
            row = self._chain.take(line, stream)
            if first != (row["kind"] == record.SEGMENT) or (first and row["body"].get("number") != segment.number):
                raise self._broken("segment_gap", "the file does not begin with its own segment record", row["seq"])
            first = False
            at += len(line)
            self._read += len(line)
            self._row(row)
        if first and not last:
            raise self._broken("truncated", "the file is empty")
        self._progress(self._read)

    def _completed(self, path: Path, at: int, line: bytes) -> bytes:
        """A line whose end was being written when its file was read; empty when the write was withdrawn."""
        for _ in range(int(_GROUP_ENDS_S / 0.05)):
            size = os.stat(path).st_size
            if size <= at:
                return b""
            whole = next(lines(path, size, at))
            if whole.endswith(b"\n"):
                return whole
            time.sleep(0.05)
        return line

    def _row(self, row: Row) -> None:
        report, body, kind, seq = self.report, row["body"], row["kind"], row["seq"]
        report.records += 1
        report.first_seq = report.first_seq or seq
        report.last_at = row["at"]
        report.clock_back += "back_ms" in row
        self._check_anchored(row)
        if kind == record.ACCEPTED:
            self._open[str(body.get("request"))] = None
        elif kind == record.CLOSED:
            self._open.pop(str(body.get("request")), None)
            report.interrupted += body.get("error") == "interrupted"
        elif kind == record.CHECKPOINT:
            report.checkpoints += 1
        elif kind == record.RECOVERED:
            report.cut_bytes += _number(body, "cut_bytes")
            report.outages += "after" in body
            report.refused += _number(body, "refused")
        elif kind == record.EVENT and body.get("event") == "lost":
            report.lost += _number(body, "closed")
        elif kind == record.EVENT and body.get("event") == "refused":
            report.refused += _number(body, "requests")
        self._pass_on(row)
        if report.records % 10_000 == 0:
            self._progress(self._read)

    def _pass_on(self, row: Row | None) -> None:
        """Tell of a record once the one after it has been checked: without record keys only that one vouches for it."""
        if self._on_row is not None and self._held is not None:
            self._on_row(self._held)
        self._held = row

    def _check_anchored(self, row: Row) -> None:
        wanted = self._anchored.get(self._chain.seq)
        if wanted is None:
            return
        if wanted != self._chain.hash:
            message = f"record {self._chain.seq} is not the one that was anchored: the log was written anew"
            raise self._broken("edited", message, self._chain.seq)
        self._anchored_at = row["at"]

    def _against_anchor(self) -> None:
        report = self.report
        newest = report.anchored_seq
        if newest is None:
            return
        if newest > self._chain.seq:
            message = f"the anchor knows record {newest}, and the log ends at record {self._chain.seq}"
            raise self._broken("tail_lost", message)
        report.unanchored = self._chain.seq - max(newest, report.removed)
        began = self._anchored_at or report.last_at
        if began:
            try:
                report.unanchored_s = round((parse_time(report.last_at) - parse_time(began)) / 1e9, 3)
            except ValueError:  # possible only in a record that nothing at hand could check
                raise self._broken("edited", "the last record has no time", self._chain.seq) from None

    def _broken(self, fault: Fault, message: str, seq: int | None = None) -> Broken:
        return Broken(Problem(self._chain.seq + 1 if seq is None else seq, fault, message))


def _number(body: Mapping[str, Any], name: str) -> int:
    """A count of a body that need not be authentic yet."""
    value = body.get(name, 0)
    return value if isinstance(value, int) else 0


def read_anchor(path: Path, public: frozenset[str] | None) -> dict[str, dict[int, str]]:
    """The checkpoints of an anchor file (JSON lines), as `Trust.anchored`; every signature is checked.

    A line that is no JSON is left out: a crash tears one, and who can write one could as well delete it.

    Raises:
        ServeError: a line is no checkpoint, or not signed as it should be; nothing was anchored.
    """
    found: dict[str, dict[int, str]] = {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ServeError(
            f"{path}: the anchor cannot be read: {error.strerror}", "give the file of anchored checkpoints"
        ) from None
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            statement = json.loads(line)
        except ValueError:
            continue
        try:
            checked(statement, CHECKPOINT_KIND, public)
            found.setdefault(statement["instance"], {})[int(statement["seq"])] = str(statement["hash"])
        except (ValueError, KeyError, TypeError, AttributeError, SignatureError) as error:
            raise ServeError(
                f"{path}:{number}: not a checkpoint of this account: {error}",
                "give the anchor of this account, and with --public the key that signs it",
            ) from None
    if not found:
        raise ServeError(f"{path}: holds no checkpoint", "give the file of anchored checkpoints")
    return found
