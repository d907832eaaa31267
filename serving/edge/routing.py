"""Routes with the permission each needs. What is not listed here is 404, and nothing but health is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp

from serving.identity.principal import Permission, Principal

Handler = Callable[[Request, Principal], Awaitable[ASGIApp]]


@dataclass(frozen=True)
class Door:
    """One route.

    Attributes:
        method: "GET", "POST" or "DELETE"; HEAD goes with GET.
        path: with `{name}` for a part that varies.
        needs: what the caller's role must hold.
        handle: answers; an ApiError becomes the OpenAI form of an error.
    """

    method: str
    path: str
    needs: Permission
    handle: Handler
