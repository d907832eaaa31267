"""The desk of one gateway: signals in the customer's words, cases in a queue."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from datetime import UTC, datetime

from serving.errors import ApiError
from serving.handoff import signals
from serving.handoff.desk import Takeover, Talk
from serving.handoff.sqlite import Case, CaseQueue

_log = logging.getLogger(__name__)


class LocalDesk:
    """Hands off what `signals` finds."""

    def __init__(self, queue: CaseQueue):
        self.queue = queue

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def before(self, talk: Talk) -> Takeover | None:
        found = signals.detect(talk.words, talk.task) if talk.words else ()
        if not found:
            return None
        case = await self._store(talk, tuple(signal.kind for signal in found))
        return Takeover(case, signals.reply(found, case), tuple(signal.kind for signal in found))

    async def escalate(self, talk: Talk, reasons: tuple[str, ...]) -> Takeover:
        case = await self._store(talk, reasons)
        return Takeover(case, f"已为您转接人工专员，请稍候。受理编号：{case}。", reasons)

    async def failed(self, talk: Talk, reason: str) -> Takeover | None:
        return None

    async def answered(self, talk: Talk) -> None:
        pass

    async def _store(self, talk: Talk, reasons: tuple[str, ...]) -> str:
        now = datetime.now(UTC)
        text = next((text for speaker, text in reversed(talk.texts) if speaker == "user"), "")
        case = Case(f"H{now:%Y%m%d}-{secrets.token_hex(4)}", now.isoformat(timespec="milliseconds"), reasons, text)
        try:
            await asyncio.to_thread(self.queue.add, case)
        except (sqlite3.Error, OSError) as error:
            # Nobody may be told that a person will call when no person will know.
            _log.error("a hand-off could not be stored: %s", error)
            raise ApiError(503, "the case could not be recorded; try again", code="handoff_failed") from None
        return case.id
