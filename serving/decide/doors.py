"""POST /v1/decide: checked, counted, decided, accounted for."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.audit.base import Audit
from serving.decide.request import DecideBody, parse_decide
from serving.decide.service import Decided, Decider
from serving.edge.routing import Doc, Door
from serving.edge.wire import read_body
from serving.identity.principal import Principal
from serving.limits.base import Limiter
from serving.turn import request_id


def doors(decider: Decider, audit: Audit, limiter: Limiter) -> tuple[Door, ...]:
    """POST /v1/decide.

    Args:
        audit: what was decided is durable before it is answered (个人信息保护法 第二十四条: automated decisions).
        limiter: counts a decision as a request of no tokens.
    """

    async def decide(request: Request, caller: Principal) -> ASGIApp:
        body = parse_decide(await read_body(request, decider.settings.max_body_bytes))
        permit = await limiter.admit(caller, 0)
        try:
            await decider.refresh()
            name, decided = request_id(), await decider.decide(body)
            await audit.event("decided", _account(name, body, decided, caller, audit))
        finally:
            await permit.settle(0)
        content = orjson.dumps({"id": name, **decided.answer})
        return Response(
            content, media_type="application/json", headers={"x-request-id": name, "cache-control": "no-store"}
        )

    doc = Doc("Decides who speaks with a customer and what may be offered.", body=DecideBody)
    return (Door("POST", "/v1/decide", "decide", decide, doc),)


def _account(name: str, body: DecideBody, decided: Decided, caller: Principal, audit: Audit) -> dict[str, object]:
    """What the audit log keeps: digests and ids, no text and no amount."""
    return {
        "request": name,
        "tenant": caller.tenant,
        "key_id": caller.key_id,
        "customer": audit.digest(body.account.customer),
        "account": audit.digest(body.account.account),
        "decision": decided.decision,
        "reasons": [f"{reason.kind}:{reason.id}" for reason in decided.reasons],
        "clauses": list(decided.clauses),
        "practice": decided.practice,
        "sources": {name: source and source["sha256"] for name, source in decided.answer["sources"].items()},
    }
