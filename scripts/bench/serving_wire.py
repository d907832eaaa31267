"""A caller that costs little and looks closely: one HTTP/1.1 connection on the bare transport, with times."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

# Every event of a stream with text has this and none without: [DONE], roles, ends and usage do not.
_TAIL_BYTES = 512  # what is kept to see how a stream ends
_TEXT, _EMPTY = b'"content":"', b'"content":""'


@dataclass
class Seen:
    """One answer. Times are seconds after the request was sent; `first` is that of the first text.

    Attributes:
        status: HTTP status; 0 when the connection broke before one came.
        whole: a stream ended with [DONE], or a body with its last byte.
        error: an error event in a stream.
        events: of a stream, with text.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    first: float | None = None
    first_event: bytes = b""
    last: float = 0.0
    events: int = 0
    body: bytes = b""
    whole: bool = False
    error: bool = False


class Caller(asyncio.Protocol):
    """One connection; requests on it go one after another.

    Args:
        keep: keep bodies and events; a load test does not.
    """

    def __init__(self, keep: bool = True):
        self.keep = keep
        self.transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._seen = Seen()
        self._done: asyncio.Future[None] | None = None
        self._sent = 0.0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._finish()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._seen.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._seen.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        seen = self._seen
        found = data.count(_TEXT) - data.count(_EMPTY)
        if found > 0:
            if seen.first is None:
                seen.first, seen.first_event = time.perf_counter() - self._sent, data
            seen.events += found
        if self.keep:
            seen.body += data
        self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def on_message_complete(self) -> None:
        seen = self._seen
        stream = "event-stream" in seen.headers.get("content-type", "")
        seen.whole = self._tail.endswith(b"data: [DONE]\n\n") if stream else True
        seen.error = stream and b'data: {"error"' in self._tail
        self._finish()

    async def ask(self, url: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float = 300) -> Seen:
        """Send one POST and read its answer; never raises for what the server does."""
        try:
            if self.transport is None:
                parts = urlsplit(url)
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: self, parts.hostname, parts.port)
        except OSError:
            return Seen()
        self._seen, self._tail = Seen(), b""
        self._parser = httptools.HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
        lines += ["content-type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
        self._sent = time.perf_counter()
        assert self.transport is not None
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        try:
            await asyncio.wait_for(self._done, timeout_s)
        except TimeoutError:
            self.close()
        if self._seen.headers.get("connection", "").lower() == "close":
            self.close()
        return self._seen

    def close(self) -> None:
        """Leave, in the middle of an answer too."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def _finish(self) -> None:
        self._seen.last = time.perf_counter() - self._sent
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


QUESTION = "工资晚发，可以晚几天还款吗？"
"""Asks for nothing that goes to a person."""


def chat_body(model: str, tokens: int, stream: bool = True, text: str = QUESTION, **more: Any) -> bytes:
    """A chat request."""
    messages = [{"role": "user", "content": text}]
    body = {"model": model, "messages": messages, "max_tokens": tokens, "stream": stream, **more}
    return json.dumps(body, ensure_ascii=False).encode()
