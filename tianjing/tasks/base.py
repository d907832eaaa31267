"""What a task is. Data builds from it, evaluation scores by it, serving injects from it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tianjing.records import Message

Fields = Mapping[str, Any]
Reference = Mapping[str, Any]

# How an instruction may be worded without changing what is asked (the paraphrase conditions).
BASE_WORDING = 0


@dataclass(frozen=True)
class Reading:
    """What was read out of a model's text.

    `answer` is canonical (two answers agree when they are equal) and None when nothing could be read;
    `rule` names the extraction rule that fired, so that every score can be traced.
    """

    answer: str | None
    rule: str
    details: Mapping[str, Any]

    @property
    def valid(self) -> bool:
        return self.answer is not None


class Task(Protocol):
    """One thing the model is asked to do: the same rendering for training, evaluation and serving."""

    id: str
    title: str
    max_tokens: int
    closed: bool
    """Whether the canonical answer of every row is a label, an id, an option, an act or a number: then two right
    answers read the same, however they are worded. False where written text is part of it."""

    def system(self) -> str:
        """The system prompt."""

    def render(self, fields: Fields, wording: int = BASE_WORDING) -> str:
        """The user message; `wording` > 0 selects a paraphrase of the instruction around the input."""

    def target(self, reference: Reference) -> str:
        """The assistant message that training teaches."""

    def decisive(self, reference: Reference) -> str:
        """The part of the target that carries the decision (a rule id, a clause, an act); "" for none.

        Training may weigh it, since most tokens of an answer are wording that follows from it.
        """

    def read(self, text: str, fields: Fields) -> Reading:
        """Read an answer leniently: any recognisable form counts, nothing is guessed."""

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        """Correctness in [0, 1]; an unreadable answer scores 0."""

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        """A perfectly formed answer that does not look at the input: the format-only control.

        `references` are those of the training rows of the same task.
        """


def prompt(task: Task, fields: Fields, wording: int = BASE_WORDING) -> tuple[Message, ...]:
    """System and user message, exactly as trained, evaluated and served."""
    return (
        Message(role="system", content=task.system()),
        Message(role="user", content=task.render(fields, wording)),
    )


def conversation(task: Task, fields: Fields, reference: Reference) -> tuple[Message, ...]:
    """The training conversation: the prompt and the answer."""
    return (*prompt(task, fields), Message(role="assistant", content=task.target(reference)))
