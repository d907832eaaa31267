"""Operation logs in XES (IEEE 1849): events read as a stream, with their line.

The trace's concept:name is the case, the event's concept:name the activity, time:timestamp the time and org:resource
the actor; every other attribute of the event keeps its key and its type.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from data_recipes.readers.rows import Row

_CHUNK_BYTES = 1 << 18
_FIELDS = {"concept:name": "activity", "time:timestamp": "at", "org:resource": "actor"}
_DECLARED_GB = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*encoding=["'](?:gb2312|gbk|gb18030)["']""", re.IGNORECASE)


def read_xes(path: Path) -> Iterator[Row]:
    """The events of a log, in its order; an event without org:resource has the actor "".

    A document type is refused: no log needs one, and its entities can grow without bound. XML that breaks off ends the
    reading with an error row, after the events before it.
    """
    with open(path, "rb") as stream:
        head = stream.read(_CHUNK_BYTES)
        # The parser reads no multi-byte encoding but Unicode's.
        gb = codecs.getincrementaldecoder("gb18030")() if _DECLARED_GB.match(head) else None
        log = _Log("utf-8" if gb else None)
        chunk = head
        while True:
            final = not chunk
            try:
                log.parser.Parse(gb.decode(chunk, final).encode() if gb else chunk, final)
            except (expat.ExpatError, UnicodeDecodeError, _Refused) as error:
                yield from log.take()
                line, offset = log.parser.CurrentLineNumber, log.parser.CurrentByteIndex
                kind = "" if isinstance(error, _Refused) else "broken XML: "
                yield Row(line, max(offset, 0), 0, "", None, f"{kind}{error}; nothing below is read")
                return
            yield from log.take()
            if final:
                return
            chunk = stream.read(_CHUNK_BYTES)


class _Refused(Exception):
    """The log has what is not read."""


class _Log:
    """Handlers of the parser, and the events they have completed."""

    def __init__(self, encoding: str | None):
        self.parser = expat.ParserCreate(encoding)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._done: list[Row] = []
        self._case: str | None = None
        self._event: dict[str, Any] | None = None
        self._place = (0, 0)
        self._open: list[tuple[str, str]] = []  # elements from the root on, with their key

    def take(self) -> list[Row]:
        done, self._done = self._done, []
        return done

    def _doctype(self, *declaration: Any) -> None:
        raise _Refused("a document type (DOCTYPE) is refused: remove it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        parent = self._open[-1][0] if self._open else ""
        key = attributes.get("key", "")
        if tag == "trace":
            self._case = None
        elif tag == "event":
            self._event = {}
            self._place = (self.parser.CurrentLineNumber, self.parser.CurrentByteIndex)
        elif parent == "trace" and key == "concept:name":
            self._case = attributes.get("value", "")
        elif self._event is not None and key:
            self._add(tag, key, attributes.get("value", ""))
        self._open.append((tag, key))

    def _add(self, tag: str, key: str, value: str) -> None:
        """An attribute of the open event; one inside another is named outer/inner, a list holds its members' values."""
        assert self._event is not None
        elements = [element for element, _ in self._open]
        keys = [name for _, name in self._open[elements.index("event") + 1 :] if name]
        if tag == "list":
            self._event.setdefault("/".join([*keys, key]), [])
        elif self._open[-1][0] == "values" and keys:
            self._event["/".join(keys)].append(_typed(tag, value))
        else:
            self._event["/".join([*keys, key])] = _typed(tag, value)

    def _end(self, name: str) -> None:
        self._open.pop()
        tag = name.rpartition(":")[2]
        if tag == "trace":
            self._case = None
        elif tag == "event" and self._event is not None:
            known = {field: self._event.pop(key) for key, field in _FIELDS.items() if key in self._event}
            line, offset = self._place
            error = "" if self._case is not None else "the event's trace has no concept:name"
            value = {"case": self._case, "actor": "", **known, "attributes": self._event}
            length = self.parser.CurrentByteIndex - offset
            raw = json.dumps(value, ensure_ascii=False)
            self._done.append(Row(line, offset, length, raw, None if error else value, error))
            self._event = None


def _typed(tag: str, value: str) -> Any:
    """A value of its declared type; one that is not of it stays text."""
    try:
        if tag == "int":
            return int(value)
        if tag == "float" and math.isfinite(number := float(value)):
            return number
    except ValueError:
        return value
    return value == "true" if tag == "boolean" and value in ("true", "false") else value
