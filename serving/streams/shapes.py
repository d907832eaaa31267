"""The usual event of a stream, recognised by its bytes.

Events of one stream differ in one string, the text. When an event has been parsed whose bytes are a head, a plain
string and a tail, any event with the same head and tail around another plain string (no quote, no backslash, no control
character) says the same but for that string: JSON allows no other reading. So it need not be parsed again.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from serving.streams.choices import Lane

# An engine whose events differ in more than the text never matches; it is not asked for new shapes for ever.
MAX_SHAPES = 8
_PLAIN = re.compile(rb'[^\x00-\x1f"\\]*').fullmatch
_PROBE = "\ue001"


class Shape:
    """Head and tail of an event's data around text that belongs to `lane`."""

    __slots__ = ("head", "lane", "size", "tail")

    def __init__(self, head: bytes, tail: bytes, lane: Lane):
        self.head = head
        self.tail = tail
        self.lane = lane
        self.size = len(head) + len(tail)

    def text(self, data: bytes) -> bytes | None:
        """The text in `data`, UTF-8; None when it is not of this shape."""
        if len(data) < self.size or not data.startswith(self.head) or not data.endswith(self.tail):
            return None
        middle = data[len(self.head) : len(data) - len(self.tail)]
        return middle if _PLAIN(middle) else None

    def framed(self) -> Shape:
        """The same around the whole bytes of an event."""
        return Shape(b"data: " + self.head, self.tail + b"\n\n", self.lane)


def learn(data: bytes, value: dict[str, Any], path: tuple[str | int, ...], lane: Lane) -> Shape | None:
    """The shape of an event that has been parsed.

    Args:
        value: what `data` says; apart from the text at `path` it says nothing that has to be acted upon.
    """
    text = _at(value, path)
    quoted = orjson.dumps(text)
    if not text or data.count(quoted) != 1 or not _PLAIN(quoted[1:-1]):
        return None
    head, tail = data.split(quoted)
    shape = Shape(head + b'"', b'"' + tail, lane)
    # Proof that the bytes found are those of the text, not of something else that reads the same.
    if _at(orjson.loads(shape.head + _PROBE.encode() + shape.tail), path) != _PROBE:
        return None
    return shape


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value
