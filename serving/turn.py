"""The life of one request: what is known of it, and that it is settled, accounted for and observed exactly once."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from serving.adapters.base import Outcome, Target
from serving.audit.base import Accepted, Closed
from serving.errors import ApiError
from serving.guard.base import Admission
from serving.handoff.desk import Takeover, Talk
from serving.identity.principal import Principal
from serving.labels.aigc import in_report, metadata
from serving.labels.outlet import labelled
from serving.limits.base import Permit
from serving.observe.base import Watched
from serving.protocol.call import ChoiceText
from serving.protocol.forms import Form, counted, form_of
from serving.protocol.pieces import CheckedCall

if TYPE_CHECKING:
    from serving.gateway import Gateway

CLIENT_CLOSED_REQUEST = 499


class Turn:
    """One request on its way through `gateway`."""

    def __init__(self, gateway: Gateway, call: CheckedCall, caller: Principal, request: str, traceparent: str):
        self.call = call
        self.caller = caller
        self.request = request
        self.permit: Permit | None = None
        self.target = Target("")
        self.guard = labelled(gateway.guards(call, caller), call, gateway.config.labels)
        self.form: Form = form_of(call.path, {"id": "", "created": int(time.time()), "model": call.model})
        self._gateway = gateway
        self._seen = Watched(
            request,
            caller.tenant,
            call.path,
            time.perf_counter(),
            call.model,
            stream=call.stream,
            traceparent=traceparent,
        )
        self._answer: tuple[str, ...] = ()
        self._finish: tuple[str, ...] = ()
        self._accepted = False
        self._over = False
        self._case = ""
        self._untold_tokens = 0
        self._texts: tuple[str, ...] = ()
        self._talk: Talk | None = None
        self.form.identity["id"] = f"{self.form.prefix}-{request}"
        self.label = metadata(gateway.config.labels, self.form.identity["id"])
        gateway.observer.began(self._seen)

    def choose(self) -> None:
        """Pick the weights; a session, or else a customer, stays with one arm of a canary."""
        more = self.call.extension
        sticky = more.session or more.customer or self.request
        self.target = self._gateway.router.choose(self.call.model, self.caller, f"{self.caller.tenant}/{sticky}")
        self._seen.target = self.target

    async def accept(self, admission: Admission) -> None:
        """Account for the request; durable on return. Raw text goes to the vault alone.

        While the disk writes, the desk listens: also to what the guard has blocked, for it may ask for a person.
        """
        self._texts = admission.texts
        call, audit, report = self.call, self._gateway.audit, self.guard.report()
        raw = [piece.text for piece in call.pieces]
        more = call.extension
        await audit.accepted(
            Accepted(
                request=self.request,
                tenant=self.caller.tenant,
                key_id=self.caller.key_id,
                path=call.path,
                model=call.model,
                target=self.target.model,
                release=self.target.release,
                arm=self.target.arm,
                prompt=audit.digest(*raw),
                prompt_chars=sum(map(len, raw)),
                customer=audit.digest(more.customer) if more.customer else "",
                session=audit.digest(more.session) if more.session else "",
                verdict=admission.verdict,
                reasons=admission.reasons,
                entities=report["entities"]["input"],
                policy=self.guard.policy,
                stream=call.stream,
            ),
            self._listen,
        )
        self._accepted = True
        self._seen.accepted = time.perf_counter()
        if more.customer:
            self._gateway.vault.store(
                self.caller.tenant, more.customer, self.request, {f"prompt.{i}": text for i, text in enumerate(raw)}
            )

    def talk(self) -> Talk:
        """The conversation as the desk sees it, with the texts that the model may see."""
        if self._talk is None:
            more = self.call.extension
            said = [(piece.speaker, text) for piece, text in zip(self.call.pieces, self._texts, strict=False)]
            words = self.call.last_words
            self._talk = Talk(
                self.caller.tenant, self.request, words, tuple(said), more.session, more.customer, more.task
            )
        return self._talk

    def _listen(self) -> None:
        # What fails here fails again where the desk is asked, and is told there.
        with contextlib.suppress(Exception):
            self._talk = self._gateway.desk.listen(self.talk())

    def payload(self, texts: Sequence[str]) -> dict[str, Any]:
        """The engine's request; tenants share no prefix cache."""
        body = self.call.payload(self.target.model, texts)
        return {**body, "cache_salt": self.caller.cache_salt} if self.caller.cache_salt else body

    def headers(self) -> dict[str, str]:
        """Headers for the engine."""
        headers = {"x-request-id": self.request}
        if self._seen.traceparent:
            headers["traceparent"] = self._seen.traceparent
        return headers

    def asks(self) -> None:
        """The request goes to an engine, which may work for a caller who leaves before it has told its count.

        A stream tells with each piece how far it has come; a whole answer may be all but done.
        """
        self._untold_tokens = self.call.prompt_tokens if self.call.stream else self.call.most_tokens

    def began(self, upstream: str) -> None:
        """An engine answers."""
        self._seen.upstream = upstream

    def first(self) -> None:
        """Text is released; only the first time counts."""
        if self._seen.first is None:
            self._seen.first = time.perf_counter()

    def counted(self, usage: Any) -> None:
        """The engine's count of tokens; one that says nothing leaves what was reserved."""
        if not usage:
            return
        told = counted(usage)
        self._seen.prompt_tokens, self._seen.completion_tokens = told["prompt_tokens"], told["completion_tokens"]
        self._untold_tokens = 0

    def noted(self, texts: Sequence[str], finish: Sequence[str]) -> None:
        """What the caller gets, a person's words included."""
        self._answer, self._finish = tuple(filter(None, texts)), tuple(finish)

    async def judge(self, failure: ApiError | None = None) -> Takeover | None:
        """After the model: whether a person must take over, because the guard says so or it has failed too often.

        Args:
            failure: what kept the answer from being given, None when nothing did.

        Raises:
            ApiError: 503, a person must take over and the case cannot be stored.
        """
        desk, report = self._gateway.desk, self.guard.report()
        talk = self.talk()
        if report["verdict"] == "handoff":
            return await desk.escalate(talk, tuple(report["reasons"]))
        if failure is not None or report["verdict"] == "block":
            return await desk.failed(talk, "block" if failure is None else failure.message)
        await desk.answered(talk)
        return None

    def report(self, takeover: Takeover | None = None) -> dict[str, Any]:
        """The `tianjing` object of the answer."""
        report = self.guard.report()
        if takeover is not None:
            self._case = takeover.case
            reasons = [*takeover.reasons, *(reason for reason in report["reasons"] if reason not in takeover.reasons)]
            report = {**report, "verdict": "handoff", "reasons": reasons, "case_id": takeover.case}
        return in_report(report, None if takeover is not None else self.label)

    async def end(self, report: Mapping[str, Any], error: ApiError | None = None) -> None:
        """The caller is about to have all there is; `error` is why the model's answer is not whole."""
        if error is None:
            await self._close(200, report, report["verdict"])
        else:
            await self._close(200, report, *self._failure(error))

    async def fail(self, error: ApiError) -> None:
        """The request is answered with an error."""
        await self._close(error.status, self.guard.report(), *self._failure(error))

    async def leave(self) -> None:
        """The caller has left, or the gateway failed; what was released has been released."""
        await self._close(CLIENT_CLOSED_REQUEST, self.guard.report(), "left", "left")

    def _failure(self, error: ApiError) -> tuple[str, str]:
        """The outcome and the account's word for an error.

        What the engine did for an answer that it broke off is not the caller's to pay; it has read the prompt, though,
        unless it sent the request away.
        """
        began = error.of_engine and error.retry_after_s is None
        self._untold_tokens = min(self._untold_tokens, self.call.prompt_tokens) if began else 0
        return "engine_error" if error.of_engine else "refused", error.code or error.message

    async def _close(self, status: int, report: Mapping[str, Any], outcome: str, error: str = "") -> None:
        if self._over:
            return
        self._over = True
        seen = self._seen
        seen.ended, seen.status, seen.outcome = time.perf_counter(), status, outcome
        seen.reasons = tuple(report["reasons"])
        if self._accepted:
            self._account(report, error)
        if self.target.model:
            self._gateway.router.observe(self.target, _outcome(outcome, report))
        self._gateway.observer.ended(seen)
        if self.permit is not None:
            await self.permit.settle(seen.prompt_tokens + seen.completion_tokens + self._untold_tokens)

    def _account(self, report: Mapping[str, Any], error: str) -> None:
        seen, audit = self._seen, self._gateway.audit
        assert seen.accepted is not None and seen.ended is not None
        released = bool(self._answer)
        audit.closed(
            Closed(
                request=self.request,
                status=seen.status,
                verdict=report["verdict"],
                reasons=seen.reasons,
                entities=report["entities"]["output"],
                answer=audit.digest(*self._answer) if released else "",
                answer_chars=sum(map(len, self._answer)),
                finish=self._finish,
                case=self._case,
                upstream=seen.upstream,
                prompt_tokens=seen.prompt_tokens,
                completion_tokens=seen.completion_tokens,
                first_ms=None if seen.first is None else round((seen.first - seen.accepted) * 1000, 3),
                total_ms=round((seen.ended - seen.accepted) * 1000, 3),
                error=error,
            )
        )
        if released and (customer := self.call.extension.customer):
            texts = {f"answer.{i}": text for i, text in enumerate(self._answer)}
            self._gateway.vault.store(self.caller.tenant, customer, self.request, texts)


def _outcome(outcome: str, report: Mapping[str, Any]) -> Outcome:
    """What the registry learns: whether the guard or the engine failed comes before the verdict."""
    if outcome == "engine_error":
        return "engine_error"
    if outcome in ("left", "refused"):
        return "none"
    return "guard_error" if "guard_error" in report["reasons"] else report["verdict"]


def request_id() -> str:
    """24 hexadecimal digits."""
    return secrets.token_hex(12)


def texts_of(choices: Sequence[ChoiceText]) -> list[str]:
    """Every released text of whole choices: content, reasoning, refusal, arguments of tool calls."""
    texts = []
    for choice in choices:
        texts += [choice.content or "", choice.reasoning or "", *([choice.refusal] if choice.refusal else [])]
        texts += [call.arguments for call in choice.tool_calls]
    return texts
