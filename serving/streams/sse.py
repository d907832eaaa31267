"""Server-sent events: an incremental reader and a writer, without any I/O.

The format is that of the HTML standard, section "Server-sent events": lines end with CR, LF or both, a comment begins
with a colon, `data` of several lines is joined, an empty line ends the event.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
MAX_EVENT_BYTES = 1 << 20
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class EventReader:
    """Bytes in, the `data` of complete events out; an event may be cut anywhere, inside a character too.

    Attributes:
        between: no event has begun that is not complete, so the next byte begins one.
    """

    def __init__(self) -> None:
        self.between = False  # a byte-order mark may come
        self._rest = bytearray()  # a line that is not complete
        self._data: list[bytes] = []
        self._begun = False
        self._skip_lf = False  # a CR ended the last piece: an LF at the beginning of the next belongs to it

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes and return the events they complete.

        Raises:
            ValueError: an event of more than 1 MiB.
        """
        if self.between and piece.startswith(b"data: ") and piece.endswith(b"\n\n") and b"\r" not in piece:
            events = piece[6:-2].split(b"\n\ndata: ")
            if piece.count(b"\n") == 2 * len(events):  # nothing but events of one line each
                return events
        return self._read(piece)

    def _read(self, piece: bytes) -> list[bytes]:
        if self._skip_lf and piece:
            piece, self._skip_lf = piece.removeprefix(b"\n"), False
        self._rest += piece
        if b"\n" not in piece and b"\r" not in piece:
            self._limit()
            self.between = self.between and not piece
            return []
        self._skip_lf = piece.endswith(b"\r")
        *lines, rest = _LINE_END.split(bytes(self._rest))
        self._rest = bytearray(rest)
        events = [event for line in lines if (event := self._line(line)) is not None]
        self._limit()
        self.between = not rest and not self._data and not self._skip_lf
        return events

    def _limit(self) -> None:
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def _line(self, line: bytes) -> bytes | None:
        """Take a line; gives the event that it ends."""
        if not self._begun:
            line, self._begun = line.removeprefix(_BOM), True
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            self._data.append(b"")
        elif not line and self._data:
            event, self._data = b"\n".join(self._data), []
            return event
        return None


def event(value: Any) -> bytes:
    """One event with a JSON value."""
    return b"data: " + orjson.dumps(value) + b"\n\n"
