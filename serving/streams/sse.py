"""Server-sent events: an incremental reader and a writer, without any I/O."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


class EventReader:
    """Bytes in, the `data` of complete events out; an event may be cut anywhere, inside a character too."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[str]:
        """Take the next bytes and return the events they complete."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", errors="replace")
            if text.startswith("data:"):
                self._data.append(text[5:].removeprefix(" "))
            elif not text and self._data:
                events.append("\n".join(self._data))
                self._data = []
        return events


def event(value: Any) -> bytes:
    """One event with a JSON value."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
