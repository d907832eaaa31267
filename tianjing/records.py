"""The records that stages exchange (JSON Lines or Parquet). Unknown fields are an error.

Raw input is what a user brings; knowledge is what `data extract` writes; `Example` is one row of an
instruction dataset. Times are ISO 8601 with an offset.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from tianjing.config import StrictModel

_ARTICLE = re.compile(r"第[^条]+条(?:之.+)?")

Speaker = Literal["customer", "agent", "system"]
Modality = Literal["must", "must_not", "may", "statement"]
Split = Literal["train", "validation", "test"]


class Turn(StrictModel):
    """One utterance of a dialogue."""

    speaker: Speaker
    text: str
    at: datetime | None = None


class Dialogue(StrictModel):
    """A service or post-loan (贷后) conversation between one customer and one agent."""

    id: str = Field(min_length=1)
    customer: str
    agent: str
    channel: str
    started_at: datetime
    turns: tuple[Turn, ...] = Field(min_length=1)


class Event(StrictModel):
    """One line of an operation log. `case` is a dialogue id or a business case id."""

    case: str
    at: datetime
    actor: str
    activity: str
    attributes: dict[str, Any] = {}


class Outcome(StrictModel):
    """What became of a case, e.g. promise_kept 1, complaint 0, csat 5."""

    case: str
    name: str
    value: float
    at: datetime | None = None


class Customer(StrictModel):
    """A customer's profile: free fields, used to match personal data and to stratify."""

    model_config = ConfigDict(extra="allow", frozen=True)

    customer: str

    def field(self, name: str) -> Any:
        """Value of a profile field, or None."""
        return (self.model_extra or {}).get(name)


class Quantity(StrictModel):
    """A number that a clause states, e.g. value 24, unit 期, kind count."""

    value: float
    unit: str
    kind: Literal["money", "rate", "duration", "count", "time"]
    text: str


class Span(StrictModel):
    """Where a clause stands in its source file: character offsets of the extracted text."""

    file: str
    start: int
    end: int


class Clause(StrictModel):
    """One provision of a rule document, addressed by 章/节/条/款/项."""

    id: str
    document: str
    path: tuple[str, ...]
    text: str
    modality: Modality
    subject: str = ""
    quantities: tuple[Quantity, ...] = ()
    effective_from: str | None = None
    effective_to: str | None = None
    strength: str = "internal"
    span: Span

    @property
    def article(self) -> str:
        """The 条 this clause belongs to, e.g. 第八条, or the last heading when it has none."""
        return next((part for part in self.path if _ARTICLE.fullmatch(part)), self.path[-1])

    @property
    def label(self) -> str:
        """How a person cites it: 《document》第八条."""
        return f"《{self.document}》{self.article}"


class Support(StrictModel):
    """How many cases stand behind a practice."""

    cases: int
    treated: int
    agents: int


class Practice(StrictModel):
    """In `situation`, `action` is associated with a better or worse `outcome`.

    `effect` is the stratified risk difference; `rate_*` are outcome rates in [0, 1]; `q` is the
    Benjamini-Hochberg adjusted p-value over all tested pairs.
    """

    id: str
    situation: str
    action: str
    outcome: str
    support: Support
    rate_treated: float
    rate_control: float
    effect: float
    ci_low: float
    ci_high: float
    p: float
    q: float
    strata: tuple[str, ...]
    exploratory: bool
    exemplars: tuple[str, ...]
    verdict: Literal["allowed", "vetoed"]
    rules: tuple[str, ...] = ()


class Procedure(StrictModel):
    """How a task is done: steps and the partial order that holds between them."""

    id: str
    task: str
    steps: tuple[str, ...]
    order: tuple[tuple[str, str], ...]
    edges: tuple[tuple[str, str, int], ...]
    support: int
    coverage: float
    variants: int


class Message(StrictModel):
    """One chat message in the OpenAI form."""

    role: Literal["system", "user", "assistant"]
    content: str


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
