"""The gateway as an ASGI application: routes, the key, and errors in the OpenAI form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.auth import ApiKey
from serving.errors import ApiError
from serving.gateway import Gateway
from serving.protocol import parse_chat
from serving.wire import EventStream, read_body, unless_gone

VERDICT_HEADER = "x-tianjing-verdict"
RELEASE_HEADER = "x-tianjing-release"
MAX_LISTED = 1000
CLIENT_CLOSED_REQUEST = 499

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
_log = logging.getLogger(__name__)


def create_app(gateway: Gateway, key: ApiKey, release: str = "none") -> Starlette:
    """The application; `release` (digest of the released weights, or "none") goes into a header of every answer."""
    config = gateway.config

    def guarded(endpoint: Endpoint) -> Endpoint:
        async def with_key(request: Request) -> ASGIApp:
            if not key.accepts(request.headers.get("authorization")):
                raise ApiError(401, "missing or wrong API key: send Authorization: Bearer KEY", code="invalid_api_key")
            return await endpoint(request)

        return with_key

    async def health(request: Request) -> ASGIApp:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> ASGIApp:
        if await gateway.upstream.ready():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "engine not ready"}, status_code=503)

    async def models(request: Request) -> ASGIApp:
        model = {"id": config.served_name, "object": "model", "created": 0, "owned_by": "tianjing"}
        return JSONResponse({"object": "list", "data": [model]}, headers={RELEASE_HEADER: release})

    async def handoffs(request: Request) -> ASGIApp:
        limit = request.query_params.get("limit", "100")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:6]) <= MAX_LISTED:
            raise ApiError(400, f"'limit' must be a number from 1 to {MAX_LISTED}", param="limit")
        cases = await asyncio.to_thread(gateway.queue.cases, int(limit))
        return JSONResponse({"object": "list", "data": [case.row() for case in cases]})

    async def chat(request: Request) -> ASGIApp:
        call = parse_chat(await read_body(request, config.max_body_bytes), config)
        answer = await unless_gone(request, gateway.chat(call))
        headers = {VERDICT_HEADER: answer.verdict, RELEASE_HEADER: release, "cache-control": "no-store"}
        if answer.events is not None:
            return EventStream(answer.events, headers)
        return JSONResponse(answer.body, headers=headers)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await gateway.upstream.open()
        try:
            yield
        finally:
            await gateway.upstream.close()

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            Route("/v1/models", guarded(models)),
            Route("/v1/chat/completions", guarded(chat), methods=["POST"]),
            Route("/v1/handoffs", guarded(handoffs)),
        ],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _client_gone,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


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
