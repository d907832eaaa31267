"""What an evaluation asks for, and what a release gate demands of its result."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tianjing.config import StrictModel


class Prices(StrictModel):
    """What a million tokens cost."""

    currency: str = "CNY"
    """Only shown."""

    prompt: float = Field(ge=0)
    """Per million prompt tokens."""

    cached_prompt: float | None = Field(None, ge=0)
    """Per million prompt tokens from the server's prefix cache; None takes the full price."""

    output: float = Field(ge=0)
    """Per million tokens of answers."""


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
    """Requests in flight, and decoded together by the engine. More needs more key-value cache. An endpoint on another
    machine is asked adaptively instead, up to `max_concurrency`."""

    adaptive_concurrency: bool | None = None
    """Whether the requests in flight follow what an endpoint bears: from 20, doubled until its first 429, then slowly
    up and down. None: for endpoints on other machines, whose load is not ours alone; one of our own has room for
    `concurrency`."""

    max_concurrency: int = Field(100, ge=1)
    """Most requests in flight at an endpoint that is asked adaptively."""

    parameters: Literal["all", "openai"] = "all"
    """Sampling parameters sent with every request. `all`: those of vLLM, SGLang and LMDeploy too (top_k, min_p,
    repetition_penalty), so that no default of the server or the model folder changes the answers. `openai`: for an
    endpoint that refuses what the OpenAI protocol does not know."""

    measure_ttft: bool = False
    """Stream the answers, so that the time to the first token is known for each. Costs the client more per token."""

    prices: Prices | None = None
    """Price of tokens at the endpoint; with it the summary states what the run cost."""

    cache: Path | None = None
    """Folder of answers of earlier runs, which are then not asked again: equal model, adapter, server version, prompt,
    parameters, seed and repeat. None, the default, asks everything anew: evidence for a release should come from the
    model as it is served now."""

    max_model_len: int = Field(2048, ge=64)
    """Tokens of prompt plus answer that the engine accepts; longer prompts become errors and count as failures."""

    kv_cache_gib: float = Field(1.0, gt=0)
    """GiB of key-value cache on a CPU."""

    request_timeout_s: float = Field(180, gt=0)
    """Seconds one request may take before it is tried once more. Twice that and a minute without any answer ends the
    run."""

    tries: int = Field(4, ge=1)
    """Times a request is sent when the failure is not its own (5xx, a broken connection), with growing pauses between;
    after a timeout at most twice. A rate limit is waited for up to ten minutes without counting."""

    start_timeout_s: float = Field(300, gt=0)
    """Seconds an engine may take to start."""


class GatePolicy(StrictModel):
    """What a tuned model must show before it is released. Every rule is checked against an interval, not a point."""

    min_tasks_improved: int = Field(2, ge=0)
    """Tasks that must be better than base, the interval of the paired difference above 0; 0 asks for none.
    Asking for 1 of several tasks gives chance several tries: name the task in `must_improve` instead."""

    must_improve: tuple[str, ...] = ()
    """Tasks that must be among the improved ones."""

    beat_format_only: bool = True
    """A task counts as improved only if the tuned model also beats the format-only control, so that having
    learnt the shape of the answers alone is not taken for knowledge."""

    guardrail_margin: float = Field(0.03, ge=0, le=1)
    """Loss in score that is tolerated; a task whose whole interval lies below minus this margin blocks."""

    require_non_inferiority: bool = False
    """Stricter guardrail: every task must be shown not to lose more than the margin, or the gate is inconclusive."""

    min_pass_ratio: float = Field(0.5, ge=0, le=1)
    """pass^k / pass^1 of the tuned model at k = repeats: how much of its success survives k runs in a row."""

    max_error_rate: float = Field(0.01, ge=0, le=1)
    """Share of failed requests above which the evaluation itself is not valid."""

    max_invalid_rate: float = Field(0.1, ge=0, le=1)
    """Share of the tuned model's answers that could not be read, per task."""

    expiry_days: int = Field(90, ge=1)
    """Days until the release must be evaluated again."""

    signing_key: Path | None = None
    """Ed25519 private key (PEM). None uses, and at first makes, the one in the cache folder's `keys`."""
