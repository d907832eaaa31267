"""Routes of the operator who moves adapters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from serving.adapters.names import MODEL_PATTERN, require_name
from serving.adapters.registry import Registry
from serving.edge.routing import Door
from serving.edge.wire import read_body
from serving.errors import ApiError
from serving.identity.principal import Principal
from tianjing.config import StrictModel

MAX_BODY_BYTES = 16_384
MAX_REASON_CHARS = 1000
_PRINTED = re.compile(r"[^\x00-\x1f\x7f]*")

Body = TypeVar("Body", bound=StrictModel)


class AddBody(StrictModel):
    """POST /v1/adapters."""

    name: str
    """The model's name, as callers give it."""

    version: str
    """What these weights are called from now on."""

    folder: str = Field(min_length=1, max_length=4096)
    """Absolute path, on the gateway's machine and below an allowed root, of an adapter or of merged weights."""

    release: str | None = Field(default=None, min_length=1, max_length=4096)
    """Absolute path of their signed release.json."""

    override_reason: str | None = Field(default=None, min_length=1, max_length=MAX_REASON_CHARS)
    """Why they are served without a release; goes into the audit log."""


class CanaryBody(StrictModel):
    """POST /v1/adapters/{name}/canary."""

    version: str
    share: float = Field(gt=0, lt=1)
    """Share of the customers who get it."""


class PromoteBody(StrictModel):
    """POST /v1/adapters/{name}/promote."""

    version: str | None = None
    """Default: the canary."""


class RollbackBody(StrictModel):
    """POST /v1/adapters/{name}/rollback."""

    reason: str = Field(default="", max_length=MAX_REASON_CHARS)
    """For the audit log."""


def doors(registry: Registry) -> tuple[Door, ...]:
    """GET and POST /v1/adapters, and POST /v1/adapters/{name}/canary, /promote and /rollback."""

    async def listed(request: Request, caller: Principal) -> ASGIApp:
        await registry.refresh()
        rows = [row for row in registry.listing() if _may(caller, row["name"])]
        return JSONResponse({"object": "list", "data": rows})

    async def add(request: Request, caller: Principal) -> ASGIApp:
        body = await _read(request, AddBody)
        model = _model(body.name, caller)
        for field in ("folder", "release", "override_reason"):
            _require_printed(getattr(body, field), field)
        release = Path(body.release) if body.release is not None else None
        await registry.add(model, body.version, Path(body.folder), release, body.override_reason, _who(caller))
        return _answer(registry, model, 201)

    async def canary(request: Request, caller: Principal) -> ASGIApp:
        body, model = await _read(request, CanaryBody), _model(request.path_params["name"], caller)
        await registry.canary(model, require_name(body.version, "version"), body.share, _who(caller))
        return _answer(registry, model)

    async def promote(request: Request, caller: Principal) -> ASGIApp:
        body, model = await _read(request, PromoteBody), _model(request.path_params["name"], caller)
        version = require_name(body.version, "version") if body.version is not None else None
        await registry.promote(model, version, _who(caller))
        return _answer(registry, model)

    async def rollback(request: Request, caller: Principal) -> ASGIApp:
        body, model = await _read(request, RollbackBody), _model(request.path_params["name"], caller)
        _require_printed(body.reason, "reason")
        await registry.rollback(model, body.reason, _who(caller))
        return _answer(registry, model)

    return (
        Door("GET", "/v1/adapters", "operate", listed),
        Door("POST", "/v1/adapters", "operate", add),
        Door("POST", "/v1/adapters/{name}/canary", "operate", canary),
        Door("POST", "/v1/adapters/{name}/promote", "operate", promote),
        Door("POST", "/v1/adapters/{name}/rollback", "operate", rollback),
    )


async def _read(request: Request, model: type[Body]) -> Body:
    """The checked body; none is {}.

    Raises:
        ApiError: 400 naming the field, 413.
    """
    raw = await read_body(request, MAX_BODY_BYTES)
    try:
        return model.model_validate(orjson.loads(raw) if raw.strip() else {})
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise ApiError(400, f"'{field}': {first['msg']}", param=field) from None


def _model(name: str, caller: Principal) -> str:
    """A model's name that this caller may move; 404 as if it did not exist otherwise."""
    require_name(name, "name", MODEL_PATTERN)
    if not _may(caller, name):
        raise ApiError(404, f"no model '{name}'", param="name")
    return name


def _may(caller: Principal, name: str) -> bool:
    return caller.models is None or name in caller.models


def _require_printed(value: str | None, field: str) -> None:
    if value is not None and not _PRINTED.fullmatch(value):
        raise ApiError(400, f"'{field}' holds control characters", param=field)


def _who(caller: Principal) -> str:
    return f"{caller.tenant}/{caller.key_id}"


def _answer(registry: Registry, model: str, status: int = 200) -> JSONResponse:
    row = next(row for row in registry.listing() if row["name"] == model)
    return JSONResponse(row, status_code=status)
