"""The memory that is predicted is what autograd and the trainer really take."""

from __future__ import annotations

from typing import Any

import pytest

from training import layers as layers_of_training
from training.config import LINEAR_LAYERS, LoraSection, TrainConfig
from training.layout.attention import NAME, Layout
from training.plan.memory import (
    Precision,
    Shape,
    activations,
    adapter_parameters,
    head_buffers,
    kept_states,
    layer_activations,
)

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "max_position_embeddings": 512,
}


def config_of(name: str, layers: int) -> Any:
    import transformers

    head = {} if name == "Qwen2Config" else {"head_dim": 24}
    return getattr(transformers, name)(**SIZES, **head, num_hidden_layers=layers)


def adapted(
    name: str, layers: int, dtype: Any, lora: LoraSection, checkpointing: layers_of_training.Checkpointing = "none"
) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config_of(name, layers), attn_implementation=NAME, dtype=dtype)
        model = get_peft_model(
            model,
            LoraConfig(
                r=lora.rank,
                target_modules=list(lora.targets),
                rank_pattern=dict(lora.rank_pattern),
                task_type="CAUSAL_LM",
            ),
        )
    layers_of_training.set_up(model, checkpointing, compiled=False)
    return model


def tuned_in_full(name: str, layers: int) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = config_of(name, layers)
        return AutoModelForCausalLM.from_config(config, attn_implementation=NAME, dtype=torch.float32)


def batch(prefix: int, own: tuple[int, ...], forked: bool = False, room: int | None = None) -> dict[str, Any]:
    """Rows behind a common prefix; `forked`, each with two branches from its fourth own token on; in `room`, packed."""
    from training.layout.batches import SharedPrefix
    from training.layout.packing import PackedBatch
    from training.rows import IGNORED

    rows = []
    for number, length in enumerate(own):
        ids = [*range(5, 5 + prefix), *(100 + 40 * number + n for n in range(length))]
        labels = [IGNORED] * (len(ids) - 5) + ids[-5:]
        row = {"input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)}
        rows.append(row | ({"fork": (prefix + 3, prefix + 7)} if forked else {}))
    if room is not None:
        return PackedBatch(room)(rows)
    made = SharedPrefix()(rows)
    assert made["layout"] == Layout(prefix, own, ((3, 7),) * len(own) if forked else ())
    return made


def saved_bytes(model: Any, inputs: dict[str, Any], autocast: bool) -> int:
    """Storage that autograd keeps of a forward pass, weights and buffers not counted."""
    import torch

    from training.layers import causal_of
    from training.layout.trunk import run

    known = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in known:
            kept.setdefault(place, tensor)
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        states = run(causal_of(model).get_decoder(), inputs)
    total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del states
    return total


ALL = (40, (30, 22, 30), LINEAR_LAYERS)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "prefix", "own", "targets"),
    [
        *((name, *ALL) for name in ("Qwen3Config", "Qwen2Config", "LlamaConfig", "Gemma3TextConfig")),
        ("Qwen3Config", 0, (60, 41), LINEAR_LAYERS),
        ("Qwen2Config", 9, (50, 12), ("q_proj", "v_proj", "down_proj")),
    ],
)
def test_a_layer_keeps_what_the_formula_says(
    name: str, precision: str, prefix: int, own: tuple[int, ...], targets: tuple[str, ...]
) -> None:
    import torch

    lora = LoraSection(rank=8, targets=targets)
    inputs = batch(prefix, own)
    dtype = getattr(torch, precision)
    # Two models that differ by one layer: what stands once (rotary tables, last norm) falls out.
    two, three = (saved_bytes(adapted(name, layers, dtype, lora), inputs, precision == "bfloat16") for layers in (2, 3))
    shape = Shape.of(config_of(name, 2))
    formula = layer_activations(shape, TrainConfig(lora=lora), Precision.named(precision), inputs["layout"])
    assert formula == pytest.approx(three - two, rel=0.01)


def test_branches_take_a_mask_for_each_row() -> None:
    import torch

    lora = LoraSection(rank=8)
    inputs = batch(40, (30, 22, 30), forked=True)
    two, three = (saved_bytes(adapted("Qwen3Config", n, torch.float32, lora), inputs, False) for n in (2, 3))
    shape = Shape.of(config_of("Qwen3Config", 2))
    formula = layer_activations(shape, TrainConfig(lora=lora), Precision.named("float32"), inputs["layout"])
    assert formula == pytest.approx(three - two, rel=0.01)


FULL = TrainConfig(tune="full")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "prefix", "own"),
    [
        *((name, 40, (30, 22, 30)) for name in ("Qwen3Config", "Qwen2Config", "LlamaConfig", "Gemma3TextConfig")),
        ("Qwen3Config", 0, (60, 41)),
    ],
)
def test_a_layer_whose_weights_are_all_trained_keeps_what_the_formula_says(
    name: str, precision: str, prefix: int, own: tuple[int, ...]
) -> None:
    inputs = batch(prefix, own)
    two, three = (saved_bytes(tuned_in_full(name, layers), inputs, precision == "bfloat16") for layers in (2, 3))
    shape = Shape.of(config_of(name, 2))
    formula = layer_activations(shape, FULL, Precision.named(precision, in_full=True), inputs["layout"])
    assert formula == pytest.approx(three - two, rel=0.01)


def test_full_tuning_holds_weights_gradients_and_two_moments_in_float32() -> None:
    from training.plan.audit import epochs
    from training.plan.memory import estimate
    from training.rows import IGNORED, TokenRow

    shape = Shape.of(config_of("Qwen3Config", 3))
    rows = [TokenRow(f"r{n}", [5, 6, 7, n], [IGNORED, IGNORED, 7, n], [1.0] * 4) for n in range(8)]
    memory = estimate(shape, FULL, Precision.named("bfloat16", in_full=True), epochs(rows, FULL), 0, 0)
    counted = sum(p.numel() for p in tuned_in_full("Qwen3Config", 3).parameters())
    assert (memory.weights, memory.adapter) == (4 * counted, 0)
    assert (memory.gradients, memory.optimiser) == (4 * counted, 8 * counted)
    assert memory.head >= 4 * shape.vocabulary * shape.width  # the gradient of the vocabulary matrix
    assert memory.activations + memory.working_set >= 4 * shape.vocabulary * shape.width  # and of the embeddings


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "targets", "checkpointing"),
    [
        ("Qwen3Config", LINEAR_LAYERS, "none"),
        ("Gemma3TextConfig", LINEAR_LAYERS, "none"),
        ("LlamaConfig", ("q_proj", "v_proj", "down_proj"), "none"),
        ("Qwen3Config", LINEAR_LAYERS, "full"),
    ],
)
def test_a_layer_of_packed_rows_keeps_what_the_formula_says(
    name: str,
    targets: tuple[str, ...],
    checkpointing: layers_of_training.Checkpointing,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch
    from torch.nn.attention import flex_attention as torch_flex

    from training.layout import flex, trunk

    # The kernel of an accelerator, in torch's reference of it.
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(flex, "_compiled", lambda: torch_flex.flex_attention)
    monkeypatch.setattr(trunk, "masks", lambda batch, config, device: flex.masks(batch, config, device, blocks=True))
    lora = LoraSection(rank=8, targets=targets)
    config = TrainConfig(lora=lora, checkpointing=checkpointing)
    inputs = batch(40, (30, 22, 30), room=256)
    dtype, autocast = getattr(torch, precision), precision == "bfloat16"
    two, three = (saved_bytes(adapted(name, layers, dtype, lora, checkpointing), inputs, autocast) for layers in (2, 3))
    formulas = [
        activations(Shape.of(config_of(name, layers)), config, Precision.named(precision), inputs["layout"])
        for layers in (2, 3)
    ]
    assert formulas[1] - formulas[0] == pytest.approx(three - two, rel=0.01)


def test_the_adapter_is_counted_to_the_number() -> None:
    import torch

    lora = LoraSection(rank=8, rank_pattern={"down_proj": 12, "layers.2.mlp.up_proj": 4})
    model = adapted("Qwen3Config", 3, torch.float32, lora)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    config = TrainConfig(lora=lora)
    shape = Shape.of(config_of("Qwen3Config", 3))
    assert adapter_parameters(shape, config) == trained
    assert shape.parameters == sum(p.numel() for p in model.parameters()) - trained


def test_head_buffers_are_those_of_the_head() -> None:
    import torch

    from training.head import SupervisedHead

    shape = Shape.of(config_of("LlamaConfig", 1))
    for count in (7, 1000):
        head = SupervisedHead(torch.zeros(500, 64))
        head(torch.zeros(count, 64), torch.zeros(count, dtype=torch.long), torch.ones(count))
        assert head._buffers is not None
        made = sum(buffer.untyped_storage().nbytes() for buffer in head._buffers)
        assert head_buffers(shape, TrainConfig(), Precision.named("float32"), count) == made


def test_states_are_kept_only_where_the_trainer_keeps_them() -> None:
    shape = Shape.of(config_of("LlamaConfig", 4))
    precision = Precision.named("bfloat16")
    top = TrainConfig(lora=LoraSection(top_layers=2), epochs=2)
    assert kept_states(shape, top, precision, 1000) == 1000 * 64 * 2
    assert kept_states(shape, top, precision, 1 << 24) == 0  # more than the trainer's limit of 1 GiB
    assert kept_states(shape, TrainConfig(epochs=2), precision, 1000) == 0
    assert kept_states(shape, TrainConfig(lora=LoraSection(top_layers=2)), precision, 1000) == 0
