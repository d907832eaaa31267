"""The loss of one micro-batch: decoder, then the head on supervised tokens alone. Whatever loops over steps calls it.

Shape suffixes: T tokens of the laid-out sequence, D model width, S supervised tokens.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from training.head import HeadLoss, SupervisedHead
from training.layout.trunk import run


def batch_loss(
    decoder: Any, head: SupervisedHead, batch: dict[str, Any], autocast: AbstractContextManager[Any]
) -> HeadLoss:
    """Weighted token losses of a micro-batch that `training.layout.batches` or `training.layout.packing` laid out.

    Nothing is read from the device: on a GPU the call returns before the work is done.
    """
    with autocast:
        hidden_1TD = run(decoder, batch)
    # Told by the collator: to look for the labels here would wait for the device.
    places_S = batch["predicting"]
    targets_S = batch["labels"][0].index_select(0, places_S + 1)
    weights_S = batch["loss_weights"][0].index_select(0, places_S + 1)
    return head(hidden_1TD[0].index_select(0, places_S), targets_S, weights_S)


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch with its tensors on `device`, without waiting for them to arrive."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in batch.items()
    }
