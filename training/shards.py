"""Weights and optimiser states that lie in shards over the processes (FSDP2): gathered before they are written.

Each process holds a slice of every tensor, as torch's DTensor. What is written must be whole: an adapter of one slice
loads nowhere. Every process takes part in gathering; the first one writes. What is read is cut again, by each process
for itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils import _pytree as pytree


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether the parameters of `model` lie in shards."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def whole(value: Any) -> Any:
    """A tensor in full, where it lies in shards; anything else as it is. Call it in every process."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def whole_adapter(model: Any) -> dict[str, torch.Tensor]:
    """What is trained, in full, on the CPU, by parameter name: the `state_dict` of peft's `save_pretrained`.

    Call it in every process.
    """
    return {
        name: whole(parameter.detach()).cpu() for name, parameter in model.named_parameters() if parameter.requires_grad
    }


@torch.no_grad()
def load_adapter(model: Any, saved: dict[str, torch.Tensor]) -> None:
    """Give the adapter of `model` the weights of an adapter file, whose names are peft's."""
    from peft import get_peft_model_state_dict

    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    for name, parameter in get_peft_model_state_dict(model, state_dict=parameters).items():
        parameter.copy_(_like(saved[name], parameter))


def whole_state(optimiser: Any) -> dict[str, Any]:
    """The optimiser's state, in full, on the CPU. Call it in every process."""
    state: dict[str, Any] = pytree.tree_map(
        lambda value: whole(value).cpu() if isinstance(value, torch.Tensor) else value, optimiser.state_dict()
    )
    return state


def load_state(optimiser: Any, saved: dict[str, Any]) -> None:
    """Give the optimiser a state that was saved in full."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state = {
        number: {name: _like(value, parameters[number]) for name, value in values.items()}
        for number, values in saved["state"].items()
    }
    optimiser.load_state_dict({**saved, "state": state})


def _like(value: Any, parameter: torch.Tensor) -> Any:
    """`value` cut as `parameter` is, where it has its shape (a moment of AdamW; a count of steps has not)."""
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    if not isinstance(parameter, DTensor):
        return value.to(parameter.device)
    # Every process has read the same: no source is asked.
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
