"""A request body as a JSON object, read strictly: whatever two parsers could understand differently is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from serving.errors import ApiError

MAX_DEPTH = 32
MAX_NUMBER_CHARS = 32


def read_json(raw: bytes) -> dict[str, Any]:
    """The object that `raw` holds.

    Raises:
        ApiError: 400 for anything but one UTF-8 JSON object, for NaN and infinities, halves of surrogate pairs, keys
            that are written twice, numbers of more than 32 characters, and nesting deeper than 32.
    """
    try:
        # orjson sees what json lets pass (half a surrogate pair, NaN), json what orjson does (a key that comes twice).
        orjson.loads(raw)
        value = json.loads(raw, object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite)
    except _Refused as error:
        raise ApiError(400, f"the body is refused: {error}") from None
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object")
    if depth(value, MAX_DEPTH) > MAX_DEPTH:
        raise ApiError(400, f"the body is refused: nested deeper than {MAX_DEPTH}")
    return value


def depth(value: Any, limit: int) -> int:
    """How deep arrays and objects are nested in `value`, 0 for a scalar; counting stops beyond `limit`."""
    level, here = 0, [value]
    while here and level <= limit:
        here = [child for item in here for child in children(item)]
        level += bool(here)
    return level


def children(value: Any) -> list[Any]:
    """What an array or object holds."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


class _Refused(Exception):
    """JSON, but not of a kind that is taken."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the key '{twice[:64]}' is written twice")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise _Refused(f"a number has more than {MAX_NUMBER_CHARS} characters")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if len(text) > MAX_NUMBER_CHARS or not math.isfinite(number):
        raise _Refused("a number is too long or too large")
    return number
