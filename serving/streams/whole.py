"""A whole answer, guarded: the same lanes as a stream's, with one push."""

from __future__ import annotations

from typing import Any

from serving.errors import ApiError
from serving.guard.base import Guard
from serving.protocol.call import Call, ChoiceText
from serving.streams.choices import GuardedChoice, Unreadable, finish_reason


def guarded_choices(guard: Guard, call: Call, answer: dict[str, Any], request: str = "") -> list[ChoiceText]:
    """The choices as they may be given out.

    Args:
        request: id of the answer, which the ids of tool calls come from.

    Raises:
        GuardFailure: nothing may be given out.
        ApiError: 502, the engine's answer cannot be read.
    """
    try:
        return [_guarded(guard, call, item, request) for item in answer["choices"] if 0 <= item["index"] < call.choices]
    except (Unreadable, KeyError, TypeError, AttributeError):
        raise ApiError(502, "the engine's answer cannot be read", code="engine_failed") from None


def _guarded(guard: Guard, call: Call, item: dict[str, Any], request: str) -> ChoiceText:
    choice = GuardedChoice(guard, item["index"], call.tools, request)
    reason = finish_reason(item.get("finish_reason")) or "stop"
    for _ in choice.take({"content": item["text"]} if "text" in item else item["message"]):
        pass  # what is released stays on its lane
    if choice.ended is None:
        for _ in choice.finish():
            pass
    if choice.ended is None:
        return choice.whole(reason)
    for _ in choice.cut_off():
        pass
    if not choice.spoke():
        choice.lane("content").released.append(guard.refusal())
    return choice.whole("content_filter")
