"""JSON schemas of a request: bounded, without regular expressions, their texts as pieces for the guard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.protocol.fields import refused
from serving.protocol.json_body import children, depth
from serving.protocol.pieces import Pieces

MAX_DEPTH = 16
MAX_NODES = 2000
MAX_COUNT = 4096

# Texts that the model reads and that may be replaced; what stands below them is data.
_FREE = frozenset({"description", "title", "$comment", "default", "const", "enum", "examples"})
# Keywords whose keys are names given by the application.
_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas", "dependentRequired"})
# An engine compiles these into its grammar, at a cost that the caller chooses.
_REFUSED = frozenset({"pattern", "patternProperties", "contentSchema", "$dynamicRef", "$recursiveRef"})
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})


def schema_body(schema: Mapping[str, Any], where: str, pieces: Pieces) -> dict[str, Any]:
    """`schema` as the engine gets it, with slots for its texts.

    Args:
        where: field of the request, for the message.

    Raises:
        ApiError: 400, it is too large or too deep, or uses what is not served.
    """
    if depth(schema, MAX_DEPTH) > MAX_DEPTH:
        raise refused(where, f"nested deeper than {MAX_DEPTH}")
    if _nodes(schema) > MAX_NODES:
        raise refused(where, f"more than {MAX_NODES} entries")
    return _schema(schema, where, pieces)


def _nodes(schema: Any) -> int:
    count, here = 0, [schema]
    while here:
        count += len(here)
        here = [child for item in here for child in children(item)]
    return count


def _schema(schema: Mapping[str, Any], where: str, pieces: Pieces) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _REFUSED:
            raise refused(where, f"'{key}' is not served")
        if key == "$ref" and not (isinstance(value, str) and value.startswith("#")):
            raise refused(where, "'$ref' may only point into the schema itself")
        if key in _COUNTS and not (isinstance(value, int) and 0 <= value <= MAX_COUNT):
            raise refused(where, f"'{key}' is a whole number up to {MAX_COUNT}")
        pieces.name(key, where)
        if key in _FREE:
            body[key] = _data(value, where, pieces)
        elif key in _NAMED and isinstance(value, dict):
            for name in value:
                pieces.name(name, where)
            body[key] = {name: _below(item, where, pieces) for name, item in value.items()}
        else:
            body[key] = _below(value, where, pieces)
    return body


def _below(value: Any, where: str, pieces: Pieces) -> Any:
    if isinstance(value, dict):
        return _schema(value, where, pieces)
    if isinstance(value, list):
        return [_below(item, where, pieces) for item in value]
    if isinstance(value, str):
        pieces.name(value, where)  # a type, a reference, a required property
    return value


def _data(value: Any, where: str, pieces: Pieces) -> Any:
    if isinstance(value, dict):
        for key in value:
            pieces.name(key, where)
        return {key: _data(item, where, pieces) for key, item in value.items()}
    if isinstance(value, list):
        return [_data(item, where, pieces) for item in value]
    if isinstance(value, str):
        return pieces.slot("system", value)
    return pieces.number(value) if isinstance(value, (int, float)) else value
