"""How a stream leaves: callers who go, and streams that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from serving.edge.connection import OUT
from serving.edge.wire import EventStream, Leaving, Writer


class Caller:
    """A caller over ASGI."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


class Out:
    """Where the server lets a stream write."""

    def __init__(self, sent: list[dict[str, Any]]):
        self._sent = sent

    def write(self, data: bytes) -> bool:
        self._sent.append({"body": data})
        return True

    async def drain(self) -> None:
        pass


class Source:
    """Pieces without end, or `pieces`; knows when it has been closed."""

    def __init__(self, pieces: int | None = None, fails: bool = False):
        self.closed = False
        self._pieces, self._fails = pieces, fails

    async def run(self, out: Writer) -> None:
        number = 0
        while number != self._pieces:
            number += 1
            out.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0)
        if self._fails:
            raise RuntimeError("fault")

    async def close(self) -> None:
        self.closed = True


async def served(source: Source, caller: Caller) -> None:
    stream = EventStream(source, {"x-request-id": "7"}, Leaving(caller.receive))
    scope = {"type": "http", "extensions": {OUT: Out(caller.sent)}}
    await asyncio.wait_for(stream(scope, caller.receive, caller.send), 30)


def test_pieces_leave_in_order_under_the_given_headers() -> None:
    async def run() -> None:
        caller, source = Caller(), Source(3)
        await served(source, caller)
        start, *pieces, end = caller.sent
        assert (b"x-request-id", b"7") in start["headers"] and start["status"] == 200
        assert [piece["body"] for piece in pieces] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
        assert end["more_body"] is False and source.closed

    asyncio.run(run())


def test_when_the_caller_leaves_the_stream_is_closed() -> None:
    async def run() -> None:
        caller, source = Caller(), Source()
        asyncio.get_running_loop().call_later(0.05, caller.gone.set)
        await served(source, caller)
        assert source.closed and len(caller.sent) > 2

    asyncio.run(run())


def test_a_stream_that_fails_is_closed_and_its_failure_known() -> None:
    async def run() -> None:
        source = Source(2, fails=True)
        with pytest.raises(RuntimeError):
            await served(source, Caller())
        assert source.closed

    asyncio.run(run())


def test_work_for_a_caller_who_leaves_is_cancelled_and_cleans_up_first() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")

    async def run() -> None:
        caller = Caller()
        asyncio.get_running_loop().call_later(0.02, caller.gone.set)
        with pytest.raises(ClientDisconnect):
            await Leaving(caller.receive).unless(work())
        assert done == ["cleaned up"]
        await asyncio.sleep(0.01)  # the task itself may go on to answer

    asyncio.run(run())


def test_nothing_is_begun_for_a_caller_who_has_left_already() -> None:
    begun: list[bool] = []

    async def work() -> None:
        begun.append(True)

    async def run() -> None:
        caller = Caller()
        caller.gone.set()
        leaving = Leaving(caller.receive)
        await asyncio.sleep(0.01)
        with pytest.raises(ClientDisconnect):
            await leaving.unless(work())
        assert not begun

    asyncio.run(run())


def test_a_server_that_stops_is_not_taken_for_a_caller_who_leaves() -> None:
    async def run() -> None:
        task = asyncio.ensure_future(Leaving(Caller().receive).unless(asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
