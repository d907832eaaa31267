"""A whole answer, guarded: the same outlets as a stream's, with one push."""

from __future__ import annotations

from typing import Any

from serving.errors import ApiError
from serving.guard.base import REFUSAL, Guard
from serving.protocol.call import Call, ChoiceText


def guarded_choices(guard: Guard, call: Call, answer: dict[str, Any]) -> list[ChoiceText]:
    """The choices as they may be given out.

    Raises:
        GuardFailure: nothing may be given out.
        ApiError: 502, the engine's answer cannot be read.
    """
    try:
        return [_guarded(guard, item) for item in answer["choices"][: call.choices]]
    except (KeyError, TypeError, AttributeError):
        raise ApiError(502, "the engine's answer cannot be read", code="engine_failed") from None


def _guarded(guard: Guard, item: dict[str, Any]) -> ChoiceText:
    outlet = guard.outlet(item["index"])
    content = outlet.push(item["message"].get("content") or "") + outlet.finish()
    if outlet.ended:
        return ChoiceText(item["index"], content or REFUSAL, "content_filter")
    return ChoiceText(item["index"], content, item.get("finish_reason"))
