"""Routes of the people who take over, and of the application that shows their words to the customer."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from serving.edge.routing import Door
from serving.edge.wire import unless_gone
from serving.errors import ApiError
from serving.handoff.bodies import MOST_NUMBER, ActBody, CloseBody, MessageBody, number, read
from serving.handoff.case import STATUSES, Case, Event
from serving.handoff.database import StoreUnavailable
from serving.handoff.ledger import Act, Refused
from serving.handoff.settings import HandoffSettings
from serving.handoff.store import CaseStore
from serving.handoff.words import AgentWords, Check
from serving.identity.principal import Principal

MAX_LISTED: Final = 1000
MAX_WAIT_S: Final = 25
_POLL_S: Final = 0.5
_CASE_ID: Final = re.compile(r"H[0-9]{8}-[0-9a-z]{13}")
_WORKED_ON: Final = STATUSES[:-1]
Result = TypeVar("Result")


class CaseDoors:
    """Handlers of the routes."""

    def __init__(self, queue: CaseStore, settings: HandoffSettings, check: Check):
        self._queue = queue
        self._check = check
        self._most_waiting = settings.most_waiting
        self._waiting = 0

    async def listed(self, request: Request, caller: Principal) -> ASGIApp:
        """GET /v1/handoffs: in the order of work; every case that is not closed unless `status` says otherwise."""
        status = request.query_params.get("status", "")
        if status and status not in STATUSES:
            raise ApiError(400, f"'status' must be one of {', '.join(STATUSES)}", param="status")
        limit = number(request, "limit", 100, 1, MAX_LISTED)
        after = request.query_params.get("cursor")
        if after is not None and not _CASE_ID.fullmatch(after):
            raise ApiError(400, "'cursor' must be the 'next' of the page before", param="cursor")
        try:
            cases = await _stored(
                self._queue.page(_scope(caller), [status] if status else _WORKED_ON, limit + 1, after)
            )
        except KeyError:
            raise ApiError(400, "'cursor' must be the 'next' of the page before", param="cursor") from None
        body = {"object": "list", "data": [case.row() for case in cases[:limit]]}
        if len(cases) > limit:
            body["next"] = cases[limit - 1].id
        return JSONResponse(body)

    async def shown(self, request: Request, caller: Principal) -> ASGIApp:
        """GET /v1/handoffs/{id}."""
        case, events = await self._news(request, caller)
        return JSONResponse(case.whole(events))

    async def events(self, request: Request, caller: Principal) -> ASGIApp:
        """GET /v1/handoffs/{id}/events?after=&wait=: what happened after event `after`."""
        case, events = await self._awaited(request, caller, lambda event: True)
        last = events[-1].number if events else number(request, "after", 0, 0, MOST_NUMBER)
        return JSONResponse({"status": case.status, "data": [event.row() for event in events], "next": last})

    async def words(self, request: Request, caller: Principal) -> ASGIApp:
        """GET /v1/handoffs/{id}/words?after=&wait=: what people have written to the customer.

        Words up to `after` count as given: the conversation does not repeat them.
        """
        after = number(request, "after", 0, 0, MOST_NUMBER)
        case, events = await self._awaited(request, caller, _is_word)
        if after > case.delivered:
            await _stored(self._queue.given(case.id, after))
        told = [{"number": event.number, "at": event.at, "text": event.text} for event in events if _is_word(event)]
        return JSONResponse({"status": case.status, "data": told, "next": told[-1]["number"] if told else after})

    async def claim(self, request: Request, caller: Principal) -> ASGIApp:
        body = await read(request, ActBody)
        return JSONResponse((await _acted(self._queue.claim(_act(request, caller, body)))).row())

    async def release(self, request: Request, caller: Principal) -> ASGIApp:
        body = await read(request, ActBody)
        force = caller.role == "operator"
        return JSONResponse((await _acted(self._queue.release(_act(request, caller, body), force))).row())

    async def message(self, request: Request, caller: Principal) -> ASGIApp:
        """POST /v1/handoffs/{id}/messages: checked as the model's answers are, warned of but sent."""
        body = await read(request, MessageBody)
        remarks = await asyncio.to_thread(self._check, body.text)
        if remarks.refused:
            kinds = "、".join(remarks.refused)
            raise ApiError(
                422,
                f"the message holds data that identifies a person ({kinds}); write the last digits only",
                param="text",
                code="personal_data",
            )
        key = body.key or secrets.token_hex(8)
        case = await _acted(self._queue.answer(_act(request, caller, body), body.text, key))
        return JSONResponse({**case.row(), "warnings": list(remarks.warnings)})

    async def close(self, request: Request, caller: Principal) -> ASGIApp:
        body = await read(request, CloseBody)
        act = _act(request, caller, body)
        return JSONResponse((await _acted(self._queue.close(act, body.resolution, body.outcome))).row())

    async def _news(self, request: Request, caller: Principal, after: int = 0) -> tuple[Case, tuple[Event, ...]]:
        return await _acted(self._queue.news(_case_id(request), _scope(caller), after))

    async def _awaited(
        self, request: Request, caller: Principal, wanted: Callable[[Event], bool]
    ) -> tuple[Case, tuple[Event, ...]]:
        """The news after `after`; without any that is wanted, waits `wait` seconds for it unless the case is closed."""
        after = number(request, "after", 0, 0, MOST_NUMBER)
        until = time.monotonic() + number(request, "wait", 0, 0, MAX_WAIT_S)
        if self._waiting >= self._most_waiting:
            until = 0.0
        self._waiting += 1
        try:
            return await unless_gone(request, self._poll(request, caller, after, until, wanted))
        finally:
            self._waiting -= 1

    async def _poll(
        self, request: Request, caller: Principal, after: int, until: float, wanted: Callable[[Event], bool]
    ) -> tuple[Case, tuple[Event, ...]]:
        while True:
            case, events = await self._news(request, caller, after)
            left = until - time.monotonic()
            if any(map(wanted, events)) or case.status == "closed" or left <= 0:
                return case, events
            # Another gateway may have written it, so the store is asked; by index, one case.
            await asyncio.sleep(min(_POLL_S, left))


def doors(queue: CaseStore, settings: HandoffSettings | None = None, check: Check | None = None) -> tuple[Door, ...]:
    """The routes of hand-offs.

    Args:
        check: looks at what agents write; the shipped rules without it.
    """
    handle = CaseDoors(queue, settings or HandoffSettings(), check or AgentWords())
    one = "/v1/handoffs/{id}"
    return (
        Door("GET", "/v1/handoffs", "answer_cases", handle.listed),
        Door("GET", one, "answer_cases", handle.shown),
        Door("GET", f"{one}/events", "answer_cases", handle.events),
        Door("POST", f"{one}/claim", "answer_cases", handle.claim),
        Door("POST", f"{one}/release", "answer_cases", handle.release),
        Door("POST", f"{one}/messages", "answer_cases", handle.message),
        Door("POST", f"{one}/close", "answer_cases", handle.close),
        Door("GET", f"{one}/words", "ask", handle.words),
    )


def _scope(caller: Principal) -> str | None:
    """The tenant whose cases the caller sees; None for an operator, who sees all."""
    return None if caller.role == "operator" else caller.tenant


def _case_id(request: Request) -> str:
    case_id: str = request.path_params["id"]
    if not _CASE_ID.fullmatch(case_id):
        raise _no_such_case()
    return case_id


def _no_such_case() -> ApiError:
    return ApiError(404, "no such case", param="id", code="case_not_found")


def _act(request: Request, caller: Principal, body: ActBody) -> Act:
    return Act(_case_id(request), body.agent or caller.key_id, _scope(caller), body.version)


def _is_word(event: Event) -> bool:
    return event.kind == "message" and event.sender == "agent"


async def _stored(work: Awaitable[Result]) -> Result:
    try:
        return await work
    except StoreUnavailable:
        raise ApiError(503, "the cases cannot be read or written now", code="handoff_failed", retry_after_s=5) from None


async def _acted(work: Awaitable[Result]) -> Result:
    """As `_stored`; a case that is not there, or belongs to somebody else, is 404, a state that forbids the act 409."""
    try:
        return await _stored(work)
    except KeyError:
        raise _no_such_case() from None
    except Refused as error:
        raise ApiError(409, str(error), code="case_conflict") from None
