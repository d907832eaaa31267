"""What an evaluation asks for."""

from __future__ import annotations

from pydantic import Field

from tianjing.config import StrictModel


class EvalConfig(StrictModel):
    """How base and tuned model are measured: the same items, decoding and scoring for both."""

    items: int = Field(48, ge=1)
    """Test items per task for accuracy, balanced over the kinds of answer. The interval narrows with its root."""

    max_per_group: int = Field(2, ge=1)
    """Items taken from one group (customer, document) first; more only where the test split has too few groups."""

    stability_items: int = Field(12, ge=0)
    """Of those, items per task that are repeated and paraphrased. 0 measures accuracy only."""

    repeats: int = Field(4, ge=2)
    """Sampled runs per stability item; pass^k and TAR@k are known up to this k."""

    temperature: float = Field(0.3, gt=0, le=2)
    """Sampling temperature of the repeats, and so the largest that a release on this evidence may be served with.
    Accuracy itself is greedy."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of the repeats; 1 samples from the whole distribution."""

    wordings: tuple[int, ...] = (1, 2)
    """Paraphrases of the instruction (`Task.render` wordings) for the stability items, greedy."""

    perturb_text: bool = True
    """Also ask with the customer's own words changed but not their meaning (politeness, filler, numerals)."""

    shots: int = Field(2, ge=0)
    """Worked training examples that the base model is shown, with different answers; the tuned one gets none."""

    success_at: float = Field(0.5, gt=0, le=1)
    """Score from which a run counts as a success in pass^k; matters only for tasks with graded scores."""

    format_only_draws: int = Field(50, ge=1)
    """Draws per item of the format-only control: well-formed answers that ignore the input."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""

    bootstrap: int = Field(2000, ge=100)
    """Resamples of clusters for intervals of ratios."""

    seed: int = 20260101
    """Drives the choice of items, worked examples, perturbations, sampling and bootstrap."""

    concurrency: int = Field(16, ge=1)
    """Requests in flight, and decoded together by the engine. More needs more key-value cache."""

    max_model_len: int = Field(2048, ge=64)
    """Tokens of prompt plus answer that the engine accepts; longer prompts become errors and count as failures."""

    kv_cache_gib: float = Field(1.0, gt=0)
    """GiB of key-value cache on a CPU."""

    request_timeout_s: float = Field(180, gt=0)
    """Seconds one request may take before it is tried again."""

    tries: int = Field(4, ge=1)
    """Times a request is sent when the failure is transient, with growing pauses between."""

    start_timeout_s: float = Field(300, gt=0)
    """Seconds an engine may take to start."""
