"""An account on disk, and what stands in its files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from serving.audit import record
from serving.audit.base import Accepted, Closed
from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE, AuditLog
from serving.audit.settings import AuditSettings
from serving.audit.verify import Report, Trust, read_anchor, verify_instance

INSTANCE = "gateway-0"


def accepted(number: int, **more: Any) -> Accepted:
    fields: dict[str, Any] = {"prompt": "0" * 64, "prompt_chars": 12, "verdict": "allow", **more}
    path = "/v1/chat/completions"
    return Accepted(f"r{number}", "acme", "key1", path, "tianjing", "tianjing", "none", "stable", **fields)


def closed(number: int, **more: Any) -> Closed:
    return Closed(f"r{number}", 200, "allow", **more)


def settings(**more: Any) -> AuditSettings:
    return AuditSettings.model_validate({"instance": INSTANCE, **more})


def with_log(state: Path, work: Callable[[AuditLog], Awaitable[Any]], **more: Any) -> Any:
    """Run `work` with an open log and close it."""

    async def run() -> Any:
        log = AuditLog(settings(**more), state)
        await log.open()
        try:
            return await work(log)
        finally:
            await log.close()

    return asyncio.run(run())


async def requests(log: AuditLog, first: int, count: int) -> None:
    for number in range(first, first + count):
        await log.accepted(accepted(number))
        log.closed(closed(number))


def folder(state: Path) -> Path:
    return state / "audit" / INSTANCE


def files(state: Path) -> list[Path]:
    return sorted(folder(state).glob("*.jsonl"))


def rows(state: Path) -> list[record.Row]:
    return [json.loads(line) for path in files(state) for line in path.read_bytes().splitlines()]


def bodies(state: Path, kind: str) -> list[dict[str, Any]]:
    return [row["body"] for row in rows(state) if row["kind"] == kind]


def events(state: Path, name: str) -> list[dict[str, Any]]:
    return [body for body in bodies(state, "event") if body["event"] == name]


def checked(state: Path, anchor: Path | None = None) -> Report:
    trust = Trust(load_ring(state / KEY_FILE).keys, anchored=read_anchor(anchor, None) if anchor else {})
    return verify_instance(folder(state), trust)


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the timeout is for a test that has failed."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
