"""The gateway as an ASGI application: its doors, and errors in the OpenAI form."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.config import ServeConfig
from serving.edge import schemas
from serving.edge.openapi import describe
from serving.edge.routing import Doc, Door, is_plain
from serving.edge.wire import JSON, EventStream, Leaving, read_body
from serving.errors import ApiError
from serving.gateway import Gateway
from serving.identity.attempts import Attempts
from serving.identity.principal import Principal
from serving.identity.settings import IdentitySettings
from serving.labels import aigc as labels
from serving.protocol.chat import ChatBody, parse_chat
from serving.protocol.completions import CompletionBody, parse_completion
from serving.protocol.pieces import CheckedCall
from serving.turn import CLIENT_CLOSED_REQUEST, request_id

VERDICT_HEADER = "x-tianjing-verdict"
RELEASE_HEADER = "x-tianjing-release"
REQUEST_HEADER = "x-request-id"

Parse = Callable[[bytes, ServeConfig], CheckedCall]

_log = logging.getLogger(__name__)


def create_app(gateway: Gateway, doors: Sequence[Door] = (), attempts: Attempts | None = None) -> Starlette:
    """The application.

    Args:
        doors: routes of other parts (cases, decisions, adapters, metrics), beside those of the OpenAI protocol.
        attempts: counts wrong keys; None counts them under the default settings.
    """
    every: list[Door] = []
    every += [*_own_doors(gateway, every), *doors]
    entrance = _Entrance(gateway, attempts or Attempts(IdentitySettings()))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await gateway.open()
        try:
            yield
        finally:
            await gateway.close()

    paths = dict.fromkeys(door.path for door in every)
    app = Starlette(
        routes=[Route("/health", health), *(entrance.route(path, every) for path in paths)],
        middleware=[Middleware(PlainPaths)],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _http_error,
            ClientDisconnect: _client_gone,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class PlainPaths:
    """A path that is spelt in any but the one way is unknown; see `is_plain`."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_plain(scope):
            await _answer(ApiError(404, _unknown(scope)))(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Entrance:
    """Asks every caller for a key and its role for the permission, before the door is opened."""

    def __init__(self, gateway: Gateway, attempts: Attempts):
        self._gateway = gateway
        self._attempts = attempts

    def route(self, path: str, doors: Sequence[Door]) -> Route:
        """One path, with the methods it has; any other method is 405."""
        by_method = {door.method: door for door in doors if door.path == path}

        async def guarded(request: Request) -> ASGIApp:
            door = by_method["GET" if request.method == "HEAD" else request.method]
            address = request.client.host if request.client else ""
            given = request.headers.get("authorization")
            caller = self._attempts.identify(self._gateway.identity, given, address)
            caller.require(door.needs)
            return await door.handle(request, caller)

        return Route(path, guarded, methods=list(by_method))


def _own_doors(gateway: Gateway, every: Sequence[Door]) -> tuple[Door, ...]:
    """The routes of the OpenAI protocol; `every` is, by the time it is asked for, the list of all routes."""
    config = gateway.config

    async def ready(request: Request, caller: Principal) -> ASGIApp:
        if not await gateway.ready():
            raise ApiError(503, "no engine answers, or nothing can be counted", code="not_ready", retry_after_s=5)
        notes = [note for note in (gateway.identity.trouble,) if note]
        return JSONResponse({"status": "ready", **({"notes": notes} if notes else {})})

    async def openapi(request: Request, caller: Principal) -> ASGIApp:
        return JSONResponse(describe(every))

    async def models(request: Request, caller: Principal) -> ASGIApp:
        names = gateway.router.listed(caller)
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "tianjing"} for name in names]
        return JSONResponse({"object": "list", "data": rows})

    async def chat(request: Request, caller: Principal) -> ASGIApp:
        return await answered(request, caller, parse_chat)

    async def completions(request: Request, caller: Principal) -> ASGIApp:
        return await answered(request, caller, parse_completion)

    async def answered(
        request: Request, caller: Principal, parse: Callable[[bytes, ServeConfig], CheckedCall]
    ) -> ASGIApp:
        call = parse(await read_body(request, config.max_body_bytes), config)
        if call.stream:
            require_streams(request)
        name = request_id()
        trace = request.headers.get("traceparent", "")
        leaving = Leaving(request.receive)
        try:
            answer = await leaving.unless(gateway.answer(call, caller, name, trace))
        except BaseException:
            leaving.over()
            raise
        headers = {
            VERDICT_HEADER: answer.verdict,
            RELEASE_HEADER: answer.release,
            REQUEST_HEADER: name,
            "cache-control": "no-store",
            **labels.headers(config.labels, answer.label),
        }
        if answer.stream is not None:
            return EventStream(answer.stream, headers, leaving)
        leaving.over()
        return JSONResponse(answer.body, headers=headers)

    return (
        Door("GET", "/ready", "watch", ready, _READY),
        Door("GET", "/openapi.json", "watch", openapi, Doc("This description.")),
        Door("GET", "/v1/models", "ask", models, _MODELS),
        Door("POST", "/v1/chat/completions", "ask", chat, _CHAT),
        Door("POST", "/v1/completions", "ask", completions, _COMPLETIONS),
    )


def require_streams(request: Request) -> None:
    """Raises ApiError 505 when the client's protocol has no way to end a stream but by breaking off."""
    if request.scope["http_version"] == "1.0":
        raise ApiError(505, "a stream needs HTTP/1.1; in nginx: proxy_http_version 1.1", code="http_version")


_READY = Doc("Whether a request would be answered now.", answers={200: {JSON: schemas.READY}})
_MODELS = Doc("The models this key may ask for.", answers={200: {JSON: schemas.MODELS}})
_CHAT = Doc(
    "Answers a conversation, guarded.",
    body=ChatBody,
    answers={200: {JSON: schemas.CHAT, "text/event-stream": schemas.EVENTS}},
    errors=(404, 502, 504),
)
_COMPLETIONS = Doc(
    "Continues a text, guarded.",
    body=CompletionBody,
    answers={200: {JSON: schemas.COMPLETION, "text/event-stream": schemas.EVENTS}},
    errors=(404, 502, 504),
)


def _unknown(scope: Scope) -> str:
    return f"unknown path '{scope['path'][:200]}'"


def _answer(error: ApiError, more: Any = None) -> Response:
    return JSONResponse(error.body(), status_code=error.status, headers={**error.headers(), **(more or {})})


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _answer(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _unknown(request.scope) if error.status_code == 404 else error.detail
    return _answer(ApiError(error.status_code, message), error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected %s", type(error).__name__, exc_info=error)
    return _answer(ApiError(500, "internal error"))
