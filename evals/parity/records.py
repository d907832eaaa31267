"""The rows of a parity check: an answer of one way at one load, and two of them side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tianjing.config import StrictModel
from tianjing.models.precision import Precision

Way = Literal["peft", "merged", "lora"]
WAYS: tuple[Way, ...] = ("peft", "merged", "lora")
TITLES: dict[Way, str] = {
    "peft": "adapter in transformers",
    "merged": "merged weights in vLLM",
    "lora": "adapter in vLLM",
}

Outcome = Literal["identical", "rounding", "fault", "prompt", "error"]
"""identical: the same tokens; rounding and fault: they part, at a tie or not; prompt: the models were shown different
tokens; error: one of them did not answer."""


@dataclass(frozen=True)
class Cell:
    """One way to the model, computed in one number format, at one load."""

    way: Way
    load: int
    """Requests at a time."""
    dtype: Precision

    @property
    def name(self) -> str:
        return f"{self.way}-{self.dtype}@{self.load}"


class Answer(StrictModel):
    """What one cell answered to one item. `error` says why it did not, after all tries."""

    key: str
    """Fingerprint of the model, the cell and the request; a finished key is never asked again."""
    cell: str
    item: str
    text: str = ""
    tokens: list[int] = []
    """Token ids of the answer, with its end token unless it was cut short."""
    logprobs: list[float] = []
    """Natural log of the probability of each token, by the engine; none for transformers."""
    prompt: str = ""
    """SHA-256 of the prompt's token ids."""
    finish_reason: str = ""
    seconds: float = 0.0
    error: str | None = None


class Gap(StrictModel):
    """How sure the adapter, in float32, is of the token at which two answers part."""

    best: int
    """Token with the largest logit."""
    top2: float
    """Logit of the best minus that of the second."""
    behind: float
    """Logit of the best minus that of the lesser of the two tokens that were chosen; 0 is an exact tie."""
    step: float
    """Spacing of bfloat16 at the best logit: what vLLM cannot tell apart."""

    @property
    def steps(self) -> float:
        return self.behind / self.step


class Scored(StrictModel):
    """The tokens of one answer, by the adapter in float32."""

    logprobs: list[float]
    """Natural log of the probability of each."""
    best: list[int]
    """The likeliest token in the place of each, after those before it."""
    steps: list[float]
    """How far each would move if every logit were off by one spacing of bfloat16 at the largest of them: next to
    nothing where the model is sure, since then no other token counts."""


class Distance(StrictModel):
    """How far the probabilities of one engine's cell are from the adapter's in float32, over all tokens it chose."""

    tokens: int
    mean_nats: float
    """Mean absolute difference of the log-probabilities."""
    steps: float
    """The same in units of what one bfloat16 spacing in every logit would do: the sum of the differences over the sum
    of those."""


class Pair(StrictModel):
    """One item answered by two cells."""

    a: str
    b: str
    item: str
    task: str
    group: str
    decides: Precision | None
    """The number format whose verdict rests on this pair; None for one that shows what load or format alone change."""
    closed: bool
    """Whether the task's answers are (`Task.closed`)."""
    outcome: Outcome
    equal: bool
    """Whether the answers are: the same tokens, or the same canonical answer."""
    answer_a: str | None
    answer_b: str | None
    position: int | None = None
    """Tokens of the answer before the two part."""
    token_a: int | None = None
    token_b: int | None = None
    """The tokens there; None where that answer has ended."""
    gap: Gap | None = None
    error: str | None = None
    """Why one of them did not answer."""
    text_a: str | None = None
    text_b: str | None = None
    """Both texts, where the answers are not the same tokens."""
