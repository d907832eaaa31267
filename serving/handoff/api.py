"""Routes of the people who take over."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from serving.edge.routing import Door
from serving.errors import ApiError
from serving.handoff.sqlite import CaseQueue
from serving.identity.principal import Principal

MAX_LISTED = 1000


def doors(queue: CaseQueue) -> tuple[Door, ...]:
    """GET /v1/handoffs."""

    async def listed(request: Request, caller: Principal) -> ASGIApp:
        limit = request.query_params.get("limit", "100")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:6]) <= MAX_LISTED:
            raise ApiError(400, f"'limit' must be a number from 1 to {MAX_LISTED}", param="limit")
        cases = await asyncio.to_thread(queue.cases, int(limit))
        return JSONResponse({"object": "list", "data": [case.row() for case in cases]})

    return (Door("GET", "/v1/handoffs", "answer_cases", listed),)
