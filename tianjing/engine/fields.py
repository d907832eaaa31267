"""Fields of an answer that servers fill in ways of their own: counts left out, a text in parts."""

from __future__ import annotations

import math
from typing import Any


def text_of(content: Any) -> str:
    """Text of a message: a string, the joined text of a list of parts, or "" for null.

    Raises:
        ValueError: there is anything but text in it.
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise ValueError(f"content is neither text nor a list of parts: {content!r}")
    return "".join(map(_text_of_part, content))


def _text_of_part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise ValueError(f"a part of the content is no text: {part!r}")
    return text


def name_of(value: Any) -> str:
    """A finish reason or a model's name; "" where the server leaves it out.

    Raises:
        ValueError: it is no string.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"not a name: {value!r}")
    return value


def count_of(usage: Any, name: str) -> int:
    """A count of tokens, 0 where the server tells none: no answer is lost over what only its price hangs on."""
    value = usage.get(name) if isinstance(usage, dict) else None
    if type(value) is int:
        return max(0, value)
    return round(value) if isinstance(value, float) and math.isfinite(value) and value > 0 else 0


def cached_tokens_of(usage: Any) -> int:
    """Prompt tokens from the server's prefix cache."""
    return count_of(usage.get("prompt_tokens_details"), "cached_tokens") if isinstance(usage, dict) else 0
