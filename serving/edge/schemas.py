"""JSON schemas of answers, written by hand: what callers may rely on."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def record(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these fields; others may be there too."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def listing(row: dict[str, Any]) -> dict[str, Any]:
    """`{"object": "list", "data": [...]}`."""
    return record({"object": {"const": "list"}, "data": {"type": "array", "items": row}})


ERROR = record({"error": record({"message": _TEXT, "type": _TEXT}, param={}, code={})})
HEALTH = record({"status": {"const": "ok"}})
READY = record({"status": {"const": "ready"}}, notes={"type": "array", "items": _TEXT})
MODELS = listing(record({"id": _TEXT, "object": {"const": "model"}, "created": _COUNT, "owned_by": _TEXT}))
USAGE = record({"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT})
REPORT = record(
    {
        "verdict": {"enum": ["allow", "mask", "rewrite", "block", "handoff"]},
        "reasons": {"type": "array", "items": _TEXT},
    },
    case_id=_TEXT,
)
_CHOICE = record(
    {
        "index": _COUNT,
        "message": record({"role": {"const": "assistant"}}, content={"type": ["string", "null"]}),
        "finish_reason": {"type": ["string", "null"]},
    }
)
CHAT = record(
    {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": _COUNT,
        "model": _TEXT,
        "choices": {"type": "array", "items": _CHOICE, "minItems": 1},
        "usage": USAGE,
        "tianjing": REPORT,
    }
)
EVENTS = {"type": "string", "description": "chat.completion.chunk objects as server-sent events, then [DONE]"}
