"""What a training run is given. An adapter that vLLM would refuse fails here, before the first step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from tianjing.config import StrictModel

# vLLM 0.32 serves adapters up to this rank (vllm/lora, `--max-lora-rank`).
MAX_SERVED_RANK = 512

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraSection(StrictModel):
    """The adapter (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1, le=MAX_SERVED_RANK)
    """Rank of the update; more rank, more capacity and more memory."""

    alpha: int = Field(32, gt=0)
    """Scale: the update is multiplied by alpha / rank."""

    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout on the adapter's input."""

    targets: tuple[str, ...] = LINEAR_LAYERS
    """Linear layers that get an adapter, by the last part of their name."""

    top_layers: int | None = Field(None, ge=1)
    """Adapt only the last n decoder layers. The backward pass ends there: on the embedded model 12 of 24
    layers make a step 1.4 times as fast as all of them. None adapts every layer."""

    @field_validator("targets")
    @classmethod
    def _served_targets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refused = sorted({"lm_head", "embed_tokens"} & set(value))
        if refused:
            raise ValueError(f"vLLM refuses trained copies of {', '.join(refused)}; use {', '.join(LINEAR_LAYERS)}")
        return value


class TrainConfig(StrictModel):
    """Supervised fine-tuning of a LoRA adapter; defaults are the CPU preset."""

    lora: LoraSection = LoraSection()
    """The adapter."""

    max_rows_per_task: PositiveInt | dict[str, PositiveInt] | None = None
    """Train on at most this many rows of each task (one number, or a mapping of task to number), seeded; tasks left
    out and None take all. Bounds the time of a run."""

    decision_weight: float = Field(1.0, gt=0)
    """Loss weight of the tokens that carry an answer's decision (rule id, clause, act) and of its stop token; the
    wording around them has 1. More makes a short run learn what to answer before how to word it."""

    epochs: float = Field(1.0, gt=0)
    """Passes over the chosen rows."""

    micro_rows: int = Field(4, ge=1)
    """Rows of one forward pass, of like length; more rows need more memory and pad more."""

    micro_batches: int = Field(2, ge=1)
    """Forward passes of one optimiser step, from short to long rows: a step has micro_rows x micro_batches rows."""

    learning_rate: float = Field(5e-4, gt=0)
    """Peak of the schedule; LoRA wants about ten times the rate of full fine-tuning."""

    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    """Decay after warm-up."""

    warmup_ratio: float = Field(0.06, ge=0.0, lt=1.0)
    """Share of the steps in which the rate rises from zero."""

    weight_decay: float = Field(0.0, ge=0.0)
    """AdamW weight decay."""

    max_length_tokens: int = Field(768, ge=16)
    """Longer rows are left out and counted, never cut in silence."""

    save_every_steps: int = Field(10, ge=1)
    """Distance of checkpoints: what a kill can cost."""

    threads: int | None = Field(None, ge=1)
    """CPU threads of the training process; None takes every core it may use."""

    seed: int = 0
    """Seeds adapter initialisation, row choice and order."""

    @property
    def batch_rows(self) -> int:
        """Rows of one optimiser step."""
        return self.micro_rows * self.micro_batches
