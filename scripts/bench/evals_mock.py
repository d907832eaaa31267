"""An OpenAI-compatible endpoint that answers at once and always the same to the same request: a stand-in for a model.

Written on the bare transport, so that the clients measured against it are the slower side. Prints its port and serves
until it is ended.
Usage: python scripts/bench/evals_mock.py [--port N] [--delay-ms MS] [--log FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import zlib
from typing import IO, cast

MODELS = b'{"object":"list","data":[{"id":"base","object":"model"},{"id":"tuned","object":"model"}]}'
HEADER = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Mock(asyncio.Protocol):
    """One connection; requests on it are answered in turn."""

    def __init__(self, delay_s: float, log: IO[bytes] | None):
        self.delay_s, self.log = delay_s, log
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            if head.startswith(b"get"):
                self.send(MODELS if b"/models" in head else b"{}")
            elif self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self.send, self.answer(body))
            else:
                self.send(self.answer(body))

    def answer(self, body: bytes) -> bytes:
        """A choice that hangs on every byte of the request, its seed included."""
        if self.log is not None:
            self.log.write(body.replace(b"\n", b" ") + b"\n")
            self.log.flush()
        number = zlib.crc32(body)
        text = f"答案：{'ABCD'[number % 4]}，依据第{number % 97}条。"
        return (
            b'{"id":"mock","object":"chat.completion","created":1,"model":"%b","choices":[{"index":0,"message":'
            b'{"role":"assistant","content":%b},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":48,"completion_tokens":12,"total_tokens":60}}'
            % (b"tuned" if b'"model":"tuned"' in body else b"base", json.dumps(text).encode())
        )

    def send(self, body: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(HEADER % (200, len(body)) + body)


async def serve(port: int, delay_s: float, log: IO[bytes] | None) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Mock(delay_s, log), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay-ms", type=float, default=0, help="pause before each answer")
    parser.add_argument("--log", help="file that gets the body of every request, a line each")
    arguments = parser.parse_args()
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run  # type: ignore[assignment]
    with open(arguments.log or os.devnull, "ab") as log, contextlib.suppress(KeyboardInterrupt):
        run(serve(arguments.port, arguments.delay_ms / 1000, log if arguments.log else None))


if __name__ == "__main__":
    main()
