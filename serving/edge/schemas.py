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
_TEXT_CHOICE = record({"index": _COUNT, "text": _TEXT, "finish_reason": {"type": ["string", "null"]}})


def _answered(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return record(
        {
            "id": _TEXT,
            "object": {"const": kind},
            "created": _COUNT,
            "model": _TEXT,
            "choices": {"type": "array", "items": choice, "minItems": 1},
            "usage": USAGE,
            "tianjing": REPORT,
        }
    )


CHAT = _answered("chat.completion", _CHOICE)
COMPLETION = _answered("text_completion", _TEXT_CHOICE)
EVENTS = {"type": "string", "description": "chunks of the answer as server-sent events, then [DONE]"}
