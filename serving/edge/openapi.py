"""The OpenAPI 3.1 description of every route, from the same list that the router is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from serving.edge import schemas
from serving.edge.routing import Doc, Door
from serving.edge.wire import JSON

VERSION = "1"
# What the connection and the key answer with, whatever the route.
ANYWHERE = (400, 401, 403, 408, 414, 417, 429, 431, 500, 503, 505)
WITH_BODY = (413, 415)

_MEANING = {
    200: "The answer.",
    400: "The request is wrong; the message names the field.",
    401: "The key is missing, wrong, expired or revoked.",
    403: "The key's role may not do this.",
    404: "There is no such thing, or not for this key.",
    408: "The request did not come in time.",
    409: "The state does not allow it.",
    413: "The body is too long.",
    414: "Path and query are too long.",
    415: "The body is not plain JSON.",
    417: "An expectation that is not met.",
    429: "A quota of the key is used up, or too many wrong keys came from this address.",
    431: "The headers are too long or too many.",
    500: "The gateway failed.",
    502: "The engine failed.",
    503: "Not now: over capacity, or something that is needed is away.",
    504: "The engine did not answer in time.",
    505: "The protocol's version does not carry this.",
}


def describe(doors: Sequence[Door]) -> dict[str, Any]:
    """The description; `/health` is added, the one route that asks for no key."""
    models: dict[str, Any] = {"Error": schemas.ERROR}
    paths: dict[str, Any] = {"/health": {"get": _health()}}
    for door in doors:
        paths.setdefault(door.path, {})[door.method.lower()] = _operation(door, models)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tianjing endpoint", "version": VERSION},
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": models, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(door: Door, models: dict[str, Any]) -> dict[str, Any]:
    doc = door.doc
    varying = re.findall(r"{(\w+)(?::\w+)?}", door.path)
    errors = {*ANYWHERE, *doc.errors, *(WITH_BODY if doc.body else ()), *((404,) if varying else ())}
    answers = {
        str(status): {"description": _MEANING.get(status, "The answer."), "content": _content(media)}
        for status, media in doc.answers.items()
    }
    operation: dict[str, Any] = {
        "summary": doc.summary or f"{door.method} {door.path}",
        "responses": {**answers, **{str(status): _error(status) for status in sorted(errors)}},
        "x-permission": door.needs,
    }
    if parameters := [*map(_in_path, varying), *_in_query(doc)]:
        operation["parameters"] = parameters
    if doc.body is not None:
        schema = doc.body.model_json_schema(ref_template="#/components/schemas/{model}")
        models.update(schema.pop("$defs", {}))
        models[doc.body.__name__] = schema
        reference = {"$ref": f"#/components/schemas/{doc.body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": reference}}}
    return operation


def _health() -> dict[str, Any]:
    answer = {"description": "The gateway runs.", "content": _content({JSON: schemas.HEALTH})}
    errors = (400, 408, 414, 417, 431, 503, 505)
    responses = {"200": answer, **{str(status): _error(status) for status in errors}}
    return {"summary": "Whether the gateway runs; asks for no key.", "security": [], "responses": responses}


def _content(media: Any) -> dict[str, Any]:
    return {kind: {"schema": dict(schema)} for kind, schema in media.items()}


def _error(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _MEANING.get(status, "An error."),
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": seconds}}
    return answer


def _in_path(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._~:@-]*$", "maxLength": 128}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(doc: Doc) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": dict(schema)} for name, schema in doc.query.items()]
