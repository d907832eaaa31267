"""The adapter (Hu et al. 2021, arXiv 2106.09685) and its variants."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from tianjing.config import StrictModel

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
VOCABULARY_MATRICES = frozenset(("lm_head", "embed_tokens"))
# What the libraries below take as a count or a scale; more overflows in them, with a message of theirs.
MAX_COUNT = 2**31 - 1

_LAYERS = ", ".join(LINEAR_LAYERS)
_INITIALISATIONS = ("default", "gaussian", "orthogonal")
# These train, and vLLM serves them, but only after a pass over the data that peft leaves to its caller.
_DATA_DRIVEN = ("eva", "lora_ga")
_CHANGES_BASE = re.compile(r"pissa(_niter_\d+)?|olora|corda|loftq")


class LoraSection(StrictModel, allow_inf_nan=False):
    """The adapter. What vLLM would refuse is refused with the whole configuration (`serve_with`)."""

    rank: int = Field(16, ge=1)
    """Rank of the update; more rank, more capacity and more memory. vLLM serves up to 512."""

    alpha: int = Field(32, gt=0, le=MAX_COUNT)
    """Scale: the update is multiplied by alpha / rank (by alpha / sqrt(rank) with use_rslora)."""

    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout on the adapter's input, a share. 0: runs of few steps underfit rather than overfit."""

    targets: tuple[str, ...] = LINEAR_LAYERS
    """Linear layers that get an adapter, by the last part of their name; one that the base does not have is refused
    before it is loaded. All of them: attention alone learns less at the same number of parameters."""

    top_layers: int | None = Field(None, ge=1)
    """Adapt only the last n decoder layers. The backward pass ends there: on the embedded model 12 of 24
    layers make a step 1.4 times as fast as all of them. None adapts every layer."""

    use_rslora: bool = False
    """Rank-stabilised scale (Kalajdzievski 2023, arXiv 2312.03732): keeps the update's size the same at any rank; for
    ranks of 64 and more. Off, so that alpha keeps its usual meaning."""

    loraplus_ratio: float | None = Field(None, ge=1.0)
    """LoRA+ (Hayou et al. 2024, arXiv 2402.12354): learning rate of B as a multiple of that of A; 16 is the paper's
    choice, with half the usual learning_rate. None: one rate for both."""

    rank_pattern: dict[str, PositiveInt] = {}
    """Ranks of single modules, by name or the end of it: `down_proj: 32`, `layers.23.mlp.down_proj: 64`. Empty: rank
    everywhere. Of several that name a module the first holds."""

    alpha_pattern: dict[str, Annotated[int, Field(gt=0, le=MAX_COUNT)]] = {}
    """Alphas of single modules, by name or the end of it, as in rank_pattern."""

    init_lora_weights: str = "default"
    """First weights of the adapter: `default` (A random, B zero), `gaussian`, or `orthogonal` (both from one orthogonal
    base; needs an even rank)."""

    use_dora: bool = False
    """Weight-decomposed LoRA (Liu et al. 2024, arXiv 2402.09353). vLLM refuses it."""

    bias: Literal["none", "all", "lora_only"] = "none"
    """Which biases of the base are trained too. vLLM serves `none` alone."""

    modules_to_save: tuple[str, ...] = ()
    """Modules trained whole beside the adapter, by the last part of their name, such as `norm`. vLLM refuses them; the
    vocabulary matrices are refused everywhere, since the head takes no gradient of them."""

    layer_replication: None = None
    """Here so that its refusal can say why: stacked copies of layers make another base, which no server has."""

    @field_validator("targets")
    @classmethod
    def _some_target(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"names no layer, so there is nothing to train; leave it out, or use {_LAYERS}")
        return value

    @field_validator("targets", "modules_to_save")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value):
            raise ValueError("holds an empty name; take it out, or give the last part of a module's name")
        return value

    @field_validator("targets", "modules_to_save")
    @classmethod
    def _no_vocabulary_matrix(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refused = sorted(VOCABULARY_MATRICES & set(value))
        if refused:
            raise ValueError(f"vLLM refuses trained copies of {', '.join(refused)}; use {_LAYERS}")
        return value

    @field_validator("layer_replication", mode="before")
    @classmethod
    def _no_replication(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("vLLM does not serve replicated layers; train the layers that the base has")

    @field_validator("init_lora_weights")
    @classmethod
    def _trainable_initialisation(cls, value: str) -> str:
        if value in _DATA_DRIVEN:
            raise ValueError(f"needs a pass over the data before training; use one of {', '.join(_INITIALISATIONS)}")
        if _CHANGES_BASE.fullmatch(value):
            raise ValueError(
                "changes the base's own weights, so that the adapter fits no base as it is, in vLLM or elsewhere; use "
                "'default' or 'orthogonal'"
            )
        if value not in _INITIALISATIONS:
            raise ValueError(f"no such initialisation; use one of {', '.join(_INITIALISATIONS)}")
        return value

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _names_an_adapted_module(cls, value: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        targets = info.data.get("targets", ())
        for name in value:
            if name.rsplit(".", 1)[-1] not in targets:
                raise ValueError(f"'{name}' is no module that gets an adapter; targets are {', '.join(targets)}")
            try:
                re.compile(name)
            except re.error as error:
                raise ValueError(f"'{name}' is no regular expression: {error}; give a module's name") from None
        return value

    @property
    def trains_base(self) -> bool:
        """Whether weights of the base are trained too, possibly below the first adapted layer."""
        return self.bias == "all" or bool(self.modules_to_save)

    def peft(self) -> dict[str, Any]:
        """The fields of peft's LoraConfig that stand for this section, without `top_layers`, which needs the base."""
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": list(self.targets),
            "use_rslora": self.use_rslora,
            "rank_pattern": dict(self.rank_pattern),
            "alpha_pattern": dict(self.alpha_pattern),
            "init_lora_weights": True if self.init_lora_weights == "default" else self.init_lora_weights,
            "use_dora": self.use_dora,
            "bias": self.bias,
            "modules_to_save": list(self.modules_to_save) or None,
        }
