"""A chat completion put together from the server-sent events of a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tianjing.engine.fields import cached_tokens_of, count_of, name_of, text_of


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
    model: str = ""
    done: bool = False
    """Whether the stream told its end, which stands for a finish reason that was left out."""

    def feed(self, line: bytes) -> bool:
        """Take one line; returns whether it brought text.

        Raises:
            ValueError, TypeError, AttributeError: the event is no JSON, or not of the OpenAI form.
        """
        if not line.startswith(b"data:"):
            return False
        if line[5:].strip() == b"[DONE]":
            self.done = True
            return False
        event = json.loads(line[5:])
        if not isinstance(event, dict):
            raise ValueError(f"not an event of a chat completion: {event}")
        if "error" in event:
            error = event["error"]
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)
            return False
        self.model = name_of(event.get("model")) or self.model
        if usage := event.get("usage"):
            self.prompt_tokens = count_of(usage, "prompt_tokens")
            self.completion_tokens = count_of(usage, "completion_tokens")
            self.cached_tokens = cached_tokens_of(usage)
        for choice in event.get("choices") or ():
            self.finish_reason = name_of(choice.get("finish_reason")) or self.finish_reason
            delta = choice.get("delta") or {}
            text = text_of(delta.get("content"))
            thought = text_of(delta.get("reasoning_content") or delta.get("reasoning"))
            if text:
                self.text.append(text)
            if thought:
                self.reasoning.append(thought)
            return bool(text or thought)
        return False
