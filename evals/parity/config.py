"""What a parity check asks and what it demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from evals.config import EvalConfig
from tianjing.config import StrictModel
from tianjing.models.precision import Precision

Format = Literal["served", "float32"]


@dataclass(frozen=True)
class Limits:
    """What an engine that computes in one number format may differ by, in spacings of bfloat16."""

    rounding_steps: float
    distance_steps: float


class ParityConfig(StrictModel):
    """The same items, greedy, through three ways to the same model, each alone and under load."""

    formats: tuple[Format, ...] = Field(("served",), min_length=1)
    """Number formats that the engines compute in, one after the other: `served` is what they serve in on this machine
    (`tianjing.models.precision`), and only it can meet parity. In `float32`, in which the adapter in transformers
    computes, no rounding is left but that of the merged weights as they are stored: what differs there is merge,
    template, adapter or sampling. It takes as long again, and twice the memory."""

    items: int = Field(48, ge=1)
    """Test items per task, balanced over the kinds of answer. With fewer than 200 items of closed-form tasks a single
    different answer is below the default target."""

    max_per_group: int = Field(2, ge=1)
    """Items taken from one group (customer, document) first; more only where the test split has too few groups."""

    concurrency: int = Field(16, ge=2)
    """Requests in flight in the loaded half, and rows of a batch in transformers; the other half asks one at a time."""

    target: float = Field(0.995, gt=0, le=1)
    """Share of closed-form items whose canonical answers must be equal between any two ways at the same load."""

    rounding_steps: float = Field(8.0, gt=0)
    """Two ways may part where the token that was chosen is this close to the best, in spacings of bfloat16 at the size
    of that logit (0.125 between 16 and 32). Further apart is a fault. One engine on the embedded model, alone and under
    load, was seen to part at 3.8."""

    distance_steps: float = Field(1.5, gt=0)
    """Distance of an engine's log-probabilities from the adapter's in float32, over the tokens it chose and in units of
    what one such spacing in every logit would do, above which it serves another model: a wrong merge shows here before
    it changes an answer."""

    float32_rounding_steps: float = Field(4.0, gt=0)
    """`rounding_steps` where the engine computes in float32: merged weights are stored in bfloat16 all the same."""

    float32_distance_steps: float = Field(0.75, gt=0)
    """`distance_steps` where the engine computes in float32."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals."""

    seed: int = 20260101
    """Drives the choice of items."""

    kv_cache_gib: float = Field(1.0, gt=0)
    """GiB of key-value cache on a CPU."""

    request_timeout_s: float = Field(600, gt=0)
    """Seconds one request may take before it is tried again; an adapter in vLLM on a CPU is slow."""

    tries: int = Field(3, ge=1)
    """Times a request is sent when the failure is transient."""

    start_timeout_s: float = Field(300, gt=0)
    """Seconds an engine may take to start."""

    def dtypes(self, served: Precision) -> tuple[Precision, ...]:
        """The formats to ask in, each once, where engines serve in `served`."""
        return tuple(dict.fromkeys(served if name == "served" else "float32" for name in self.formats))

    def limits(self, dtype: Precision) -> Limits:
        """What an engine that computes in `dtype` may differ by."""
        if dtype == "float32":
            return Limits(self.float32_rounding_steps, self.float32_distance_steps)
        return Limits(self.rounding_steps, self.distance_steps)

    def choice(self) -> EvalConfig:
        """The settings of an evaluation that choose the same items, once each and greedy."""
        return EvalConfig(items=self.items, max_per_group=self.max_per_group, stability_items=0, seed=self.seed)
