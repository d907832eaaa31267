"""Records and logs for the benchmarks of the account."""

from __future__ import annotations

import asyncio
from pathlib import Path

from serving.audit.base import Accepted, Closed
from serving.audit.keys import load_ring
from serving.audit.log import KEY_FILE, AuditLog
from serving.audit.settings import AnchorSettings, AuditSettings
from serving.audit.verify import Report, Trust, read_anchor, verify_instance

INSTANCE = "bench"


def accepted(number: int) -> Accepted:
    """What a request of an ordinary size puts on record."""
    return Accepted(
        f"{number:024x}",
        "acme",
        "9f2c41aa",
        "/v1/chat/completions",
        "tianjing",
        "tianjing",
        "5b1e" * 16,
        "stable",
        prompt="c0de" * 16,
        prompt_chars=212,
        customer="1a2b" * 16,
        session="3c4d" * 16,
        verdict="mask",
        entities={"phone": 1, "name": 2},
        policy="77aa" * 16,
        stream=True,
    )


def closed(number: int) -> Closed:
    return Closed(
        f"{number:024x}",
        200,
        "allow",
        answer="beef" * 16,
        answer_chars=96,
        finish=("stop",),
        upstream="engine-0",
        prompt_tokens=140,
        completion_tokens=63,
        first_ms=81.2,
        total_ms=740.9,
    )


def settings(**more: object) -> AuditSettings:
    return AuditSettings.model_validate({"instance": INSTANCE, **more})


def folder_of(state: Path) -> Path:
    return state / "audit" / INSTANCE


def trust(state: Path, anchor: Path | None = None) -> Trust:
    return Trust(load_ring(state / KEY_FILE).keys, anchored=read_anchor(anchor, None) if anchor else {})


def verified(state: Path, anchor: Path | None = None) -> Report:
    return verify_instance(folder_of(state), trust(state, anchor))


async def written(state: Path, requests: int, anchor: Path | None = None) -> None:
    """A log of some 2 x `requests` records."""
    log = AuditLog(settings(checkpoint_records=500, anchor=AnchorSettings(file=anchor) if anchor else None), state)
    await log.open()

    async def one(number: int) -> None:
        await log.accepted(accepted(number))
        log.closed(closed(number))

    await asyncio.gather(*map(one, range(requests)))
    await log.close()
