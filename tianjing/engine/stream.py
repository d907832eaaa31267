"""A chat completion put together from the server-sent events of a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass
class StreamedAnswer:
    """Feed it the lines of the stream, then read what they came to."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    error: str = ""

    def feed(self, line: bytes) -> bool:
        """Take one line; returns whether it brought text.

        Raises:
            ValueError: the event is no JSON, or not of the OpenAI form.
        """
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            return False
        event = json.loads(line[5:])
        if not isinstance(event, dict):
            raise ValueError(f"not an event of a chat completion: {event}")
        if "error" in event:
            error = event["error"]
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)
            return False
        if usage := event.get("usage"):
            self.prompt_tokens = usage.get("prompt_tokens") or 0
            self.completion_tokens = usage.get("completion_tokens") or 0
            self.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        for choice in event.get("choices") or ():
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            delta = choice.get("delta") or {}
            text, thought = delta.get("content"), delta.get("reasoning_content") or delta.get("reasoning")
            if text:
                self.text.append(text)
            if thought:
                self.reasoning.append(thought)
            return bool(text or thought)
        return False
