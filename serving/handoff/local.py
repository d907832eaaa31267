"""The desk of one gateway: signals in the customer's words, cases in a store that all gateways share."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from serving.errors import ApiError
from serving.handoff import signals
from serving.handoff.case import Asked, clean, last_words, new_case, stamp
from serving.handoff.database import StoreUnavailable
from serving.handoff.desk import Counts, Takeover, Talk
from serving.handoff.ledger import Heard, Said
from serving.handoff.settings import HandoffSettings
from serving.handoff.signals import Signal
from serving.handoff.store import CaseStore

_log = logging.getLogger(__name__)
RETRY_AFTER_S = 5
# Sessions that this gateway knows to have failed; one that falls out only keeps its count a while longer.
_MOST_REMEMBERED = 10_000
_LONG_CHARS = 1000
# More than the guard lets pass. What it refuses for its length is heard too, but costs no more than this: both ends.
_MOST_CHARS = 10_000


class LocalDesk:
    """Hands off what `signals` finds, what the guard asks for, and sessions that keep failing.

    While a case of a session is open, the customer's messages go into it and the agents' words come out; the model
    answers again once it is closed.
    """

    def __init__(self, queue: CaseStore, settings: HandoffSettings | None = None):
        self.queue = queue
        self._settings = settings or HandoffSettings()
        learned = self._settings.learned
        self._margin = learned.margin if learned.enabled else None
        self._failing: dict[tuple[str, str], None] = {}
        self._counted: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    async def open(self) -> None:
        signals.prepare()
        try:
            await self.queue.open()
        except StoreUnavailable as error:
            # Hand-offs are refused until it is there; all else is answered.
            _log.error("the store of cases is not there yet: %s", error)

    async def close(self) -> None:
        await self.queue.close_store()

    def listen(self, talk: Talk) -> Talk:
        if len(talk.words) > _LONG_CHARS:
            return talk
        return replace(talk, signals=signals.detect(talk.words, talk.task, self._margin))

    async def before(self, talk: Talk) -> Takeover | None:
        if talk.task in signals.STAFF_TASKS:
            return None
        found = await self._detected(talk)
        if talk.session:
            try:
                case_id = await self.queue.with_person(talk.tenant, clean(talk.session))
                heard = await self.queue.hear(case_id, _said(talk, found)) if case_id else None
            except StoreUnavailable as error:
                raise self._unavailable(error) from None
            if heard is not None:
                return self._continued(heard, found)
        if not any(signal.kind == "repeated_failure" for signal in found) and await self._unhelpful(talk):
            found = (*found, Signal("repeated_failure", talk.words))
        if not found:
            return None
        return await self._open(talk, tuple(signal.kind for signal in found), "words", found)

    async def escalate(self, talk: Talk, reasons: tuple[str, ...]) -> Takeover:
        return await self._open(talk, reasons, "guard", await self._detected(talk))

    async def failed(self, talk: Talk, reason: str) -> Takeover | None:
        self._counted["failed"] += 1
        if talk.task in signals.STAFF_TASKS or not talk.session or await self._failures(talk) < self._settings.failures:
            return None
        found = (Signal("repeated_failure", reason),)
        takeover = await self._open(talk, ("repeated_failure",), "failures", found)
        await self._forget(talk)
        return takeover

    async def answered(self, talk: Talk) -> None:
        self._counted["answered"] += 1
        if talk.session and (talk.tenant, talk.session) in self._failing:
            await self._forget(talk)

    def counts(self) -> Counts:
        counted = self._counted
        return Counts(
            answered=counted["answered"],
            failed=counted["failed"],
            opened=counted["opened"],
            continued=counted["continued"],
            refused=counted["refused"],
            reasons=dict(self._reasons),
        )

    async def _open(self, talk: Talk, reasons: tuple[str, ...], asked: Asked, found: Sequence[Signal]) -> Takeover:
        case = new_case(talk, reasons, asked, self._settings)
        said = Said(talk.request, last_words(talk), reasons)
        try:
            while (stored := await self.queue.open_case(case)).request != talk.request:
                # The session has an open case already, unless it is closed in this moment.
                if heard := await self.queue.hear(stored.id, said):
                    return self._continued(heard, found)
        except StoreUnavailable as error:
            raise self._unavailable(error) from None
        self._counted["opened"] += 1
        self._reasons.update(reasons)
        return Takeover(stored.id, signals.reply(found, stored.id), reasons)

    def _continued(self, heard: Heard, found: Sequence[Signal]) -> Takeover:
        self._counted["continued"] += 1
        case, words = heard.case, list(heard.words)
        if any(signal.kind == "self_harm" for signal in found):
            words.insert(0, signals.SAFETY)
        if case.status == "closed":
            words.append(f"人工服务已结束（受理编号：{case.id}）。您刚才的问题请再发一次，智能助手会为您解答。")
        elif not words:
            words.append(f"您的留言已转给人工专员，请稍候。受理编号：{case.id}。")
        return Takeover(case.id, "\n".join(words), tuple(signal.kind for signal in found) or ("with_person",))

    async def _unhelpful(self, talk: Talk) -> bool:
        """Whether the customer says once more, and now too often, that the answers do not help."""
        if not signals.unhelpful((_ends(talk.words),)):
            return False
        said = max(1, signals.unhelpful(text for speaker, text in talk.texts if speaker == "user"))
        if talk.session and said < self._settings.failures:
            said = max(said, await self._failures(talk))
        return said >= self._settings.failures

    async def _failures(self, talk: Talk) -> int:
        """Failures of the session with this one; 0 when the store cannot say, for nobody was promised anything."""
        assert talk.session is not None
        since = stamp(datetime.now(UTC) - timedelta(seconds=self._settings.failures_window_s))
        while len(self._failing) >= _MOST_REMEMBERED:
            del self._failing[next(iter(self._failing))]
        self._failing[talk.tenant, talk.session] = None
        try:
            return await self.queue.failed(talk.tenant, clean(talk.session), talk.request, since)
        except StoreUnavailable as error:
            _log.error("a failure could not be counted: %s", error)
            return 0

    async def _forget(self, talk: Talk) -> None:
        assert talk.session is not None
        try:
            await self.queue.forget_failures(talk.tenant, clean(talk.session))
            self._failing.pop((talk.tenant, talk.session), None)
        except StoreUnavailable as error:
            _log.error("failures could not be forgotten: %s", error)

    async def _detected(self, talk: Talk) -> tuple[Signal, ...]:
        """The signals of the last words: 4 µs a character, so long ones are read beside the event loop."""
        if (found := self.listen(talk).signals if talk.signals is None else talk.signals) is not None:
            return found
        return await asyncio.to_thread(signals.detect, _ends(talk.words), talk.task, self._margin)

    def _unavailable(self, error: StoreUnavailable) -> ApiError:
        """Nobody may be told that a person will call when no person will know."""
        self._counted["refused"] += 1
        _log.error("a hand-off could not be stored: %s", error)
        message = "the case could not be recorded; try again"
        return ApiError(503, message, code="handoff_failed", retry_after_s=RETRY_AFTER_S)


def _ends(words: str) -> str:
    end = _MOST_CHARS // 2
    return words if len(words) <= _MOST_CHARS else f"{words[:end]}\n{words[-end:]}"


def _said(talk: Talk, found: Sequence[Signal]) -> Said:
    return Said(talk.request, last_words(talk), tuple(signal.kind for signal in found))
