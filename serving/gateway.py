"""One request from end to end: count, choose, guard, account for, hand off or ask the engine, guard the answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.adapters.base import Router
from serving.audit.base import Audit, Vault
from serving.config import ServeConfig
from serving.edge.wire import Stream, Writer
from serving.errors import ApiError
from serving.guard.base import Admission, GuardFailure, Guards
from serving.handoff.desk import Desk, Takeover
from serving.identity.principal import Identity, Principal
from serving.labels.aigc import Metadata
from serving.limits.base import Limiter
from serving.observe.base import Observer
from serving.protocol.call import ChoiceText
from serving.protocol.forms import NO_USAGE
from serving.protocol.pieces import CheckedCall
from serving.streams.guarded import GuardedStream
from serving.streams.whole import guarded_choices
from serving.turn import Turn, texts_of
from serving.upstreams.base import Reply, Upstreams

_log = logging.getLogger(__name__)


class Part(Protocol):
    """What has connections, files or tasks of its own."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Answer:
    """What goes back: `body` for a whole answer, or a `stream`; `verdict` as known when the answer begins.

    Attributes:
        label: the implicit label of generated content.
    """

    verdict: str
    release: str
    label: Metadata | None = None
    body: dict[str, Any] | None = None
    stream: Stream | None = None


@dataclass
class Gateway:
    """The parts that every request needs, and others that are opened and closed with them.

    Attributes:
        configured: what decides at this gateway, by digests; goes on record at the start.
    """

    config: ServeConfig
    identity: Identity
    limiter: Limiter
    router: Router
    guards: Guards
    desk: Desk
    upstreams: Upstreams
    audit: Audit
    vault: Vault
    observer: Observer
    others: tuple[Part, ...] = ()
    configured: Mapping[str, str] = field(default_factory=dict)

    async def open(self) -> None:
        """Open what has connections and files; all or nothing."""
        opened: list[Part] = []
        try:
            for part in self._parts():
                await part.open()
                opened.append(part)
            await self.audit.event("configured", self.configured)
        except BaseException:
            for part in reversed(opened):
                await part.close()
            raise

    async def close(self) -> None:
        for part in reversed(self._parts()):
            await part.close()

    def _parts(self) -> tuple[Part, ...]:
        return (self.audit, self.vault, self.limiter, self.desk, self.upstreams, *self.others)

    async def ready(self) -> bool:
        """Whether a request would be answered: engines are there, and callers can be counted."""
        return await self.limiter.ready() and await self.upstreams.ready()

    async def answer(self, call: CheckedCall, caller: Principal, request: str, traceparent: str = "") -> Answer:
        """Answer a checked request.

        Args:
            request: id of the request, unique.
            traceparent: W3C trace context of the caller, "" without one.

        Raises:
            ApiError: refused, over a limit, not to be accounted for, or the engine cannot answer.
        """
        turn = Turn(self, call, caller, request, traceparent)
        try:
            turn.permit = await self.limiter.admit(caller, call.most_tokens)
            turn.choose()
            admission = self._admit(turn)
            await turn.accept(admission)
            takeover = await self._takeover(turn, admission)
            if takeover is not None:
                return await self._ready_made(turn, takeover.text, takeover)
            if admission.verdict == "block":
                return await self._ready_made(turn, turn.guard.refusal())
            return await self._modelled(turn, admission)
        except ApiError as error:
            await turn.fail(error)
            raise
        except BaseException:
            await turn.leave()
            raise

    def _admit(self, turn: Turn) -> Admission:
        try:
            return turn.guard.admit(turn.call.pieces)
        except Exception as error:  # whatever broke, the model does not see the text
            _log.error("guard failed on a request: %s", type(error).__name__)
            turn.guard.block("guard_error")
            return Admission("block", (), ("guard_error",))

    async def _takeover(self, turn: Turn, admission: Admission) -> Takeover | None:
        """Whether a person answers instead of the model; what was blocked is a failure where none does."""
        talk = turn.talk()
        if admission.verdict == "handoff":
            return await self.desk.escalate(talk, admission.reasons)
        takeover = await self.desk.before(talk)
        if takeover is None and admission.verdict == "block":
            return await self.desk.failed(talk, "block")
        return takeover

    async def _modelled(self, turn: Turn, admission: Admission) -> Answer:
        """The model's answer, or a person's word where the engine has failed this session once too often."""
        turn.asks()
        try:
            return await (self._stream if turn.call.stream else self._whole)(turn, admission)
        except ApiError as error:
            # Who is told to come back is not without an answer yet, and most clients come back by themselves.
            if not error.of_engine or error.retry_after_s is not None:
                raise
            takeover = None
            with contextlib.suppress(ApiError):  # no person was promised yet, so the engine's error is what is told
                takeover = await turn.judge(error)
            if takeover is None:
                raise
            return await self._ready_made(turn, takeover.text, takeover, error)

    async def _whole(self, turn: Turn, admission: Admission) -> Answer:
        target = turn.target
        payload = turn.payload(admission.texts)
        async with self.upstreams.ask(target.group, turn.call.path, payload, turn.headers()) as reply:
            turn.began(reply.upstream)
            answer = await reply.read()
        turn.counted(answer.get("usage"))
        try:
            choices = guarded_choices(turn.guard, turn.call, answer, turn.request)
        except GuardFailure as error:
            _log.error("guard failed on an answer: %s", error)
            turn.guard.block("guard_error")
            choices = [ChoiceText(index, turn.guard.refusal(), "content_filter") for index in range(turn.call.choices)]
        takeover = await turn.judge()
        if takeover is not None:
            choices = [ChoiceText(0, takeover.text, "stop")]
        turn.noted(texts_of(choices), [choice.finish_reason or "" for choice in choices])
        report = turn.report(takeover)
        await turn.end(report)
        body = turn.form.whole(choices, answer.get("usage"), report)
        return Answer(report["verdict"], target.release, turn.label, body=body)

    async def _stream(self, turn: Turn, admission: Admission) -> Answer:
        call = turn.call
        filtered = GuardedStream(
            turn.guard,
            turn.form,
            call.choices,
            call.include_usage,
            tools=call.tools,
            prompt_tokens=call.prompt_tokens,
        )
        asking = contextlib.AsyncExitStack()
        # Awaited here, so that an engine that refuses is answered with an HTTP status instead of an event.
        reply = await asking.enter_async_context(
            self.upstreams.ask(turn.target.group, call.path, turn.payload(admission.texts), turn.headers())
        )
        turn.began(reply.upstream)
        stream = GatewayStream(turn, filtered, reply, asking)
        return Answer(turn.guard.report()["verdict"], turn.target.release, turn.label, stream=stream)

    async def _ready_made(
        self, turn: Turn, text: str, takeover: Takeover | None = None, error: ApiError | None = None
    ) -> Answer:
        """An answer that no model gave; `error` is why the one that was asked did not."""
        report = turn.report(takeover)
        finish = "content_filter" if report["verdict"] == "block" else "stop"
        turn.noted([text], [finish])
        await turn.end(report, error)
        if turn.call.stream:
            sent = turn.form.ready_made(text, finish, report, turn.call.include_usage)
            return Answer(report["verdict"], turn.target.release, stream=ReadyMade(sent))
        body = turn.form.whole([ChoiceText(0, text, finish)], NO_USAGE, report)
        return Answer(report["verdict"], turn.target.release, body=body)


class GatewayStream:
    """A streamed answer on its way from the engine to the caller."""

    def __init__(self, turn: Turn, filtered: GuardedStream, reply: Reply, asking: contextlib.AsyncExitStack):
        self._turn = turn
        self._filtered = filtered
        self._reply = reply
        self._asking = asking
        self._over = False

    async def run(self, out: Writer) -> None:
        """Guard and write what the engine says, then the end."""
        turn, filtered = self._turn, self._filtered
        filtered.prepare()
        await self._pass_on(out)
        await self._asking.aclose()  # an engine that is left early stops working
        turn.counted(filtered.usage)
        takeover = None
        try:
            takeover = await turn.judge(filtered.error)
        except ApiError as error:
            if filtered.error is None:
                filtered.break_off(error)
        report = turn.report(takeover)
        last = filtered.close(report, takeover.text if takeover else "")
        turn.noted(filtered.texts(), filtered.finish_reasons())
        # Closed before the last event leaves: who has the whole answer finds it accounted for.
        await turn.end(report, filtered.error)
        self._over = True
        out.write(last)

    async def close(self) -> None:
        """What was released has been released; the caller gets no more."""
        if not self._over:
            self._over = True
            await self._asking.aclose()
            self._turn.counted(self._filtered.usage)
            self._turn.noted(self._filtered.texts(), self._filtered.finish_reasons())
            await self._turn.leave()

    async def _pass_on(self, out: Writer) -> None:
        """Until the stream is over; why it broke off is in `filtered.error`."""
        turn, filtered = self._turn, self._filtered

        def take(piece: bytes) -> bool:
            sent = filtered.feed(piece)
            if not sent:
                return not filtered.done
            turn.first()
            return out.write(sent) and not filtered.done

        try:
            while not await self._reply.pump(take):
                if filtered.done:
                    return
                await out.drain()
            if not filtered.done:
                message = "the engine ended in the middle of the answer"
                filtered.break_off(ApiError(502, message, code="engine_failed"))
        except ApiError as error:
            filtered.break_off(error)


class ReadyMade:
    """A stream that is known from the start."""

    def __init__(self, events: bytes):
        self._events = events

    async def run(self, out: Writer) -> None:
        out.write(self._events)

    async def close(self) -> None:
        pass
