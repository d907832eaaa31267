"""The configuration of one training run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tianjing.config import StrictModel
from training.config.lora import LoraSection
from training.config.presets import PRESETS, Preset, beneath
from training.config.serving import unserved

# What may differ between two starts of the same run: places, and what is kept or shown on the way.
_BESIDE_THE_RESULT = frozenset(
    ("preset", "model", "dataset", "out", "report_to", "keep_checkpoints", "save_every_steps")
)
# Tokens of a block of attention scores, which a kernel computes or leaves out as a whole.
BLOCK = 128
_FIELD_OF_SECTION = {"r": "rank"}


class EvaluationSection(StrictModel):
    """Loss on the validation split while training; the checkpoint with the lowest becomes the adapter."""

    every_steps: int = Field(50, ge=1)
    """Optimiser steps between evaluations; the last step is always evaluated. Each evaluation keeps a checkpoint."""

    max_rows: PositiveInt | None = 256
    """Rows of validation.parquet, drawn by hash of their ids; None takes all. An evaluation is one forward pass of
    each."""

    patience: PositiveInt | None = None
    """Training stops after this many evaluations in a row without a lower loss. None trains to the end."""

    min_improvement: float = Field(0.0, ge=0.0)
    """A loss counts as lower only by more than this many nats per supervised token."""


class TrainConfig(StrictModel):
    """Supervised fine-tuning of a LoRA adapter; defaults are the preset `cpu`."""

    preset: Preset | None = None
    """Values taken beneath this file's own fields: `cpu`, `gpu-1`, `gpu-node` or `fsdp2` (training.config.presets)."""

    method: Literal["sft", "dpo", "kto"] = "sft"
    """Supervised fine-tuning. Preference training on pairs (`dpo`, `kto`) is refused by this version."""

    model: str | None = None
    """Base model: a folder, `embedded`, `tiny` or a hub id. The command line's wins; None there too is `embedded`."""

    dataset: str | None = None
    """Dataset artefact, relative to the working directory. The command line's wins."""

    out: str | None = None
    """Folder of the adapter artefact, relative to the working directory. The command line's wins."""

    lora: LoraSection = LoraSection()
    """The adapter."""

    serve_with: Literal["vllm", "transformers"] = "vllm"
    """What will serve the adapter. vLLM refuses some adapters, and so does this file then; `transformers` allows them
    knowingly."""

    quantize: Literal["nf4"] | None = None
    """QLoRA (Dettmers et al. 2023, arXiv 2305.14314): the frozen base in 4 bits, a quarter of its memory for a slower
    step. Needs a CUDA GPU and bitsandbytes. None keeps it in bfloat16 (float32 where the processor has no bfloat16)."""

    max_rows_per_task: PositiveInt | dict[str, PositiveInt] | None = None
    """Train on at most this many rows of each task (one number, or a mapping of task to number), seeded; tasks left
    out and None take all. Bounds the time of a run."""

    decision_weight: float = Field(1.0, gt=0)
    """Loss weight of the tokens that carry an answer's decision (rule id, clause, act) and of its stop token; the
    wording around them has 1. More makes a short run learn what to answer before how to word it."""

    epochs: float = Field(1.0, gt=0)
    """Passes over the chosen rows."""

    micro_rows: int = Field(4, ge=1)
    """Rows of one forward pass, of like length; more rows need more memory and pad more. Not used with pack_tokens."""

    micro_batches: int = Field(2, ge=1)
    """Forward passes of one optimiser step, from short to long rows: a step has micro_rows x micro_batches rows."""

    pack_tokens: int | None = Field(None, ge=BLOCK, multiple_of=BLOCK)
    """Fill each forward pass with rows up to this many tokens, a prefix that rows share counted once, in place of
    micro_rows; at least max_length_tokens. A step then has micro_batches x pack_tokens tokens. For GPUs, which want
    every pass full and of one shape. None, for CPUs, where rows side by side are faster; by kernel blocks of 128."""

    compile: bool = False
    """Compile the decoder's layers (torch.compile): fewer and larger kernels, for a cold start of a minute or more. For
    GPUs, and with pack_tokens alone: each other shape of a batch would be compiled anew."""

    checkpointing: Literal["none", "selective", "full"] = "none"
    """What is computed again in the backward pass to save memory: `selective` what is cheap, between the matrix
    products and the attention; `full` every layer, half as much again of the arithmetic of LoRA. For what does not fit
    otherwise."""

    learning_rate: float = Field(5e-4, gt=0)
    """Peak of the schedule; LoRA wants about ten times the rate of full fine-tuning."""

    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    """Decay after warm-up."""

    warmup_ratio: float = Field(0.06, ge=0.0, lt=1.0)
    """Share of the steps in which the rate rises from zero."""

    weight_decay: float = Field(0.0, ge=0.0)
    """AdamW weight decay, a share of the weight per step and unit of learning rate."""

    max_length_tokens: int = Field(768, ge=16)
    """Longer rows are left out and counted, never cut in silence. At most the model's own context."""

    evaluation: EvaluationSection | None = None
    """Loss on the validation split while training, early stopping, best checkpoint. None trains without looking."""

    save_every_steps: int = Field(10, ge=1)
    """Distance of checkpoints: what a kill can cost."""

    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints that stay on disk, beside the best one. Two: if the newest is damaged, one is left."""

    report_to: Literal["none", "tensorboard", "mlflow", "trackio", "wandb", "swanlab"] = "none"
    """Tracker that also gets the curves. Each is an extra of its own: pip install 'tianjing[mlflow]'. Without one the
    run folder holds loss.jsonl and loss.svg."""

    threads: int | None = Field(None, ge=1)
    """CPU threads of the training process; None takes every core it may use. Another number rounds sums differently."""

    seed: int = 0
    """Seeds adapter initialisation, row choice and order."""

    @model_validator(mode="before")
    @classmethod
    def _over_its_preset(cls, value: Any) -> Any:
        preset = value.get("preset") if isinstance(value, dict) else None
        # An unknown name is left to the field, whose error lists the known ones.
        return beneath(PRESETS[preset], value) if isinstance(preset, str) and preset in PRESETS else value

    @field_validator("method")
    @classmethod
    def _supervised(cls, value: str) -> str:
        if value != "sft":
            raise ValueError("preference training is not part of this version; use 'sft'")
        return value

    @model_validator(mode="after")
    def _compiles_one_shape(self) -> TrainConfig:
        if self.compile and self.pack_tokens is None:
            why = "compiles each shape anew, and rows side by side have many; set pack_tokens, or compile: false"
            raise self._refused("compile", why)
        if self.checkpointing == "selective" and self.pack_tokens is not None and not self.compile:
            why = "cannot look into the kernel of packed rows unless it is compiled with its layer; set compile: true"
            raise self._refused("checkpointing", why)
        return self

    @model_validator(mode="after")
    def _every_row_fits_a_bin(self) -> TrainConfig:
        if self.pack_tokens is not None and self.pack_tokens < self.max_length_tokens:
            why = (
                f"less than max_length_tokens ({self.max_length_tokens}): a row must fit one forward pass; raise the "
                "one or lower the other"
            )
            raise self._refused("pack_tokens", why)
        return self

    def _refused(self, field: str, why: str) -> ValidationError:
        """With the field's own place, so that the message names its line."""
        problem = PydanticCustomError("refused", "{why}", {"why": why})
        found = InitErrorDetails(type=problem, loc=(field,), input=getattr(self, field))
        return ValidationError.from_exception_data("TrainConfig", [found])

    @model_validator(mode="after")
    def _can_be_served(self) -> TrainConfig:
        """Refused with the field's own place, so that the message names its line."""
        if self.serve_with == "vllm":
            found = [(tuple(problem.field.split(".", 1)), problem.why) for problem in unserved(self.lora.peft())]
            if found:
                raise ValidationError.from_exception_data("TrainConfig", [_refused(self.lora, *each) for each in found])
        return self

    @property
    def batch_rows(self) -> int:
        """Rows of one optimiser step."""
        return self.micro_rows * self.micro_batches

    def result_fields(self) -> dict[str, Any]:
        """What the adapter's weights depend on: the fields that a manifest records and a resumed run must share."""
        return self.model_dump(mode="json", exclude=set(_BESIDE_THE_RESULT))


def _refused(lora: LoraSection, location: tuple[str, ...], why: str) -> InitErrorDetails:
    field, *inner = location
    name = _FIELD_OF_SECTION.get(field, field)
    value = getattr(lora, name)
    return InitErrorDetails(
        type=PydanticCustomError("unserved", "{why}, or set serve_with: transformers", {"why": why}),
        loc=("lora", name, *inner),
        input=value[".".join(inner)] if inner else value,
    )
