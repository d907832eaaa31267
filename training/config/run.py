"""The configuration of one training run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tianjing.config import StrictModel
from tianjing.tasks import SCENES, TASKS
from training.config.checks import problems
from training.config.lora import MAX_COUNT, LoraSection
from training.config.preference import Method, PreferenceSection
from training.config.presets import Preset, under

# What may differ between two starts of the same run: places, and what is kept or shown on the way.
# (Of what `adapter` and `replay` name, the digest stands among the inputs.)
_BESIDE_THE_RESULT: dict[str, Any] = {
    **dict.fromkeys(
        ("preset", "model", "dataset", "out", "adapter", "scenes", "report_to", "keep_checkpoints", "save_every_steps"),
        True,
    ),
    "replay": {"dataset"},
}
_OF_AN_ADAPTER = ("lora", "quantize", "serve_with")
# Tokens of a block of attention scores, which a kernel computes or leaves out as a whole.
BLOCK = 128
# More than any machine's cores; OpenMP ends the process, without a word, where it cannot start them.
MAX_THREADS = 1024
# A folder's name, and a server's name for the adapter (vLLM's --lora-modules NAME=PATH).
SceneName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class EvaluationSection(StrictModel, allow_inf_nan=False):
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


class ReplaySection(StrictModel, allow_inf_nan=False):
    """Rows of an older dataset among the new ones, so that what they taught is not forgotten (experience replay)."""

    dataset: str = Field(min_length=1)
    """Older dataset artefact, relative to the working directory."""

    share: float | None = Field(None, gt=0.0, lt=1.0)
    """Share of all rows that are the older dataset's: 0.2 is one replayed row to four new ones."""

    rows: PositiveInt | None = None
    """Number of replayed rows, in place of a share."""

    @model_validator(mode="after")
    def _one_measure(self) -> ReplaySection:
        if (self.share is None) == (self.rows is None):
            raise ValueError("needs share or rows, and not both")
        return self


class TrainConfig(StrictModel, allow_inf_nan=False):
    """Training of a LoRA adapter, or of all weights, on answers or on preferences; defaults are the preset `cpu`."""

    preset: Preset | None = None
    """Values taken beneath this file's own fields: `cpu`, `gpu-1`, `gpu-node` or `fsdp2` (training.config.presets)."""

    method: Method = "sft"
    """Supervised fine-tuning on train.parquet; `dpo` and `kto` learn from the pairs of preferences-train.parquet. These
    two take a learning_rate of 1e-5 where the file gives none."""

    preference: PreferenceSection | None = None
    """Of `dpo` and `kto`; None there takes the section's defaults."""

    model: str | None = Field(None, min_length=1)
    """Base model: a folder, `embedded`, `tiny` or a hub id. The command line's wins; None there too is `embedded`."""

    dataset: str | None = Field(None, min_length=1)
    """Dataset artefact, relative to the working directory. The command line's wins."""

    out: str | None = Field(None, min_length=1)
    """Folder of the adapter artefact, relative to the working directory. The command line's wins."""

    adapter: str | None = Field(None, min_length=1)
    """Adapter artefact to go on from, relative to the working directory; with scenes, the folder that holds one for
    each. It gives `lora` but for dropout and loraplus_ratio. None begins a fresh one."""

    replay: ReplaySection | None = None
    """Rows of an older dataset mixed in, with method sft. None trains on the new ones alone."""

    scenes: dict[SceneName, tuple[str, ...]] | None = None
    """One adapter for each scene, in OUT/NAME: a mapping of names to tasks, or a list of the scenes that are known
    (tianjing.tasks.SCENES). None trains one adapter on all tasks."""

    tune: Literal["lora", "full"] = "lora"
    """What is trained: an adapter beside the frozen base, or all weights, which are then kept in float32 with gradients
    and AdamW's two moments: 16 bytes for each parameter in memory, 12 in each checkpoint. For small models, and for
    more than an adapter can hold; `tianjing train plan` tells whether it fits."""

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
    wording around them has 1. More makes a short run learn what to answer before how to word it. Of sft alone."""

    epochs: float = Field(1.0, gt=0)
    """Passes over the chosen rows."""

    micro_rows: int = Field(4, ge=1, le=MAX_COUNT)
    """Rows (of `dpo` and `kto` pairs) of one forward pass, of like length; more rows need more memory and pad more. Not
    used with pack_tokens."""

    micro_batches: int = Field(2, ge=1)
    """Forward passes of one optimiser step, of other kinds of rows: a step has micro_rows x micro_batches rows."""

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
    """Peak of the schedule; LoRA wants about ten times the rate of full fine-tuning. With `tune: full` the default is
    2e-5."""

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

    threads: int | None = Field(None, ge=1, le=MAX_THREADS)
    """CPU threads of the training process; None takes every core it may use. Another number rounds sums differently."""

    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seeds adapter initialisation, row choice and order. Of 32 bits, as numpy's generator takes it."""

    @model_validator(mode="before")
    @classmethod
    def _over_its_preset(cls, value: Any) -> Any:
        # An unknown name is left to the field, whose error lists the known ones.
        return under(value) if isinstance(value, dict) else value

    @field_validator("scenes", mode="before")
    @classmethod
    def _known_scenes(cls, value: Any) -> Any:
        """A list of names to what is known of them."""
        if not isinstance(value, list):
            return value
        unknown = [name for name in value if name not in SCENES]
        if unknown:
            raise ValueError(
                f"no scene {unknown[0]!r} is known; use {', '.join(SCENES)}, or a mapping of names to tasks"
            )
        return {name: SCENES[name] for name in value}

    @field_validator("scenes")
    @classmethod
    def _known_tasks(cls, value: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        for name, tasks in (value or {}).items():
            unknown = [task for task in tasks if task not in TASKS]
            if unknown or not tasks:
                what = f"no task {unknown[0]!r} is known" if unknown else "has no task"
                raise ValueError(f"scene {name}: {what}; tasks are {', '.join(TASKS)}")
        if value == {}:
            raise ValueError("names no scene; leave it out, or name one")
        return value

    @field_validator("max_rows_per_task")
    @classmethod
    def _rows_of_known_tasks(cls, value: int | dict[str, int] | None) -> int | dict[str, int] | None:
        unknown = [task for task in value if task not in TASKS] if isinstance(value, dict) else []
        if unknown:
            raise ValueError(f"no task {unknown[0]!r} is known; tasks are {', '.join(TASKS)}")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> TrainConfig:
        """Refused at the fields' own places, so that the message names their lines."""
        found = [
            InitErrorDetails(
                type=PydanticCustomError("refused", "{why}", {"why": problem.why}),
                loc=problem.place,
                input=problem.value,
            )
            for problem in problems(self)
        ]
        if found:
            raise ValidationError.from_exception_data("TrainConfig", found)
        return self

    @property
    def batch_rows(self) -> int:
        """Rows of one optimiser step."""
        return self.micro_rows * self.micro_batches

    def result_fields(self) -> dict[str, Any]:
        """What the trained weights depend on: the fields that a manifest records and a resumed run must share."""
        beside = _BESIDE_THE_RESULT | (dict.fromkeys(_OF_AN_ADAPTER, True) if self.tune == "full" else {})
        return self.model_dump(mode="json", exclude=beside)

    @property
    def preferences(self) -> PreferenceSection:
        """The section, or its defaults."""
        return self.preference or PreferenceSection()
