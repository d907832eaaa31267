"""What an evaluation asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from evals.judge.config import JudgeConfig
from evals.safety.config import SafetyConfig
from tianjing.config import StrictModel

# Named conditions of `EvalConfig.conditions`; docs/perturbations.md says what each is.
PRESETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "core": (
        *("wording", "text", "register_colloquial", "numerals", "asr", "layout_width", "layout_markdown"),
        *("option", "order1", "order_reversed", "distractor", "concurrent"),
    ),
    "full": (
        *("wording", "text", "register", "numerals", "asr", "typo", "ocr", "traditional", "layout"),
        *("option", "order", "distractor", "context2k", "fewer", "alone", "concurrent"),
    ),
}
_CONTEXT = re.compile(r"context(\d+)k")
# Beside the padding: the item itself, worked examples and the answer.
_ROOM_TOKENS = 1000


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

    wordings: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2)
    """Paraphrases of the instruction (`Task.render` wordings) for the stability items, greedy."""

    perturb_text: bool = True
    """Also ask with the customer's own words changed but not their meaning (politeness, filler, numerals)."""

    conditions: Literal["none", "core", "full"] | tuple[str, ...] = "none"
    """Further conditions for the stability items, greedy (docs/perturbations.md): a preset, or names. A family gives
    all its members (`option`: every rotation and the reverse), or one is named (`option2`, `context4k`). `core` adds
    about 10 requests to a stability item and `full` about 20, both K more to a question of K options."""

    variant_repeats: tuple[str, ...] = ()
    """Conditions (families or members, `text`, `wording1`, `asr`) that are also repeated at the temperature of the
    repeats: what tells the effect of a wording from the noise of sampling (W − B). Each costs `repeats` requests."""

    shots: int = Field(2, ge=0)
    """Worked training examples that the base model is shown, with different answers; the tuned one gets none."""

    success_at: float = Field(0.5, gt=0, le=1)
    """Score from which a run counts as a success in pass^k; matters only for tasks with graded scores."""

    format_only_draws: int = Field(50, ge=1)
    """Draws per item of the format-only control: well-formed answers that ignore the input."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval. A gate policy asks for a least one (`min_confidence`, 0.95 by default)."""

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

    served_as: dict[str, tuple[str, ...]] = {}
    """By the name that is asked, other names under which an endpoint may answer for the same model. An answer under any
    other name is an error; the name with a date behind it (`gpt-4o-2024-08-06`) and what `/v1/models` lists as the same
    model need not be given."""

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

    safety: SafetyConfig = SafetyConfig()
    """Which probes are asked beside the dataset, and by which rules every agent turn is judged."""

    judge: JudgeConfig | None = None
    """A model that judges stored answers afterwards (`tianjing eval judge`); None for none."""

    @property
    def varied(self) -> tuple[str, ...]:
        """Conditions for the stability items beside the repeats, each once."""
        named = PRESETS[self.conditions] if isinstance(self.conditions, str) else self.conditions
        wordings = [f"wording{number}" for number in self.wordings]
        return tuple(dict.fromkeys((*wordings, *(("text",) if self.perturb_text else ()), *named)))

    def repeats_variant(self, condition: str) -> bool:
        """Whether a variant is repeated at the temperature of the repeats, by its own name or its family's."""
        from evals.perturb import family_of

        # Evidence of a version that had other families can be read as long as none of them was repeated.
        return bool(self.variant_repeats) and bool({condition, family_of(condition).name} & set(self.variant_repeats))

    @model_validator(mode="after")
    def _known_conditions(self) -> EvalConfig:
        from evals.perturb import FAMILIES, family_of

        named = self.conditions if isinstance(self.conditions, tuple) else ()
        for name in (*named, *self.variant_repeats):
            try:
                family_of(name)
            except KeyError:
                known = ", ".join(sorted(family.name for family in FAMILIES))
                raise ValueError(f"no condition '{name}'; families are {known}, presets none, core, full") from None
        longest = max((int(found[1]) for name in self.varied if (found := _CONTEXT.fullmatch(name))), default=0)
        if "context" in self.varied:
            longest = max(longest, 2)
        needed = longest * 1000 + _ROOM_TOKENS
        if longest and self.max_model_len < needed:
            raise ValueError(
                f"context of {longest}k characters needs max_model_len of at least {needed} (it is "
                f"{self.max_model_len}): longer prompts become errors; raise it, or leave the condition out"
            )
        return self
