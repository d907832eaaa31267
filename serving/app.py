"""The gateway as an ASGI application: its doors, and errors in the OpenAI form."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.config import ServeConfig
from serving.edge.routing import Door
from serving.edge.wire import EventStream, read_body, unless_gone
from serving.errors import ApiError
from serving.gateway import Gateway
from serving.identity.principal import Principal
from serving.protocol.call import Call
from serving.protocol.chat import parse_chat
from serving.protocol.completions import parse_completion
from serving.turn import CLIENT_CLOSED_REQUEST, request_id

VERDICT_HEADER = "x-tianjing-verdict"
RELEASE_HEADER = "x-tianjing-release"
REQUEST_HEADER = "x-request-id"

_log = logging.getLogger(__name__)


def create_app(gateway: Gateway, doors: Sequence[Door] = ()) -> Starlette:
    """The application.

    Args:
        doors: routes of other parts (cases, decisions, adapters, metrics), beside those of the OpenAI protocol.
    """
    config = gateway.config

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request, caller: Principal) -> ASGIApp:
        if await gateway.ready():
            return JSONResponse({"status": "ready"})
        raise ApiError(503, "no engine answers", code="not_ready", retry_after_s=5)

    async def models(request: Request, caller: Principal) -> ASGIApp:
        names = gateway.router.listed(caller)
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "tianjing"} for name in names]
        return JSONResponse({"object": "list", "data": rows})

    async def chat(request: Request, caller: Principal) -> ASGIApp:
        return await answered(request, caller, parse_chat)

    async def completions(request: Request, caller: Principal) -> ASGIApp:
        return await answered(request, caller, parse_completion)

    async def answered(request: Request, caller: Principal, parse: Callable[[bytes, ServeConfig], Call]) -> ASGIApp:
        call = parse(await read_body(request, config.max_body_bytes), config)
        name = request_id()
        trace = request.headers.get("traceparent", "")
        answer = await unless_gone(request, gateway.answer(call, caller, name, trace))
        headers = {
            VERDICT_HEADER: answer.verdict,
            RELEASE_HEADER: answer.release,
            REQUEST_HEADER: name,
            "cache-control": "no-store",
        }
        if answer.events is not None:
            return EventStream(answer.events, headers)
        return JSONResponse(answer.body, headers=headers)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await gateway.open()
        try:
            yield
        finally:
            await gateway.close()

    own = (
        Door("GET", "/ready", "watch", ready),
        Door("GET", "/v1/models", "ask", models),
        Door("POST", "/v1/chat/completions", "ask", chat),
        Door("POST", "/v1/completions", "ask", completions),
    )
    return Starlette(
        routes=[Route("/health", health), *(_route(gateway, door) for door in (*own, *doors))],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _client_gone,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


def _route(gateway: Gateway, door: Door) -> Route:
    async def guarded(request: Request) -> ASGIApp:
        caller = gateway.identity.identify(request.headers.get("authorization"))
        caller.require(door.needs)
        return await door.handle(request, caller)

    return Route(door.path, guarded, methods=[door.method])


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"unknown path '{request.scope['path'][:200]}'" if error.status_code == 404 else error.detail
    body = ApiError(error.status_code, message).body()
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected %s", type(error).__name__, exc_info=error)
    return JSONResponse(ApiError(500, "internal error").body(), status_code=500)
