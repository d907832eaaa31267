"""Weights in shards (FSDP2) take the step of whole ones, and are written and read whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Two processes over gloo, torch's own fully_shard: accelerate runs FSDP on CPUs as DDP, in silence.
_IN_SHARDS = """
import contextlib
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch.distributed.fsdp import fully_shard

from tests.training.test_packing import ROWS, model_of
from training import layers
from training.head import SupervisedHead
from training.layout.packing import PackedBatch
from training.shards import is_sharded, load_adapter, load_state, whole, whole_adapter, whole_state
from training.step import batch_loss
from training.trainer import _through

folder = Path(sys.argv[1])
torch.distributed.init_process_group("gloo")
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
SHARES = [PackedBatch(128)(rows) for rows in (ROWS[:3], ROWS[3:])]


def adapted(sharded):
    torch.manual_seed(1)
    model = get_peft_model(
        model_of("Qwen3Config"), LoraConfig(r=3, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    )
    layers.set_up(model, "full", compiled=sharded, backend="eager")
    if sharded:
        for layer in model.get_base_model().get_decoder().layers:
            fully_shard(layer)
        fully_shard(model)
    trained = [value for value in model.parameters() if value.requires_grad]
    return model, torch.optim.AdamW(trained, lr=1e-2)


def loss_of(model, batch):
    causal = model.get_base_model()
    return batch_loss(
        causal.get_decoder(), SupervisedHead(causal.lm_head.weight), batch, contextlib.nullcontext()
    ).total


def step(model, optimiser):
    if is_sharded(model):
        loss = _through(model, model, lambda: loss_of(model, SHARES[rank])) * world  # gradients are averaged
        loss.backward()
        total = loss.detach() / world
        torch.distributed.all_reduce(total)
    else:
        total = sum(loss_of(model, batch) for batch in SHARES)
        total.backward()
    norm = whole(torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0))
    optimiser.step()
    optimiser.zero_grad()
    return total.item(), norm.item()


def assert_same(sharded, alone):
    ours, theirs = whole_adapter(sharded), whole_adapter(alone)
    assert ours.keys() == theirs.keys() and len(ours) == 8
    for name, value in theirs.items():
        assert torch.allclose(ours[name], value, atol=1e-5), name


sharded, alone = adapted(True), adapted(False)
assert is_sharded(sharded[0]) and not is_sharded(alone[0])
for ours, theirs in zip(step(*sharded), step(*alone), strict=True):
    assert abs(ours - theirs) < 1e-5 * max(1, theirs), (ours, theirs)
assert_same(sharded[0], alone[0])

weights, state = whole_adapter(sharded[0]), whole_state(sharded[1])
if rank == 0:
    sharded[0].save_pretrained(folder / "adapter", state_dict=weights)
    torch.save(state, folder / "optimiser.pt")
torch.distributed.barrier()
loaded = load_file(folder / "adapter" / "adapter_model.safetensors")
assert all(value.shape == alone[0].get_parameter(name.replace("weight", "default.weight")).shape
           for name, value in loaded.items()) and len(loaded) == 8

again = adapted(True)
step(*again), step(*again)  # somewhere else
load_adapter(again[0], loaded)
load_state(again[1], torch.load(folder / "optimiser.pt", weights_only=True))
for ours, theirs in zip(step(*again), step(*alone), strict=True):
    assert abs(ours - theirs) < 1e-5 * max(1, theirs), (ours, theirs)
assert_same(again[0], alone[0])
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_weights_in_shards_take_the_step_of_whole_ones_and_are_saved_and_restored_whole(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(_IN_SHARDS, encoding="utf-8")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, str(script), str(tmp_path)]
    # The script takes its models from the tests beside this one.
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=here)
    assert done.returncode == 0, done.stderr[-3000:]
