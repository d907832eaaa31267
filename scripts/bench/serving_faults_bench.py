"""The harness of `serving_faults.py`: a gateway that can be killed, a played engine, clients, and the reckoning."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from serving_faults_gateway import KEY

from tianjing.cli import COMMANDS
from tianjing.engine import free_port

CLIENTS = 8
HEADERS = {"authorization": f"Bearer {KEY}"}
CHUNK = json.dumps({"choices": [{"index": 0, "delta": {"content": "您好。"}, "finish_reason": None}]})
LAST = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
WHOLE = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "好的。"}, "finish_reason": "stop"}], "usage": {}}
).encode()


@dataclass
class Engine:
    """Played: a stream of ten pieces in 20 ms, or a whole answer."""

    seen: Counter[str] = field(default_factory=Counter)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                if "content-length:" not in head:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    continue
                body = json.loads(await reader.readexactly(int(_header(head, "content-length"))))
                self.seen[_header(head, "x-request-id")] += 1
                if not body.get("stream"):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE))
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for payload in (*[CHUNK] * 10, LAST, "[DONE]"):
                    data = f"data: {payload}\n\n".encode()
                    if writer.is_closing():
                        return
                    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                    await asyncio.sleep(0.002)
                writer.write(b"0\r\n\r\n")
        writer.close()


@dataclass
class Told:
    """What the clients were told."""

    answered: dict[str, str] = field(default_factory=dict)
    """Request id to verdict, of answers that came whole."""
    cases: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Bench:
    """A gateway that can be killed, its played engine, its clients."""

    work: Path
    engine: Engine
    told: Told
    zygote: asyncio.subprocess.Process
    url: str
    pid: int = 0

    @property
    def state(self) -> Path:
        return self.work / "state"

    async def start(self) -> None:
        assert self.zygote.stdin and self.zygote.stdout
        self.zygote.stdin.write(b"start\n")
        line = (await asyncio.wait_for(self.zygote.stdout.readline(), 60)).decode().split()
        self.pid = int(line[0])

    async def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        while Path(f"/proc/{self.pid}").exists():
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        """Kill the gateway and what forks it."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                await self.kill()
        self.zygote.kill()
        await self.zygote.wait()

    async def clients(self, stop: asyncio.Event) -> None:
        """Ask until `stop`."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout) as session:

            async def client(number: int) -> None:
                while not stop.is_set():
                    await self.ask(session)

            await asyncio.gather(*map(client, range(CLIENTS)))

    async def ask(self, session: aiohttp.ClientSession) -> None:
        """One request, and what came of it."""
        complaint, stream = random.random() < 0.1, random.random() < 0.5
        words = "我要投诉你们" if complaint else "可以晚几天还款吗"
        body = {"model": "tianjing", "stream": stream, "messages": [{"role": "user", "content": words}]}
        try:
            async with session.post(f"{self.url}/chat/completions", json=body) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            self.told.cut += 1
            await asyncio.sleep(0.01)
            return
        self.told.statuses[answer.status] += 1
        if answer.status in (429, 503):
            if "retry-after" not in answer.headers:
                self.told.wrong.append(f"{answer.status} without Retry-After")
            await asyncio.sleep(0.02)
        elif answer.status != 200:
            self.told.wrong.append(f"status {answer.status}: {text[:200]}")
        elif (stream and not text.endswith("data: [DONE]\n\n")) or (stream and '"error"' in text):
            self.told.cut += 1
        else:
            self.told.answered[answer.headers["x-request-id"]] = answer.headers["x-tianjing-verdict"]
            last = [line for line in text.splitlines() if "case_id" in line]
            for line in last:
                self.told.cases.add(json.loads(line.removeprefix("data: "))["tianjing"]["case_id"])


@contextlib.asynccontextmanager
async def bench(**sections: Any) -> AsyncIterator[Bench]:
    """A gateway with these sections in its configuration, answering."""
    engine, port = Engine(), free_port()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tianjing-faults-")))
        (folder / "state").mkdir()
        server = await stack.enter_async_context(await asyncio.start_server(engine.serve, "127.0.0.1", 0))
        engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = {"engine": "external", "port": port, "upstreams": [{"url": engine.url}], "drain_s": 1}
        (folder / "serve.yaml").write_text(yaml.safe_dump({**settings, **sections}))
        program = str(Path(__file__).with_name("serving_faults_gateway.py"))
        command = [sys.executable, program, str(folder / "serve.yaml"), str(folder / "state")]
        with open(folder / "log", "wb") as log:
            zygote = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        one = Bench(folder, engine, Told(), zygote, f"http://127.0.0.1:{port}/v1")
        stack.push_async_callback(one.end)
        assert zygote.stdout and await zygote.stdout.readline() == b"loaded\n"
        await one.start()
        yield one


async def under_load(one: Bench, faults: Callable[[], Awaitable[None]]) -> None:
    """Let the clients ask while `faults` happen."""
    stop = asyncio.Event()
    asking = asyncio.ensure_future(one.clients(stop))
    try:
        await faults()
        await asyncio.sleep(0.5)
    finally:
        stop.set()
        await asking


async def answers_again(one: Bench) -> str:
    """How long until a request is answered."""
    began = time.monotonic()
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        while time.monotonic() < began + 30:
            before = len(one.told.answered)
            await one.ask(session)
            if len(one.told.answered) > before:
                return f"answered again within {time.monotonic() - began:.1f} s"
    one.told.wrong.append("not answered within 30 s afterwards")
    return one.told.wrong[-1]


async def accounted(one: Bench) -> list[str]:
    """Stop the gateway and hold its files against what was told; losses go to `wrong`."""
    await one.kill()
    await one.start()  # as after any crash: what it finds torn, it mends
    await asyncio.sleep(0.5)
    await one.kill()
    rows, wrong = [], one.told.wrong
    queue = one.state / "handoffs.sqlite"
    if queue.exists():
        with contextlib.closing(sqlite3.connect(queue)) as database:
            intact = database.execute("PRAGMA integrity_check").fetchone()[0]
            dump = "\n".join(database.iterdump())
        lost = [case for case in one.told.cases if case not in dump]
        wrong += [f"queue: {intact}"] if intact != "ok" else []
        wrong += [f"{len(lost)} cases were told and are not in the queue"] if lost else []
        rows.append(f"queue: {intact}; cases told {len(one.told.cases)}, missing {len(lost)}")
    rows += _audited(one) if "audit" in COMMANDS else ["audit: not there"]
    said = (one.work / "log").read_text(errors="replace").splitlines()[-5:] if wrong else []
    return [*rows, *(f"  log: {line}" for line in said), *(f"WRONG: {line}" for line in dict.fromkeys(wrong))]


def _audited(one: Bench) -> list[str]:
    folder = one.state / "audit"
    verify = ["audit", "verify", str(folder), "--key", str(one.state / "audit.key")]
    checked = subprocess.run([sys.executable, "-m", "tianjing", *verify], capture_output=True, text=True)
    shown = subprocess.run(
        [sys.executable, "-m", "tianjing", "audit", "show", str(folder), "--json"], capture_output=True, text=True
    )
    ids: dict[str, set[str]] = {"accepted": set(), "closed": set()}
    for line in shown.stdout.splitlines():
        row = json.loads(line)
        if row["kind"] in ids:
            ids[row["kind"]].add(row["body"]["request"])
    lost = {
        "answered, not accepted": set(one.told.answered) - ids["accepted"],
        "asked of the engine, not accepted": set(one.engine.seen) - ids["accepted"],
        "accepted, never closed": ids["accepted"] - ids["closed"],
    }
    one.told.wrong += [f"audit: {len(found)} {what}" for what, found in lost.items() if found]
    one.told.wrong += (
        [] if checked.returncode == 0 else [f"audit verify: {checked.stdout[-300:]}{checked.stderr[-300:]}"]
    )
    return [f"audit verify: status {checked.returncode}; accepted {len(ids['accepted'])}, closed {len(ids['closed'])}"]


def counted(one: Bench, what: str) -> list[str]:
    """The row of what the clients saw."""
    told = one.told
    return [f"{what}: answered {len(told.answered)}, cut {told.cut}, statuses {dict(sorted(told.statuses.items()))}"]


def _header(head: str, name: str) -> str:
    return head.partition(f"\r\n{name}: ")[2].partition("\r\n")[0]
