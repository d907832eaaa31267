"""One client's connection: uvicorn's HTTP protocol, with limits on time, size and number at every step.

uvicorn itself waits for ever for a head, a body or a reader, and keeps heads of any length. Here each phase of a
connection has its end: `idle` between requests, `head`, `body`; and a reader that does not read is dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.edge.head import check_head
from serving.errors import ApiError

if TYPE_CHECKING:
    from serving.edge.server import EdgeConfig

# Name of `Out` among the extensions of an ASGI scope.
OUT = "tianjing.out"
BODY_CHECK_S = 1.0
# After an early answer (413, say) the rest of the body is read and dropped, so that the client gets to see the answer.
LINGER_S = 2.0
LINGER_BYTES = 4 << 20
# Clients that pipeline are few and send few; each waiting request keeps its body's first 64 KiB.
MAX_PIPELINED = 8


class Out:
    """The body of an answer whose head has gone out, written past the application's layers of coroutines.

    A stream of a thousand pieces would pass each of them a thousand times.
    """

    def __init__(self, cycle: RequestResponseCycle):
        self._cycle = cycle

    def write(self, data: bytes) -> bool:
        """Send a piece; False when the client has left so much unread that `drain` must come first."""
        cycle = self._cycle
        if not cycle.disconnected:
            assert cycle.chunked_encoding and not cycle.response_complete
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not cycle.flow.write_paused

    async def drain(self) -> None:
        """Wait until the client has read what was sent."""
        await self._cycle.flow.drain()


class Connection(HttpToolsProtocol):
    """A connection under `EdgeConfig.edge`."""

    config: EdgeConfig

    def __init__(self, *given: Any, **named: Any):
        super().__init__(*given, **named)
        self._edge = self.config.edge
        self._address = ""
        self._counted = False
        self._phase: Literal["idle", "head", "body"] = "idle"
        self._began = 0.0
        self._head_bytes = 0
        self._parsed_bytes = 0
        self._body_bytes = 0
        self._dropped_bytes = 0
        self._refusal: ApiError | None = None
        self._running: RequestResponseCycle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # The connection begins and ends.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        most = self._edge.max_connections_per_address
        if len(self.connections) > self._edge.max_connections or (
            most is not None and self.config.addresses[self._address] >= most
        ):
            self._refuse(ApiError(503, "too many connections", code="too_many_connections", retry_after_s=1))
            return
        self._counted = True
        self.config.addresses[self._address] += 1
        self._wait(self._edge.head_timeout_s, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._write_timer is not None:
            self._write_timer.cancel()
        if self._counted:
            self.config.addresses[self._address] -= 1
            if not self.config.addresses[self._address]:
                del self.config.addresses[self._address]
        # uvicorn tells the newest request only; with others queued behind it, the one being answered must stop too.
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    # Bytes come in.

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._phase != "body":
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or ApiError(400, "not a valid HTTP request"))
            return
        except httptools.HttpParserUpgrade:
            self._refuse(ApiError(400, "no protocol upgrade here"))
            return
        if self._phase == "head" and self._head_bytes > self._edge.max_head_bytes:
            self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = "head"
        self._began = self.loop.time()
        self._parsed_bytes = self._body_bytes = self._dropped_bytes = 0
        self._wait(self._edge.head_timeout_s, self._late)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == "body":
            self._stop(ApiError(400, "no trailers here"))
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)
        if len(self.headers) > self._edge.max_headers:
            self._stop(self._too_large())

    def on_headers_complete(self) -> None:
        error = check_head(
            self.parser.get_http_version(), self.url, self.headers, self.parser.should_upgrade(), self._edge
        )
        if error is None and len(self.pipeline) >= MAX_PIPELINED:
            error = ApiError(400, f"more than {MAX_PIPELINED} requests ahead of their answers")
        if error is not None:
            self._stop(error)
        self._phase = "body"
        super().on_headers_complete()
        self._wait(BODY_CHECK_S, self._check_body)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._dropped_bytes += len(body)
            if self._dropped_bytes > LINGER_BYTES:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = "idle"
        self._head_bytes = 0
        self._disarm()
        if self.cycle.response_complete:
            self._wait(self._edge.keep_alive_s, self._close)

    def _count(self, parsed: int) -> None:
        self._parsed_bytes += parsed
        if self._parsed_bytes > self._edge.max_head_bytes:
            self._stop(self._too_large())

    # Answers go out.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        extensions: dict[str, Any] = {**cycle.scope.get("extensions", {}), OUT: Out(cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._flush_in_time()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._phase == "idle":
            self._wait(self._edge.keep_alive_s, self._close)
        elif self._phase == "body" and self.cycle.response_complete:
            self._wait(LINGER_S, self._close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._flush_in_time()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None and not self.transport.is_closing():
            self._write_timer.cancel()
            self._write_timer = None

    # What ends it early.

    def _check_body(self) -> None:
        elapsed = self.loop.time() - self._began
        slow = self._body_bytes < self._edge.min_body_bytes_per_s * elapsed
        # While the gateway itself does not read, the client is not to blame.
        if not self.flow.read_paused and (
            elapsed > self._edge.request_timeout_s or (elapsed > self._edge.head_timeout_s and slow)
        ):
            self._late()
        else:
            self._wait(BODY_CHECK_S, self._check_body)

    def _late(self) -> None:
        self._refuse(ApiError(408, "the request did not come in time"))

    def _too_large(self) -> ApiError:
        return ApiError(
            431, f"more than {self._edge.max_head_bytes} bytes, or {self._edge.max_headers} headers, before the body"
        )

    def _stop(self, error: ApiError) -> None:
        """Leave the parser; `data_received` then refuses."""
        self._refusal = error
        raise error

    def _refuse(self, error: ApiError) -> None:
        """Answer with an error where an answer is due, and close."""
        self._refusal = error
        self._disarm()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(_raw(error))
        elif self._phase == "body" and cycle is self._running and not cycle.response_started:
            # The application learns that the rest of the body never comes.
            cycle.disconnected = True
            cycle.message_event.set()
            self.transport.write(_raw(error))
        self._close()

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
            self._flush_in_time()

    def _flush_in_time(self) -> None:
        """What waits to be sent must be read in time."""
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self._edge.send_timeout_s, self.transport.abort)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._read_timer = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None


def _raw(error: ApiError) -> bytes:
    body = json.dumps(error.body()).encode()
    fixed = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"{name}: {value}\r\n".encode() for name, value in {**fixed, **error.headers()}.items()]
    return b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body])
