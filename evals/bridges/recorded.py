"""A task whose answers another harness has read and scored: its verdict travels in the output."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from tianjing.tasks.base import Fields, Reading, Reference

KIND = "recorded"


def recorded_output(text: str, answer: str | None, score: float) -> str:
    """The output of an attempt: what the model said, what was read out of it, and what that scored, in [0, 1]."""
    return json.dumps({"text": text, "answer": answer, "score": score}, ensure_ascii=False)


class RecordedTask:
    """fields: prompt; reference: answer. Nothing is read anew: the rules that read it are the other harness's.

    Its definition is `{"kind": "recorded", "id", "title", "harness"}`.
    """

    max_tokens = 0
    closed = False  # what the other harness compares may be text

    def __init__(self, id: str, title: str, harness: str):
        self.id, self.title, self.harness = id, title, harness

    def system(self) -> str:
        return ""

    def render(self, fields: Fields, wording: int = 0) -> str:
        return str(fields["prompt"])

    def target(self, reference: Reference) -> str:
        return str(reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return ""

    def read(self, text: str, fields: Fields) -> Reading:
        value = json.loads(text)
        return Reading(value["answer"], self.harness, {"score": value["score"], "text": value["text"]})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.details["score"])

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return recorded_output("", None, 0.0)
