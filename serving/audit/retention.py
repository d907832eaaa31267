"""Whole old segments go, oldest first; a signed statement stays, from which the rest still verifies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.audit import record
from serving.audit.checkpoint import REMOVED_KIND, sign
from serving.audit.recovery import finish_removal, last_row, parse_time
from serving.audit.segments import REMOVED_FILE, Segment, segments
from tianjing.files import atomic_write, canonical_json, flush

_DAY_NS = 24 * 3600 * 1_000_000_000
# A machine that was off for longer has to show that its clock is right by running as long as is missing.
_LONGEST_PAUSE_DAYS = 30


class Clock:
    """The time by which records grow old. A clock that jumps ahead must not delete what the law wants kept.

    While the process runs the monotonic clock counts; at its start the wall clock is believed up to 30 days after the
    last record.

    Args:
        last_ns: UTC time of the last record, 0 without one.
    """

    def __init__(self, last_ns: int):
        self._began = record.Stamp.now()
        wall = self._began.wall_ns
        self._wall_ns = min(wall, last_ns + _LONGEST_PAUSE_DAYS * _DAY_NS) if last_ns else wall

    def now_ns(self) -> int:
        return self._wall_ns + time.monotonic_ns() - self._began.mono_ns


def remove_old(
    folder: Path, instance: str, days: float, now_ns: int, signer: Ed25519PrivateKey
) -> dict[str, Any] | None:
    """Remove the segments whose last record is older than `days`; the newest file always stays.

    The statement is durable before the first file goes, so a crash between the two leaves files too many, not too few.

    Returns:
        What was removed, None when nothing was old enough.

    Raises:
        OSError, ServeError: a file cannot be read, written or removed.
    """
    finish_removal(folder)
    old: list[Segment] = []
    end: record.Row | None = None
    for segment in segments(folder)[:-1]:
        row = last_row(segment.path)
        if row is None or now_ns - parse_time(row["at"]) <= days * _DAY_NS:
            break
        old.append(segment)
        end = row
    if end is None:
        return None
    last = old[-1]
    statement = {
        "instance": instance,
        "segment": last.number,
        "seq": end["seq"],
        "hash": _last_hash(last.path),
        "key": end["key"],
        "at": end["at"],
        "removed_at": record.iso(now_ns),
    }
    atomic_write(folder / REMOVED_FILE, canonical_json(sign(REMOVED_KIND, statement, signer)) + "\n")
    flush(folder)
    finish_removal(folder)
    return {"segments": [old[0].number, last.number], "last_seq": end["seq"], "last_at": end["at"]}


def _last_hash(path: Path) -> str:
    data = path.read_bytes()
    return record.line_hash(data.rstrip(b"\n").rsplit(b"\n", 1)[-1])
