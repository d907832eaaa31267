"""Rows of an instruction dataset."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.records.raw import Split


class Message(StrictModel):
    """One chat message in the OpenAI form."""

    role: Literal["system", "user", "assistant"]
    content: str


class Tokens(StrictModel):
    """Length of a row in tokens of a base model's tokenizer, under its chat template."""

    prompt: int = Field(ge=0)
    """Up to where the answer begins."""
    answer: int = Field(ge=0)
    """The answer with its stop token: what a loss is taken on."""

    @property
    def total(self) -> int:
        return self.prompt + self.answer


class Example(StrictModel):
    """One row of an instruction dataset.

    `messages` is the conversation that is trained on (the last one is the assistant's answer).
    `fields` and `reference` are what `tianjing.tasks` rendered and scores by, so that evaluation can
    render the same item again under another condition. `group` is the unit of splitting and of
    resampling: a customer, or a source document.
    """

    id: str
    task: str
    group: str
    split: Split
    messages: tuple[Message, ...]
    weight: float = 1.0
    fields: dict[str, Any]
    reference: dict[str, Any]
    surface: str = ""
    sources: tuple[str, ...] = ()
    clause_ids: tuple[str, ...] = ()
    practice_ids: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    """Name of the source in the licence ledger."""
    origin: Literal["log", "derived", "teacher"] = "log"
    """Whose wording it is: people's, a template's over a provision, or a teacher model's over cited evidence."""
    tokens: Tokens | None = None
    """Absent where the dataset was built without a tokenizer."""


class Preference(StrictModel):
    """One preference pair: two answers to one prompt, as TRL reads it (DPO, and KTO unpaired).

    `prompt` is the system and user message, `chosen` and `rejected` one assistant message each.
    """

    id: str
    task: str
    group: str
    split: Split
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    weight: float = 1.0
    why: Literal["harmful", "other", "breach"]
    """Why the other is rejected: its act goes with a worse outcome; it is another act than the practice and the promise
    was not kept; or it breaks a rule."""
    rules: tuple[str, ...] = ()
    """Rules that the rejected answer breaks; only of a breach."""
    sources: tuple[str, ...] = ()
    rejected_sources: tuple[str, ...] = ()
    practice_ids: tuple[str, ...] = ()
    rejected_practice_ids: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    """Name of the source in the licence ledger."""
