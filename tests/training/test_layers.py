"""What a GPU run switches on changes no number, and a whole step stays on its device."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from tests.training.test_packing import ROWS, model_of, row
from training import layers
from training.config import TrainConfig
from training.head import SupervisedHead
from training.layers import Checkpointing
from training.layout import flex, trunk
from training.layout.packing import PackedBatch
from training.step import batch_loss, to_device


def adapted(name: str = "Qwen3Config", **more: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    model = model_of(name, **more)
    torch.manual_seed(1)
    targets = ["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"]
    return get_peft_model(model, LoraConfig(r=4, target_modules=targets, init_lora_weights=False))


def step(model: Any, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    causal = model.get_base_model()
    loss = batch_loss(causal.get_decoder(), SupervisedHead(causal.lm_head.weight), batch, contextlib.nullcontext())
    loss.total.backward()
    return loss.total.item(), {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def assert_same(one: tuple[float, dict[str, torch.Tensor]], other: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    assert one[1].keys() == other[1].keys()
    assert all(torch.allclose(one[1][name], other[1][name], atol=1e-6) for name in one[1])


def kept_bytes(model: Any, batch: dict[str, Any]) -> int:
    """What autograd and the checkpoints keep of the decoder, weights not counted."""
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        states = trunk.run(model.get_base_model().get_decoder(), batch)
    assert states.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("checkpointing", ["selective", "full"])
def test_what_is_computed_again_has_the_same_gradients(checkpointing: Checkpointing) -> None:
    batch = PackedBatch(160)(ROWS)
    plain, again = adapted(), adapted()
    layers.set_up(again, checkpointing, compiled=False)
    assert_same(step(again, batch), step(plain, batch))


def test_full_checkpointing_keeps_the_input_of_each_layer_alone() -> None:
    batch = PackedBatch(160)(ROWS)
    full = adapted()
    layers.set_up(full, "full", compiled=False)
    states = 160 * 48 * 4
    assert kept_bytes(full, batch) < 8 * states < kept_bytes(adapted(), batch)


def test_selective_checkpointing_computes_no_wide_product_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Products(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if operation is torch.ops.aten.mm.default and min(*args[0].shape, *args[1].shape) > 4:
                self.count += 1
            return operation(*args, **(kwargs or {}))

    counts = {}
    kinds: tuple[Checkpointing, ...] = ("none", "selective", "full")
    for checkpointing in kinds:
        model = adapted()
        layers.set_up(model, checkpointing, compiled=False)
        with Products() as products:
            step(model, PackedBatch(160)(ROWS))
        counts[checkpointing] = products.count
    assert counts["none"] == counts["selective"] < counts["full"]


@pytest.mark.slow
def test_compiled_layers_have_two_graphs_at_any_depth_and_for_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import flex_attention as torch_flex

    monkeypatch.setattr(torch_flex, "_validate_device", lambda *_: None)  # see test_packing
    masks = flex.masks
    monkeypatch.setattr(trunk, "masks", lambda batch, config, device: masks(batch, config, device, blocks=True))
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    model = adapted(num_hidden_layers=4)
    layers.set_up(model, "selective", compiled=True, backend=backend)
    other = PackedBatch(256)([*ROWS[:3], row(1, 40, 9)])
    for batch in (PackedBatch(256)(ROWS), other):
        model.zero_grad()
        plain = adapted(num_hidden_layers=4)
        monkeypatch.setattr(trunk, "masks", masks)
        expected = step(plain, batch)
        monkeypatch.setattr(trunk, "masks", lambda batch, config, device: masks(batch, config, device, blocks=True))
        assert_same(step(model, batch), expected)
    # The first layer's input needs no gradient: a graph of its own.
    assert len(graphs) == 2


@pytest.mark.parametrize("checkpointing", ["none", "full"])
def test_a_step_stays_on_its_device_and_reads_nothing_from_it(
    checkpointing: Checkpointing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._subclasses import FakeTensorMode
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.nn.attention import flex_attention as torch_flex

    monkeypatch.setattr(torch_flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(flex, "_compiled", lambda: torch_flex.flex_attention)
    mode = FakeTensorMode()  # shapes and devices alone; a tensor of another device, or a look at a value, raises

    def pretend(tensor: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = FakeTensor(mode, tensor.detach().to("meta"), torch.device("meta"))
        return made

    model = adapted()
    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                module._parameters[name] = torch.nn.Parameter(pretend(value), requires_grad=value.requires_grad)
        for name, buffer in list(module._buffers.items()):
            module._buffers[name] = None if buffer is None else pretend(buffer)
    layers.set_up(model, checkpointing, compiled=False)
    causal = model.get_base_model()
    made = PackedBatch(256)(ROWS)
    batch = {
        name: mode.from_tensor(value) if isinstance(value, torch.Tensor) else value for name, value in made.items()
    }
    with mode:
        moved = to_device(batch, torch.device("meta"))
        head = SupervisedHead(causal.lm_head.weight)
        batch_loss(causal.get_decoder(), head, moved, contextlib.nullcontext()).total.backward()
    trained = [value for value in model.parameters() if value.requires_grad]
    assert all(value.grad is not None and value.grad.device.type == "meta" for value in trained)


def test_compilation_without_packing_is_refused_and_so_is_what_a_kernel_hides() -> None:
    with pytest.raises(ValueError, match="set pack_tokens, or compile: false"):
        TrainConfig(compile=True)
    with pytest.raises(ValueError, match="set compile: true"):
        TrainConfig(checkpointing="selective", pack_tokens=1024)
    TrainConfig(checkpointing="selective")
    TrainConfig(checkpointing="selective", pack_tokens=1024, compile=True)
