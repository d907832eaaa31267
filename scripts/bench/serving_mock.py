"""A played engine for the benchmarks of serving: OpenAI chat and completions, whole and streaming, for little CPU.

    python scripts/bench/serving_mock.py [--port N] [--uds PATH] [--tokens 200] [--ms 5] [--per-event 1] [--jitter 0.2]
                                         [--text FILE] [--channels content,reasoning] [--per-write 1]
    python scripts/bench/serving_mock.py --measure        what one chunk costs this program

Written on the bare transport with httptools and uvloop; events are made once, so that of each chunk little more is left
than the system call that sends it. A stream has vLLM's form: a role, a delta per event, a finish reason, the usage
where it was asked for, [DONE]. A request with `tools` is answered with a call of the first one. `max_tokens` of a
request cuts `--tokens`; `n` up to 8 interleaves choices. Pieces of a JSON `--text` file (a list of strings) are the
tokens themselves; of any other file, two characters are one.

Prints one line of JSON, {"port", "pid"}, when it listens. GET /mock/stats tells requests, chunks sent, streams in
progress, callers that left early, and its CPU seconds (in the program, and for it in the
kernel, which sends). `started(...)` runs it as a child of a benchmark or a test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import httptools

Channel = Literal["content", "reasoning", "arguments"]
TEXT = (
    "您好，我理解您最近的处境。您可以先还一部分，余下的分几个月还，利息和罚息都会按合同算清楚。"
    "请您看一看下个月能拿出多少，我们按这个数来安排；如果有住院或者失业的证明，也可以交给我们。"
    "还款日到了之后请在手机应用里确认，有什么不清楚的地方随时可以问我。"
)
CHARS_A_TOKEN = 2
ARGUMENTS = '{"day": "2026-01-05", "amount": "300.00"}'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Options:
    """How answers are given.

    Attributes:
        tokens: of one choice, at most.
        ms: milliseconds between two events of a choice; 0 sends as fast as the socket takes them.
        jitter: share by which `ms` varies, uniformly.
        per_event: tokens in one event.
        per_write: events in one write, so in one piece on the wire; above 1 for an engine that coalesces.
        pieces: the tokens, one after the other and again from the start.
        channels: what a stream goes through, in equal parts.
    """

    tokens: int = 200
    ms: float = 5.0
    jitter: float = 0.0
    per_event: int = 1
    per_write: int = 1
    pieces: tuple[str, ...] = tuple(TEXT[at : at + CHARS_A_TOKEN] for at in range(0, len(TEXT), CHARS_A_TOKEN))
    channels: tuple[Channel, ...] = ("content",)


@dataclass
class Stats:
    """What has been done."""

    requests: int = 0
    chunks: int = 0
    streams: int = 0
    left: int = 0


class Wheel:
    """Calls by the millisecond: all that are due together share one timer, which is most of what a chunk would cost."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.due: dict[int, list[Mock]] = {}

    def after(self, ms: float, stream: Mock) -> None:
        """Step `stream` after so many milliseconds, to the nearest one."""
        tick = round(self.loop.time() * 1000 + ms)
        if tick in self.due:
            self.due[tick].append(stream)
        else:
            self.due[tick] = [stream]
            self.loop.call_at(tick / 1000, self.turn, tick)

    def turn(self, tick: int) -> None:
        for stream in self.due.pop(tick):
            stream.step()


class Mock(asyncio.Protocol):
    """One connection; requests on it are answered in turn."""

    def __init__(self, options: Options, stats: Stats, wheel: Wheel):
        self.options, self.stats, self.wheel = options, stats, wheel
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()
        self.url = b""
        self.left: list[bytes] = []  # writes of the stream in progress, the next one last
        self.waiting = self.paused = False
        self.random = random.Random(id(self))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.left:
            self.left = []
            self.stats.streams -= 1
            self.stats.left += 1

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if not self.waiting:
            self.step()

    def on_message_begin(self) -> None:
        self.body = bytearray()

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if self.parser.get_method() == b"GET":
            return self.send(self.told())
        self.stats.requests += 1
        try:
            asked = json.loads(bytes(self.body))
        except ValueError:
            return self.send(b'{"error":{"message":"not JSON"}}', 400)
        chat = self.url.endswith(b"/chat/completions")
        count = min(self.options.tokens, asked.get("max_tokens") or self.options.tokens)
        tools = asked.get("tools") or [{"function": {"name": ""}}]
        shape = Shape(
            chat, count, min(int(asked.get("n") or 1), 8), bool(asked.get("stream")), tools[0]["function"]["name"]
        )
        if not shape.stream:
            if self.options.ms:
                self.loop.call_later(count * self.options.ms / 1000, self.send, whole(self.options, shape))
                return None
            return self.send(whole(self.options, shape))
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        self.transport.write(STREAM_HEAD)
        self.stats.streams += 1
        self.left = list(reversed(writes(self.options, shape, usage)))
        self.step()
        return None

    def told(self) -> bytes:
        if self.url == b"/mock/stats":
            times = os.times()
            return json.dumps({**vars(self.stats), "user_s": times.user, "system_s": times.system}).encode()
        return b'{"object":"list","data":[{"id":"mock","object":"model"}]}' if self.url == b"/v1/models" else b"{}"

    def send(self, body: bytes, status: int = 200) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(head % (status, len(body)) + body)

    def step(self) -> None:
        """Send the next write of the stream, and come back for the one after it."""
        self.waiting = False
        options = self.options
        while self.left and not self.paused:
            self.transport.write(self.left.pop())
            self.stats.chunks += options.per_write
            if not self.left:
                self.stats.streams -= 1
            elif options.ms:
                pause = options.ms * options.per_write
                if options.jitter:
                    pause *= 1 + options.jitter * (2 * self.random.random() - 1)
                self.waiting = True
                return self.wheel.after(pause, self)
        return None


@dataclass(frozen=True)
class Shape:
    """What an answer looks like."""

    chat: bool
    tokens: int
    choices: int
    stream: bool = True
    tool: str = ""
    """Name of the tool that is called, "" for an answer in words."""

    @property
    def finish(self) -> str:
        return "tool_calls" if self.tool else "stop"


def deltas(options: Options, tokens: int) -> Iterator[tuple[Channel, str]]:
    """The text of each event, with its channel."""
    share = -(-tokens // len(options.channels))
    for start in range(0, tokens, options.per_event):
        taken = range(start, min(start + options.per_event, tokens))
        text = "".join(options.pieces[number % len(options.pieces)] for number in taken)
        yield options.channels[min(start // share, len(options.channels) - 1)], text


@lru_cache(maxsize=64)
def writes(options: Options, shape: Shape, usage: bool) -> tuple[bytes, ...]:
    """Everything that is sent of a stream, cut as it is written."""
    events = list(_events(options, shape, usage))
    cut = [events[at : at + options.per_write] for at in range(0, len(events), options.per_write)]
    framed = [b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) for events in cut]
    return (*framed[:-1], framed[-1] + END)


def _events(options: Options, shape: Shape, usage: bool) -> Iterator[bytes]:
    choices = range(shape.choices)
    if shape.chat:
        for index in choices:
            yield _event(shape, [_choice(shape, index, {"role": "assistant", "content": ""})])
    if shape.tool:
        for index in choices:
            call: dict[str, Any] = {"index": 0, "id": f"call_{index}", "type": "function"}
            call["function"] = {"name": shape.tool, "arguments": ""}
            yield _event(shape, [_choice(shape, index, {"tool_calls": [call]})])
        said: list[tuple[Channel, str]] = [("arguments", ARGUMENTS[at : at + 3]) for at in range(0, len(ARGUMENTS), 3)]
    else:
        said = list(deltas(options, shape.tokens))
    for channel, text in said:
        for index in choices:
            yield _event(shape, [_choice(shape, index, _delta(shape, channel, text))])
    for index in choices:
        last = _choice(shape, index, {} if shape.chat else {"text": ""})
        yield _event(shape, [{**last, "finish_reason": shape.finish}])
    if usage:
        yield _event(shape, [], {"usage": _usage(shape)})
    yield b"data: [DONE]\n\n"


def _event(shape: Shape, choices: Sequence[Mapping[str, Any]], more: Mapping[str, Any] | None = None) -> bytes:
    kind = "chat.completion.chunk" if shape.chat else "text_completion"
    value = {"id": "mock-1", "object": kind, "created": 1, "model": "mock", "choices": choices, **(more or {})}
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _choice(shape: Shape, index: int, change: Mapping[str, Any]) -> dict[str, Any]:
    said = {"delta": change} if shape.chat else change
    return {"index": index, **said, "logprobs": None, "finish_reason": None}


def _delta(shape: Shape, channel: Channel, text: str) -> dict[str, Any]:
    if not shape.chat:
        return {"text": text}
    if channel == "arguments":
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
    return {channel: text}


def _usage(shape: Shape) -> dict[str, int]:
    made = shape.tokens * shape.choices
    return {"prompt_tokens": 16, "completion_tokens": made, "total_tokens": 16 + made}


@lru_cache(maxsize=64)
def whole(options: Options, shape: Shape) -> bytes:
    """A whole answer."""
    said: dict[Channel, str] = {}
    for channel, text in deltas(options, shape.tokens):
        said[channel] = said.get(channel, "") + text
    choices = []
    for index in range(shape.choices):
        message: dict[str, Any] = {"text": said.get("content", "")}
        if shape.chat:
            message = {"message": {"role": "assistant", **said}}
        if shape.tool:
            call: dict[str, Any] = {"id": f"call_{index}", "type": "function"}
            call["function"] = {"name": shape.tool, "arguments": ARGUMENTS}
            message = {"message": {"role": "assistant", "content": None, "tool_calls": [call]}}
        choices.append({"index": index, **message, "logprobs": None, "finish_reason": shape.finish})
    kind = "chat.completion" if shape.chat else "text_completion"
    value = {"id": "mock-1", "object": kind, "created": 1, "model": "mock", "choices": choices, "usage": _usage(shape)}
    return json.dumps(value, ensure_ascii=False).encode()


def pieces_of(path: Path) -> tuple[str, ...]:
    """The tokens of a text file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return tuple(json.loads(text))
    return tuple(text[at : at + CHARS_A_TOKEN] for at in range(0, len(text), CHARS_A_TOKEN))


async def serve(options: Options, port: int, uds: str | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    stats, wheel = Stats(), Wheel()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    server = await loop.create_server(lambda: Mock(options, stats, wheel), "127.0.0.1", port, backlog=4096)
    if uds:
        await loop.create_unix_server(lambda: Mock(options, stats, wheel), uds, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await over.wait()
    server.close()


@dataclass(frozen=True)
class Engine:
    """A running mock."""

    url: str
    pid: int

    def stats(self) -> dict[str, float]:
        """See GET /mock/stats."""
        with urllib.request.urlopen(f"{self.url}/mock/stats", timeout=30) as reply:
            return dict(json.load(reply))


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[Engine]:
    """The mock as a process of its own, with these command-line arguments, while the block lasts."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Engine(f"http://127.0.0.1:{told['port']}", told["pid"])
        finally:
            process.terminate()


async def _drink(url: str, streams: int) -> None:
    """Read whole streams and look at none of it."""
    body = b'{"stream":true}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(head + body)
        rest = b""
        while not rest.endswith(END):
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionError("the mock broke a stream off")
            rest = rest[-len(END) :] + data
        writer.close()

    await asyncio.gather(*(one() for _ in range(streams)))


def measure() -> None:
    """CPU of the mock for each chunk, at one write a chunk."""
    with started("--tokens", 1000, "--ms", 10, "--jitter", 0.5) as engine:
        for streams in (1, 32, 256):
            before, began = engine.stats(), time.perf_counter()
            asyncio.run(_drink(engine.url, streams))
            after, wall = engine.stats(), time.perf_counter() - began
            chunks = after["chunks"] - before["chunks"]
            user, system = (1e6 * (after[name] - before[name]) / chunks for name in ("user_s", "system_s"))
            print(
                f"{streams:4} streams  {chunks / wall:9,.0f} chunks/s  {user + system:6.2f} µs of CPU a chunk "
                f"({user:.2f} in the program, {system:.2f} in the kernel)"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--uds", help="listen on a unix socket too")
    parser.add_argument("--tokens", type=int, default=200, help="tokens of a choice, at most")
    parser.add_argument("--ms", type=float, default=5.0, help="milliseconds between two events")
    parser.add_argument("--jitter", type=float, default=0.0, help="share by which --ms varies")
    parser.add_argument("--per-event", type=int, default=1, help="tokens in one event")
    parser.add_argument("--per-write", type=int, default=1, help="events in one write")
    parser.add_argument("--text", type=Path, help="file with the text, or with a JSON list of tokens")
    parser.add_argument("--channels", default="content", help="content, reasoning, arguments; with commas between")
    parser.add_argument("--measure", action="store_true", help="measure this program and end")
    given = parser.parse_args()
    if given.measure:
        return measure()
    options = Options(
        given.tokens,
        given.ms,
        given.jitter,
        given.per_event,
        given.per_write,
        pieces_of(given.text) if given.text else Options.pieces,
        cast(tuple[Channel, ...], tuple(given.channels.split(","))),
    )
    import uvloop

    uvloop.run(serve(options, given.port, given.uds))
    return None


if __name__ == "__main__":
    main()
