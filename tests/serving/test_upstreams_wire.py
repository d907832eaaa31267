"""The HTTP client under the pool, against servers that send exactly the bytes of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.upstreams import http11
from serving.upstreams.http11 import Broken, Connection, Garbled, Silent

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def sends(*pieces: bytes, close: bool = True) -> Script:
    """A server that answers any request with these pieces."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if not close:
            await reader.read()

    return script


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[Connection]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection()
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        connection.abort()
        server.close()
        await server.wait_closed()


async def body_of(connection: Connection) -> bytes:
    pieces = []
    while piece := await connection.piece():
        pieces.append(piece)
    return b"".join(pieces)


async def answer(script: Script, timeout_s: float = 10) -> tuple[int, bytes, bool]:
    async with connected(script) as connection:
        await connection.request(GET, timeout_s)
        return connection.status, await body_of(connection), connection.reusable


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    closing = False

    def write(self, data: Any) -> None: ...

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


@settings(max_examples=100, deadline=None)
@given(bodies=st.lists(st.binary(min_size=1, max_size=60), max_size=6), cuts=st.sets(st.integers(1, 400)))
def test_a_chunked_body_is_read_however_it_is_cut(bodies: list[bytes], cuts: set[int]) -> None:
    raw = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in bodies) + b"0\r\n\r\n"

    async def feed() -> None:
        connection = Connection()
        connection.connection_made(Wire())
        reading = asyncio.ensure_future(connection.request(GET, 10))
        await asyncio.sleep(0)
        ends = [*sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
        for start, end in zip([0, *ends], ends, strict=False):
            connection.data_received(raw[start:end])
        await reading
        assert await body_of(connection) == b"".join(bodies)
        assert connection.status == 200 and connection.reusable

    run(feed())


def test_every_way_of_framing_a_body_is_read() -> None:
    sized = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert run(answer(sends(sized, b"he", b"llo", close=False))) == (200, b"hello", True)
    assert run(answer(sends(sized + b"hello", close=False))) == (200, b"hello", True)
    closing = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    assert run(answer(sends(closing))) == (200, b"hello", False)
    assert run(answer(sends(b"HTTP/1.0 200 OK\r\n\r\nto the ", b"end"))) == (200, b"to the end", False)
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    assert run(answer(sends(early, sized + b"hello", close=False))) == (200, b"hello", True)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ((), Broken),
        ((b"HTTP/1.1 200 OK\r\ncont",), Broken),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",), Broken),
        ((CHUNKED + b"5\r\nhel",), Broken),
        ((CHUNKED + b"5\r\nhello\r\n",), Broken),  # all text has come, its end has not
        ((CHUNKED + b"zz\r\nhello\r\n",), Garbled),
        ((b"220 mail.example ESMTP\r\n",), Garbled),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",), Garbled),
        ((b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,), Garbled),
    ],
)
def test_an_answer_that_is_cut_or_garbled_is_an_error(pieces: tuple[bytes, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        run(answer(sends(*pieces)))


def test_silence_ends_the_wait_before_and_within_the_answer() -> None:
    for pieces, heard in (((), False), ((CHUNKED + b"5\r\nhello\r\n",), True)):
        with pytest.raises(Silent) as caught:
            run(answer(sends(*pieces, close=False), timeout_s=0.2))
        assert caught.value.heard == heard


def test_a_slow_stream_is_no_silence() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        for _ in range(12):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")

    assert run(answer(dribble, timeout_s=0.8))[1] == b"x" * 12


def test_bytes_that_nobody_asked_for_close_the_connection() -> None:
    """Else they would be taken for the answer to the next caller's request."""
    twice = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" * 2
    assert run(answer(sends(twice, close=False))) == (200, b"ok", False)

    async def later() -> bool:
        more = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await more.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
            await reader.read()

        async with connected(script) as connection:
            await connection.request(GET, 10)
            assert await body_of(connection) == b"ok" and connection.reusable
            more.set()
            while connection.open:
                await asyncio.sleep(0.01)
            return connection.reusable

    assert run(later()) is False


def test_a_caller_who_reads_slowly_stops_the_reading() -> None:
    async def flood() -> int:
        sent = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(CHUNKED)
            while sent < 64 << 20:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
                await writer.drain()

        async with connected(script) as connection:
            await connection.request(GET, 10)
            before = -1
            while sent != before:  # until the sender has stood still for a while
                before = sent
                await asyncio.sleep(0.3)
            assert len(await connection.piece()) < http11.HIGH_WATER_BYTES + (1 << 20)
            got = 0
            while got < 8 << 20:  # and goes on once somebody reads
                got += len(await connection.piece())
            return before

    assert run(flood()) < 32 << 20
