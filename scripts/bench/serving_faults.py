"""What is lost and what gets in when something under the endpoint breaks.

    python scripts/bench/serving_faults.py gateway --kills 500
    python scripts/bench/serving_faults.py disk | clock | outages
    python scripts/bench/serving_faults.py engine [--model FOLDER]

gateway: eight clients ask (whole answers, streams, complaints) while the gateway is killed with SIGKILL at random
moments and started again. At the end every answered request must stand in the audit, every request that the engine saw
must have been accepted before, every case that a customer was told must be in the queue, and `tianjing audit verify`
must pass.
disk: files of the running gateway cannot grow (RLIMIT_FSIZE, which fails as a full disk does, without root), then can.
clock: the wall clock jumps an hour forward and two back under load.
outages: Redis and PostgreSQL are stopped and started again, where the configuration knows them.
engine: real vLLM with the tiny model (or FOLDER) is killed in the middle of streams.

The engine of the first four is played by this process and keeps the id of every request it sees. The parts that are
not there (`audit`, `limits`, `handoff.postgres`) are named in the table as "not there". Exit status 1 when anything was
lost or let in.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from serving_faults_bench import HEADERS, accounted, answers_again, bench, counted, under_load
from serving_faults_gateway import KEY

from serving.config import ServeConfig
from tianjing.engine import free_port
from tianjing.models import resolve


async def kills(count: int) -> list[str]:
    """The gateway is killed `count` times."""
    async with bench() as one:

        async def faults() -> None:
            for number in range(count):
                await asyncio.sleep(random.uniform(0.02, 0.4))
                await one.kill()
                await one.start()
                if (number + 1) % 50 == 0:
                    print(f"  {number + 1} kills, {len(one.told.answered)} answered", flush=True)

        await under_load(one, faults)
        return counted(one, f"{count} kills") + await accounted(one)


async def disk() -> list[str]:
    """Files cannot grow for three seconds."""
    async with bench() as one:
        largest = max((path.stat().st_size for path in one.state.rglob("*") if path.is_file()), default=0)
        during: Counter[int] = Counter()

        async def faults() -> None:
            await asyncio.sleep(1)
            before = one.told.statuses.copy()
            soft, hard = resource.prlimit(one.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (min(largest, 4096), hard))
            await asyncio.sleep(3)
            during.update(one.told.statuses - before)
            resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (soft, hard))
            await asyncio.sleep(3)

        await under_load(one, faults)
        after = await answers_again(one)
        rows = [f"while the disk was full: {dict(during)}", f"afterwards: {after}"]
        return counted(one, "disk full") + rows + await accounted(one)


async def clock() -> list[str]:
    """An hour forward, two back, and home, under load."""
    async with bench() as one:

        async def faults() -> None:
            for jump in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2, signal.SIGUSR1):
                await asyncio.sleep(1)
                os.kill(one.pid, jump)

        await under_load(one, faults)
        after = await answers_again(one)
        return [*counted(one, "clock jumps"), f"afterwards: {after}", *await accounted(one)]


# PostgreSQL refuses to run as root.
USER = "nobody" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Service:
    """A server that the gateway leans on; `section` of the configuration points at `address`."""

    name: str
    section: str
    key: str
    address: str
    command: tuple[str, ...]
    prepare: tuple[str, ...] = ()
    end: signal.Signals = signal.SIGKILL


def services(folder: Path) -> list[Service]:
    redis, postgres = folder / "redis.sock", folder / "postgres"
    return [
        Service(
            "Redis",
            "limits",
            "redis",
            f"unix://{redis}",
            ("redis-server", "--port", "0", "--unixsocket", str(redis), "--save", "", "--dir", str(folder)),
        ),
        Service(
            "PostgreSQL",
            "handoff",
            "postgres",
            f"host={folder} dbname=postgres user=tianjing",
            ("postgres", "-D", str(postgres), "-k", str(folder), "-h", ""),
            ("initdb", "-D", str(postgres), "-U", "tianjing", "--auth=trust"),
            signal.SIGQUIT,  # at once, with all its processes: what SIGKILL leaves of them would keep it from starting
        ),
    ]


async def outages() -> list[str]:
    """Each service is killed for three seconds and started again."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="tjf-") as name:
        if USER is not None:
            shutil.chown(name, USER)
        for service in services(Path(name)):
            field_info = ServeConfig.model_fields.get(service.section)
            known = field_info is not None and service.key in getattr(field_info.annotation, "model_fields", {})
            if not known or shutil.which(service.command[0]) is None:
                rows.append(f"{service.name}: not there")
                continue
            if service.prepare:
                subprocess.run(service.prepare, check=True, capture_output=True, user=USER, cwd=name)
            rows += await outage(service)
    return rows


async def outage(service: Service) -> list[str]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(service.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=USER)

    process = start()
    await asyncio.sleep(2)
    try:
        async with bench(**{service.section: {service.key: service.address}}) as one:
            during: Counter[int] = Counter()
            asked = 0

            async def faults() -> None:
                nonlocal process, asked
                await asyncio.sleep(1)
                process.send_signal(service.end)
                process.wait()
                await asyncio.sleep(1)  # those admitted before have ended
                before, asked = one.told.statuses.copy(), -one.engine.seen.total()
                await asyncio.sleep(3)
                during.update(one.told.statuses - before)
                asked += one.engine.seen.total()
                process = start()
                await asyncio.sleep(3)

            await under_load(one, faults)
            after = await answers_again(one)
            if service.section == "limits" and asked:
                one.told.wrong.append(f"{asked} requests were let in uncounted")
            rows = [
                f"while {service.name} was gone: {dict(during)}, engine asked {asked} times",
                f"afterwards: {after}",
            ]
            return counted(one, service.name) + rows + await accounted(one)
    finally:
        process.kill()
        process.wait()


async def engine(model: Path | None) -> list[str]:
    """Real vLLM is killed twice in the middle of four streams."""
    rows: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tjf-") as name:
        folder = Path(name)
        settings = {"max_model_len": 512, "kv_cache_gib": 0.1, "port": free_port(), "state": str(folder)}
        (folder / "serve.yaml").write_text(yaml.safe_dump({**settings, "model": str(model or resolve("tiny").path)}))
        command = [sys.executable, "-m", "tianjing", "serve", str(folder / "serve.yaml"), "--allow-unreleased"]
        env = {**os.environ, "TIANJING_API_KEY": KEY}
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{settings['port']}/v1/chat/completions"
        try:
            async with aiohttp.ClientSession(headers=HEADERS) as session:
                rows.append(f"first answer {await first_answer(session, url):.0f} s after the start")
                for _ in range(2):
                    begun = [asyncio.Event() for _ in range(4)]
                    streams = [asyncio.ensure_future(stream(session, url, event)) for event in begun]
                    await asyncio.gather(*(event.wait() for event in begun))
                    killed = time.monotonic()
                    _kill_below(process.pid)
                    ends = await asyncio.gather(*streams)
                    told = time.monotonic() - killed
                    handed, kind = await ask(session, url, "我要投诉你们")
                    gone, _ = await ask(session, url, "你好")
                    back = await first_answer(session, url)
                    rows.append(
                        f"killed: streams ended {dict(Counter(ends))} in {told:.1f} s; meanwhile a complaint {handed} "
                        f"{kind}, a question {gone}; answered again after {back:.0f} s"
                    )
                    # A random model may have come to its end before it was killed.
                    right = "error event" in ends and set(ends) <= {"error event", "whole"}
                    expected = right and (handed, kind, gone) == (200, "handoff", 503)
                    rows += [] if expected else ["WRONG: see the row above"]
            process.send_signal(signal.SIGTERM)
            rows.append(f"SIGTERM: status {process.wait(60)}")
        finally:
            process.kill()
            process.wait()
    return rows


async def ask(session: aiohttp.ClientSession, url: str, words: str) -> tuple[int, str]:
    """Status and verdict."""
    body = {"model": "tianjing", "max_tokens": 4, "messages": [{"role": "user", "content": words}]}
    async with session.post(url, json=body) as answer:
        await answer.read()
        return answer.status, answer.headers.get("x-tianjing-verdict", "")


async def first_answer(session: aiohttp.ClientSession, url: str) -> float:
    """Seconds until a question is answered."""
    began = time.monotonic()
    while time.monotonic() < began + 300:
        with contextlib.suppress(aiohttp.ClientError):
            if (await ask(session, url, "你好"))[0] == 200:
                return time.monotonic() - began
        await asyncio.sleep(0.25)
    raise TimeoutError("no answer in 300 s")


async def stream(session: aiohttp.ClientSession, url: str, begun: asyncio.Event) -> str:
    """How a long stream ended; `begun` is set when it has begun to answer."""
    body = {"model": "tianjing", "max_tokens": 400, "stream": True, "messages": [{"role": "user", "content": "你好"}]}
    async with session.post(url, json=body) as answer:
        begun.set()
        try:
            events = (await answer.text()).split("\n\n")
        except aiohttp.ClientError:
            return "cut"
    if answer.status != 200:
        return str(answer.status)
    if events[-2:] != ["data: [DONE]", ""]:
        return "no [DONE]"
    return "error event" if '"engine_failed"' in events[-3] else "whole"


def _kill_below(pid: int) -> None:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            _kill_below(child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", choices=["gateway", "disk", "clock", "outages", "engine"])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--model", type=Path, help="a model folder instead of the tiny model")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    work = {
        "gateway": lambda: kills(options.kills),
        "disk": disk,
        "clock": clock,
        "outages": outages,
        "engine": lambda: engine(options.model),
    }[options.fault]
    began = time.monotonic()
    rows = asyncio.run(work())
    print("\n".join(rows))
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(any(row.startswith("WRONG") for row in rows))


if __name__ == "__main__":
    main()
