"""The rows of an evaluation: the item, the request that asks it, and the attempt that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tianjing.config import StrictModel
from tianjing.engine.errors import FailureKind
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Message

Arm = Literal["base", "tuned"]
ARMS: tuple[Arm, ...] = ("base", "tuned")

GREEDY = "greedy"
SAMPLED = "sampled"
TEXT = "text"
WORDING = "wording"  # wording1, wording2, …: paraphrases of the instruction, by `Task.render`
CONCURRENT = "concurrent"  # concurrent1, concurrent8, …: the greedy prompt again, so many in flight together
OF_SAMPLED = "/sampled"  # text/sampled: repeats of the variant `text` at the temperature of the repeats


class Variant(StrictModel):
    """How an item is asked under one condition: only what differs from the item itself."""

    fields: dict[str, Any] | None = None
    """The input, changed in a way that keeps the right answer; None for the item's own."""
    wording: int = 0
    """Which wording of the instruction, see `Task.render`."""
    before: tuple[Message, ...] = ()
    """Turns between the system message and the question."""
    layout: str = ""
    """Layout of the user message, see `evals.perturb.layout`; "" for the task's own."""
    concurrency: int | None = None
    """Requests that must be in flight together with it; None leaves it to the runner."""
    check: str
    """The check that showed that the right answer is still the same."""


class Item(StrictModel):
    """One test item of the plan, with all that scoring needs: evidence can be scored again without the dataset."""

    id: str
    task: str
    group: str
    """The unit of resampling: a customer, or a source document."""
    kind: str
    """Which kind of answer is right (rule, act, document); the choice of items is balanced over it."""
    stability: bool
    """Whether it is also repeated and paraphrased."""
    fields: dict[str, Any]
    reference: dict[str, Any]
    variants: dict[str, Variant] = {}
    """The other conditions under which it is asked, by their names."""
    dropped: dict[str, str] = {}
    """Conditions of the plan under which it is not asked, and why: they do not apply, or which check failed."""
    control: float = 0.0
    """Mean score of the format-only control on this item."""

    def asked(self, condition: str) -> dict[str, Any]:
        """The fields as they were asked under `condition`, by which its answers are read and scored."""
        variant = self.variants.get(condition.removesuffix(OF_SAMPLED))
        return self.fields if variant is None or variant.fields is None else variant.fields


@dataclass(frozen=True)
class Request:
    """One completion to ask for. Every sampling parameter is explicit: servers differ in their defaults."""

    item: str
    task: str
    condition: str
    repeat: int
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    concurrency: int | None = None
    """Requests of its condition that must be in flight together; None leaves it to the runner."""
    parameters: Literal["all", "openai"] = "all"
    """Which sampling parameters go with it, beyond those above; as in `EvalConfig.parameters`."""

    @cached_property
    def prompt_digest(self) -> str:
        return sha256_bytes(canonical_json(self._conversation()).encode())

    @property
    def prefix(self) -> str:
        """Everything before the last message: requests that share it share the engine's prefix cache."""
        return canonical_json(self._conversation()[:-1])

    def key(self, model_digest: str) -> str:
        """Fingerprint of the model and of everything it is asked; a finished key is never asked again."""
        identity = [
            model_digest,
            self.item,
            self.condition,
            self.repeat,
            self.prompt_digest,
            self.max_tokens,
            self.temperature,
            self.top_p,
            self.seed,
            self.concurrency,
            self.parameters,
        ]
        return sha256_bytes(canonical_json(identity).encode())

    def _conversation(self) -> list[list[str]]:
        return [[message.role, message.content] for message in self.messages]


class RawAttempt(StrictModel):
    """What came back for one request. `error` says why nothing did, after all tries."""

    key: str
    item: str
    task: str
    arm: Arm
    condition: str
    repeat: int
    prompt: str
    """SHA-256 of the messages."""
    seed: int
    temperature: float
    output: str = ""
    finish_reason: str = ""
    latency_s: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    tries: int = 1
    error: str | None = None
    error_kind: FailureKind | None = None
    """Whose fault the error is: of the network, of the server, or of the request itself."""
    concurrency: int | None = None
    """Requests that were in flight together, where the condition demands a number."""
    first_token_s: float | None = None
    """Seconds to the first token, where `measure_ttft` asks for them."""
    cached_tokens: int = 0
    """Prompt tokens that the server took from its prefix cache, as far as it tells."""
    served: str | None = None
    """Name under which the server says it answered, where it is not the one that was asked."""
    reused: bool = False
    """Taken from the answers of an earlier run: its latency is that of the earlier run."""


class Attempt(RawAttempt):
    """A scored attempt. `answer` is canonical, None when nothing could be read; `rule` read it."""

    answer: str | None = None
    rule: str
    score: float
