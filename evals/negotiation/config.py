"""Settings of a comparison of negotiating agents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tianjing.config import StrictModel
from tianjing.finance.offers import PlanPolicy


class NegotiationEvalConfig(StrictModel):
    """The same debtors, seeds, decoding and prompts for every arm."""

    debtors: int = Field(48, ge=2)
    """Simulated debtors; each negotiates once with every arm. Intervals narrow with the root of their number."""

    first_debtor: int = Field(900_000, ge=0)
    """Number of the first debtor. Whatever is tuned while building belongs on other numbers than what is reported."""

    sites: tuple[Literal["east", "west"], ...] = Field(("east", "west"), min_length=1)
    """Ways of speaking, taken in turn."""

    max_turns: int = Field(10, ge=2)
    """Answers of the customer after which a negotiation ends without an agreement."""

    max_tokens: int = Field(64, ge=8)
    """Tokens of one step; what is cut off is said as far as it went."""

    temperature: float = Field(0.0, ge=0, le=2)
    """Sampling of the steps of a negotiation; 0 is greedy, which turns the act that an arm has seen most often into the
    only one it does. Held-out replies are always greedy."""

    max_quotes: int = Field(2, ge=1)
    """Quotations in a row before the agent must speak: what it writes after that is said, quotation or not."""

    policy: PlanPolicy = PlanPolicy()
    """Plans that may be offered."""

    replies: int = Field(64, ge=0)
    """Held-out next replies asked of every arm; 0 asks none."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""

    seed: int = 20261129
    """Drives the customers' wording and the choice of replies."""

    concurrency: int = Field(32, ge=1)
    """Negotiations under way at once."""

    max_model_len: int = Field(1024, ge=128)
    """Tokens of prompt plus answer that the engine accepts."""

    kv_cache_gib: float = Field(0.5, gt=0)
    """GiB of key-value cache on a CPU."""

    request_timeout_s: float = Field(180, gt=0)
    """Seconds one request may take before it is tried again."""

    tries: int = Field(4, ge=1)
    """Times a request is sent when the failure is transient."""

    start_timeout_s: float = Field(300, gt=0)
    """Seconds an engine may take to start."""
