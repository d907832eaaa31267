"""Routes with the permission each needs. What is not listed here is 404, and nothing but health is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import ASGIApp

from serving.identity.principal import Permission, Principal

Handler = Callable[[Request, Principal], Awaitable[ASGIApp]]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Doc:
    """What GET /openapi.json says of a route, beside the errors that every route may answer with.

    Attributes:
        summary: what it does, in one sentence.
        body: model of the request's body, None for a route that reads none.
        answers: status → media type → JSON schema.
        query: query parameter → JSON schema; none is required.
        errors: further statuses, each with the OpenAI form of an error.
    """

    summary: str
    body: type[BaseModel] | None = None
    answers: Mapping[int, Mapping[str, Schema]] = field(default_factory=lambda: {200: {"application/json": {}}})
    query: Mapping[str, Schema] = field(default_factory=dict)
    errors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Door:
    """One route.

    Attributes:
        method: "GET", "POST" or "DELETE"; HEAD goes with GET.
        path: with `{name}` for a part that varies: letters, digits and "._~:@-", never percent-encoded.
        needs: what the caller's role must hold.
        handle: answers; an ApiError becomes the OpenAI form of an error.
        doc: what the OpenAPI description says of it.
    """

    method: str
    path: str
    needs: Permission
    handle: Handler
    doc: Doc = Doc("")


def is_plain(scope: Mapping[str, Any]) -> bool:
    """Whether a path is spelt in the one way that counts: nothing encoded, no empty, "." or ".." part.

    A proxy in front and the router here could otherwise take one path for two, and a rule for one of them would not
    hold for the other.
    """
    path: str = scope["path"]
    parts = path.split("/")[1:]
    return bytes(scope["raw_path"]) == path.encode() and not {".", ".."}.intersection(parts) and "" not in parts[:-1]
