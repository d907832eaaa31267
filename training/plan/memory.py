"""Memory of a training step by part, from the model's shape and a micro-batch's layout, before anything is loaded.

What autograd keeps of a decoder layer is counted operation by operation, in the manner of Korthikanti et al. 2022
(arXiv 2205.05198, section 4.1), for the layers that Llama, Qwen2, Qwen3 and Gemma 3 have: RMS norms in fp32 (Zhang and
Sennrich 2019), grouped-query attention (`training.layout.attention` lays prefix and rows side by side; of packed rows
`training.layout.flex` keeps what goes in and what comes out), a gated MLP, and LoRA pairs beside frozen matrices, which
need their input where the frozen ones need none; or matrices and norms that are all trained.
`tests/training/test_memory.py` holds it against what autograd really saves.

Shape suffixes: T tokens of the laid-out sequence, P of the prefix, R rows, L tokens of the longest own part, D model
width, I width of the MLP, A query heads x head width, V vocabulary. All results are bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from training.config import TrainConfig
from training.head import CHUNK
from training.layout.attention import Layout
from training.layout.packing import PackedLayout
from training.layout.trunk import MAX_KEPT_BYTES
from training.plan.audit import Epochs

AnyLayout = Layout | PackedLayout

_FP32 = 4
# AdamW keeps two moments (Kingma and Ba 2015; Loshchilov and Hutter 2019), in the type of what it trains: fp32 here.
_MOMENTS = 2
# Half a byte, and a scale in fp32 for every 64 of them (Dettmers et al. 2023, arXiv 2305.14314, without its second
# quantisation of the scales).
_NF4 = 0.5 + 4 / 64
# Where a decoder layer has each linear layer.
_BLOCKS = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn") | dict.fromkeys(
    ("gate_proj", "up_proj", "down_proj"), "mlp"
)


@dataclass(frozen=True)
class Shape:
    """What the memory of a decoder depends on; counts are of numbers, not bytes."""

    layers: int
    width: int
    mlp_width: int
    query_width: int
    """Query heads x head width."""
    key_width: int
    """Key-value heads x head width."""
    heads: int
    vocabulary: int
    parameters: int
    """A tied matrix once."""
    wide_norms: int
    """Norms of a layer over the model width: two, in Gemma four."""
    head_norms: bool
    """Whether queries and keys are normalised."""

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape of a transformers configuration; the model is built without memory and counted."""
        import torch
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        text = config.get_text_config()
        heads = text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // heads
        layer = model.get_decoder().layers[0]
        norms = [module.weight.shape[0] for module in layer.modules() if "Norm" in type(module).__name__]
        return cls(
            layers=text.num_hidden_layers,
            width=text.hidden_size,
            mlp_width=text.intermediate_size,
            query_width=heads * width,
            key_width=text.num_key_value_heads * width,
            heads=heads,
            vocabulary=model.get_output_embeddings().weight.shape[0],
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            wide_norms=sum(size == text.hidden_size for size in norms),
            head_norms=any(name.endswith("q_norm") for name, _ in layer.named_modules()),
        )


@dataclass(frozen=True)
class Precision:
    """Bytes of a number: of the base weights and of what the layers compute in."""

    weights: int
    compute: int

    @classmethod
    def named(cls, name: str, in_full: bool = False) -> Precision:
        """`bfloat16`, under autocast, or `float32`; weights that are all trained are float32."""
        size = 2 if name == "bfloat16" else _FP32
        return cls(_FP32 if in_full else size, size)


def projections(shape: Shape) -> dict[str, tuple[int, int]]:
    """(input, output) width of each linear layer that LoRA can stand beside."""
    D, I, A, G = shape.width, shape.mlp_width, shape.query_width, shape.key_width  # noqa: E741
    return {
        "q_proj": (D, A),
        "k_proj": (D, G),
        "v_proj": (D, G),
        "o_proj": (A, D),
        "gate_proj": (D, I),
        "up_proj": (D, I),
        "down_proj": (I, D),
    }


def adapter_parameters(shape: Shape, config: TrainConfig) -> int:
    """rank x (input + output) of every adapted matrix (Hu et al. 2021, arXiv 2106.09685)."""
    widths = projections(shape)
    return sum(
        rank * sum(widths[name])
        for layer in range(shape.layers - adapted_layers(shape, config), shape.layers)
        for name, rank in ranks(config, layer).items()
    )


def ranks(config: TrainConfig, layer: int) -> dict[str, int]:
    """Rank of each adapted matrix of a layer, also where `rank_pattern` sets it."""
    return {
        name: _rank(config, f"model.layers.{layer}.{_BLOCKS[name]}.{name}")
        for name in _BLOCKS.keys() & set(config.lora.targets)
    }


def _rank(config: TrainConfig, path: str) -> int:
    # As peft looks a module up: the first pattern that ends its name.
    patterns = config.lora.rank_pattern.items()
    return next((rank for name, rank in patterns if re.match(rf".*\.{name}$", path)), config.lora.rank)


def trained_parameters(shape: Shape, config: TrainConfig) -> int:
    """What has a gradient and AdamW's moments: the adapter, or every weight."""
    return shape.parameters if config.tune == "full" else adapter_parameters(shape, config)


def adapted_layers(shape: Shape, config: TrainConfig) -> int:
    """Layers that hold an adapter, or all; the backward pass ends at the first of them."""
    return min(config.lora.top_layers or shape.layers, shape.layers)


def kept_states(shape: Shape, config: TrainConfig, precision: Precision, row_tokens: int) -> int:
    """States of the frozen layers of every row, where `training.layout.trunk` keeps them."""
    size = shape.width * precision.weights * row_tokens
    kept = adapted_layers(shape, config) < shape.layers and config.epochs > 1 and size <= MAX_KEPT_BYTES
    return size if kept else 0


def activations(shape: Shape, config: TrainConfig, precision: Precision, layout: AnyLayout) -> int:
    """What stands between the forward and the backward pass, and of a layer that is computed again what it then keeps.

    Compiled layers keep less, as the compiler decides; they are counted as if they were not compiled.
    """
    layers = range(shape.layers - adapted_layers(shape, config), shape.layers)
    of_layer = [layer_activations(shape, config, precision, layout, layer) for layer in layers]
    if config.checkpointing == "none":
        return sum(of_layer)
    e, T = precision.compute, layout.tokens
    kept = T * shape.width * e
    if config.checkpointing == "selective":
        products = sum(output for _, output in projections(shape).values())
        kept += T * products * e + T * shape.query_width * e + T * shape.heads * _FP32
    return len(of_layer) * kept + max(of_layer)


def layer_activations(
    shape: Shape, config: TrainConfig, precision: Precision, layout: AnyLayout, layer: int | None = None
) -> int:
    """What autograd keeps of one trained layer, the last if none is named, where nothing is computed again."""
    e, T = precision.compute, layout.tokens
    in_full = config.tune == "full"
    D, I, A = shape.width, shape.mlp_width, shape.query_width  # noqa: E741
    norms = shape.wide_norms * (D + 1) * T * _FP32
    if shape.head_norms:
        norms += (A + shape.key_width + (A + shape.key_width) // (A // shape.heads)) * T * _FP32
    if isinstance(layout, PackedLayout):
        # Queries, keys and values, and of each row of scores its maximum and its sum; the result is o_proj's input.
        result = 0 if in_full or "o_proj" in config.lora.targets else T * A * e
        attention = T * (A + 2 * shape.key_width) * e + result + 2 * T * shape.heads * _FP32
    else:
        attention = _side_by_side(shape, layout, e, in_full)
    mlp = 3 * T * I * e  # the gate before and after its activation, and what it is multiplied with
    if in_full:
        return norms + attention + mlp + _trained_weights(shape, T, e)
    adapted = ranks(config, shape.layers - 1 if layer is None else layer)
    return norms + attention + mlp + _adapter_inputs(shape, adapted, T, e)


def _side_by_side(shape: Shape, layout: Layout, e: int, in_full: bool) -> int:
    T, P, A = layout.tokens, layout.prefix, shape.query_width
    R, L = len(layout.lengths), max(layout.lengths)
    # The prefix's pass keeps queries, and keys and values repeated for every query head; as views, which keep all T.
    # Where float32 weights make the rotary embedding float32, autocast copies queries and keys of the prefix alone.
    views = T + 2 * P if in_full and e != _FP32 else 3 * T
    prefix = views * A * e + P * A * e + P * shape.heads * _FP32 if P else 0
    # Then each row beside its own copy of the prefix, under one mask, or one for each row with branches.
    masks = (R if layout.forks else 1) * L * (P + L) * e
    return prefix + 2 * R * L * A * e + 2 * R * (P + L) * A * e + masks + R * L * shape.heads * _FP32


def _trained_weights(shape: Shape, T: int, e: int) -> int:
    """What gradients of the weights need: inputs of the matrices, normalised states, and autocast's copies of the
    matrices."""
    widths = projections(shape)
    kept = shape.wide_norms * shape.width * T * _FP32
    if e == _FP32:
        kept += _adapter_inputs(shape, dict.fromkeys(widths, 0), T, e)
    else:  # autocast copies its input for each matrix, and the matrices
        kept += sum(first * (T + last) for first, last in widths.values()) * e
    if shape.head_norms:
        own = _FP32 if shape.wide_norms > 2 else e  # Gemma's norms stay in fp32 up to their weight
        kept += (shape.query_width + shape.key_width) * T * own
    return kept


def _adapter_inputs(shape: Shape, adapted: dict[str, int], T: int, e: int) -> int:
    """Inputs of LoRA's A and B: neighbours share one tensor. Autocast makes copies of A and B."""
    widths = projections(shape)
    low = sum(adapted.values()) * T * e
    groups = ({"q_proj", "k_proj", "v_proj"}, {"o_proj"}, {"gate_proj", "up_proj"}, {"down_proj"})
    shared = sum(widths[min(group & adapted.keys())][0] for group in groups if group & adapted.keys())
    casts = sum(rank * sum(widths[name]) for name, rank in adapted.items()) * e if e != _FP32 else 0
    return low + shared * T * e + casts


def working_set(shape: Shape, precision: Precision, layout: AnyLayout) -> int:
    """What the backward pass of one layer needs beside what was kept: gradients of the MLP's parts, or of the
    attention's, whichever is more."""
    e, T = precision.compute, layout.tokens
    mlp = 3 * T * shape.mlp_width * e
    if isinstance(layout, PackedLayout):
        beside = 2 * T * (shape.query_width + shape.key_width) * e
    else:
        R, L = len(layout.lengths), max(layout.lengths)
        beside = 2 * (R * L + 2 * R * (layout.prefix + L)) * shape.query_width * e
    return max(mlp, beside) + 2 * T * shape.width * e


def head_buffers(shape: Shape, config: TrainConfig, precision: Precision, supervised: int, chunk: int = CHUNK) -> int:
    """The scores of a chunk of supervised tokens: in the type of the scores, and twice in fp32 (`training.head`).

    Beside them, of a trained matrix: its gradient, and its copy in the type of the scores.
    """
    scores = min(chunk, supervised) * shape.vocabulary * (precision.compute + 2 * _FP32)
    if config.tune != "full":
        return scores
    copy = 0 if precision.compute == precision.weights else precision.compute
    return scores + shape.vocabulary * shape.width * (_FP32 + copy)


@dataclass(frozen=True)
class Memory:
    """Bytes by part, at the largest micro-batch of the run and while the weights are read."""

    runtime: int
    weights: int
    adapter: int
    gradients: int
    optimiser: int
    kept_states: int
    activations: int
    working_set: int
    head: int
    loading: int
    """Beside the runtime, while the weights are read: they, and the mapped file where they are converted."""

    @property
    def step(self) -> int:
        """What a step holds when its backward pass begins."""
        return (
            self.runtime + self.weights + self.adapter + self.gradients + self.optimiser
            + self.kept_states + self.activations + self.working_set + self.head
        )  # fmt: skip

    @property
    def peak(self) -> int:
        """The most that is held at any time."""
        return max(self.step, self.runtime + self.loading)


def base_weights(shape: Shape, config: TrainConfig, precision: Precision) -> int:
    """Weights of the base, on a device: with `quantize` those of its linear layers in 4 bits."""
    linear = shape.layers * sum(width * output for width, output in projections(shape).values())
    if config.quantize is None:
        return shape.parameters * precision.weights
    return int(linear * _NF4) + (shape.parameters - linear) * precision.weights


def estimate(
    shape: Shape,
    config: TrainConfig,
    precision: Precision,
    run: Epochs,
    runtime: int,
    stored: int,
    chunk: int = CHUNK,
) -> Memory:
    """Memory of a run.

    Args:
        run: its micro-batches.
        runtime: bytes of the process, or of the device's context, before the model is there.
        stored: bytes of the weights on disk.
        chunk: tokens whose scores stand at a time (`training.head`).
    """
    micro = run.all
    largest = max(micro, key=lambda batch: step_part(shape, config, precision, batch.layout)).layout
    trained = trained_parameters(shape, config) * _FP32
    weights = base_weights(shape, config, precision)
    kept = activations(shape, config, precision, largest)
    working = working_set(shape, precision, largest)
    if config.tune == "full":
        # The gradient of the embeddings comes last, when the activations are gone.
        working = max(working, shape.vocabulary * shape.width * _FP32 - kept)
    return Memory(
        runtime=runtime,
        weights=weights,
        adapter=0 if config.tune == "full" else trained,
        gradients=trained,
        optimiser=_MOMENTS * trained,
        kept_states=kept_states(shape, config, precision, run.row_tokens),
        activations=kept,
        working_set=working,
        head=head_buffers(shape, config, precision, max(batch.supervised for batch in micro), chunk),
        loading=weights + (0 if weights == stored else stored),
    )


def step_part(shape: Shape, config: TrainConfig, precision: Precision, layout: AnyLayout) -> int:
    """The bytes that depend on the micro-batch: what orders micro-batches by their peak."""
    return activations(shape, config, precision, layout) + working_set(shape, precision, layout)
