"""One record of the account: a line of JSON whose every byte is authenticated. The format is docs/audit-format.md.

A line is `{"seq":…,"group":…,"at":…,"mono":…,"kind":…,"key":…,"body":{…},"prev":"H","mac":"M"}` and a newline. M is
HMAC-SHA256 over the bytes before `,"mac":`, and H is SHA-256 over the whole line before. Bytes are authenticated, not
values: a second spelling of the same JSON is another record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

Row = dict[str, Any]

_MAC_FIELD = b',"mac":"'
_END_CHARS = len(_MAC_FIELD) + 64 + len(b'"}')
_REQUIRED = frozenset({"seq", "group", "at", "mono", "kind", "key", "body", "prev", "mac"})
_ALLOWED = _REQUIRED | {"back_ms"}
_HEX = frozenset(b"0123456789abcdef")
ACCEPTED, CLOSED, EVENT = "accepted", "closed", "event"
CHECKPOINT, RECOVERED, ROTATED, SEGMENT = "checkpoint", "recovered", "rotated", "segment"


class FormError(Exception):
    """Bytes that are no record."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a record came: UTC in nanoseconds since 1970, and the monotonic clock in nanoseconds."""

    wall_ns: int
    mono_ns: int

    @classmethod
    def now(cls) -> Stamp:
        return cls(time.time_ns(), time.monotonic_ns())


def genesis(instance: str) -> str:
    """What the first record of an instance continues: no record of another instance fits there."""
    return hashlib.sha256(f"tianjing audit 1 {instance}".encode()).hexdigest()


def line_hash(line: bytes) -> str:
    """SHA-256 of a whole line, its newline left out; 64 hexadecimal digits."""
    return hashlib.sha256(line).hexdigest()


def encode(
    seq: int,
    group: int,
    stamp: Stamp,
    back_ms: int,
    kind: str,
    key_id: str,
    key: bytes,
    body: bytes,
    prev: str,
) -> bytes:
    """The line of a record, without its newline.

    Args:
        group: seq of the first record that is flushed together with this one.
        back_ms: milliseconds that the clock stands before the record before, 0 when it does not.
        body: a JSON object.
        prev: `line_hash` of the line before.
    """
    back = f',"back_ms":{back_ms}' if back_ms else ""
    head = (
        f'{{"seq":{seq},"group":{group},"at":"{iso(stamp.wall_ns)}","mono":{stamp.mono_ns}{back}'
        f',"kind":"{kind}","key":"{key_id}","body":'
    )
    signed = b"".join((head.encode(), body, b',"prev":"', prev.encode(), b'"'))
    return b"".join((signed, _MAC_FIELD, hmac.digest(key, signed, "sha256").hex().encode(), b'"}'))


def decode(line: bytes) -> Row:
    """The fields of a line (without its newline); whether it is authentic is for `authentic`.

    Raises:
        FormError: it is not a record.
    """
    end = line[-_END_CHARS:]
    if not (end.startswith(_MAC_FIELD) and end.endswith(b'"}') and _HEX.issuperset(end[len(_MAC_FIELD) : -2])):
        raise FormError("does not end in a record's authentication code")
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FormError(f"not JSON: {error}") from None
    if not isinstance(row, dict) or not (_REQUIRED <= row.keys() <= _ALLOWED) or not _typed(row):
        raise FormError("not the fields of a record")
    return row


def authentic(line: bytes, key: bytes) -> bool:
    """Whether who wrote this line had `key`."""
    wanted = hmac.digest(key, line[:-_END_CHARS], "sha256").hex().encode()
    return hmac.compare_digest(wanted, line[-66:-2])


def body_bytes(value: Any) -> bytes:
    """A body as JSON that `decode` reads again; `value` is a dataclass or a mapping of whatever a caller put in."""
    try:
        return orjson.dumps(value, default=_mapping)
    except TypeError:  # half a surrogate pair, a number past 64 bits, a key that is no text, or an object
        return orjson.dumps(_plain(value))


def iso(wall_ns: int) -> str:
    """`2026-11-30T16:05:08.123456Z`."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


def _second(seconds: int, cache: dict[int, str] = {}) -> str:  # noqa: B006 - one entry, the second that is now
    if seconds not in cache:
        cache.clear()
        cache[seconds] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return cache[seconds]


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _plain(value: Any) -> Any:
    """`value` of nothing but what JSON in UTF-8 can say; the rest as readable text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 1 << 63):
        return value
    return str(value).encode("utf-8", errors="replace").decode()


def _typed(row: Row) -> bool:
    return (
        all(type(row[name]) is int for name in ("seq", "group", "mono"))
        and all(type(row[name]) is str for name in ("at", "kind", "key", "prev"))
        and type(row["body"]) is dict
    )
