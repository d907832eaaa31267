"""The frozen trunk: layers below the first adapted one are computed once per row, not once per row and epoch.

An adapter on the last n layers leaves everything below them fixed, so the states that enter the first adapted layer
are the same in every epoch. They are computed before the first step, without a graph, and kept; a step then runs the
adapted layers alone.

Shape suffixes: T tokens of a laid-out sequence (`training.layout.batches`), D model width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.layout.attention import NAME as SHARED_PREFIX
from training.layout.batches import SharedPrefix, by_opening
from training.layout.flex import masks
from training.layout.packing import PackedLayout

# States beyond this are not kept: the trunk is then computed in every epoch.
MAX_KEPT_BYTES = 1 << 30

OnRows = Callable[[int], None]


@dataclass(frozen=True)
class Trunk:
    """A decoder in two parts that share its weights: `lower` ends before the first adapted layer."""

    lower: nn.Module
    upper: nn.Module

    @classmethod
    def split(cls, decoder: Any, first_adapted: int) -> Trunk:
        """Cut a decoder of the usual shape (embeddings, `layers`, `norm`) before layer `first_adapted`."""
        layers = list(decoder.layers)
        lower = _part(decoder, layers, 0, first_adapted)
        lower.norm = nn.Identity()
        return cls(lower, _part(decoder, layers, first_adapted, len(layers)))

    @torch.no_grad()
    def states(
        self,
        rows: Sequence[dict[str, Any]],
        group: int,
        autocast: Callable[[], AbstractContextManager[Any]],
        on_rows: OnRows = lambda rows: None,
    ) -> list[torch.Tensor]:
        """States [length, D] that enter the first adapted layer, for each row.

        Rows are laid out in fixed groups, by opening and position, so that a resumed run sees the same bits.
        """
        kept: dict[int, torch.Tensor] = {}
        collate = SharedPrefix()
        for members in by_opening([row["input_ids"] for row in rows]):
            for start in range(0, len(members), group):
                chosen = members[start : start + group]
                batch = collate([rows[index] for index in chosen])
                with autocast():
                    hidden_TD = run(self.lower, batch)[0].cpu()
                prefix = at = batch["layout"].prefix
                for index in chosen:
                    rest = len(rows[index]["input_ids"]) - prefix
                    kept[index] = torch.cat([hidden_TD[:prefix], hidden_TD[at : at + rest]])
                    at += rest
                on_rows(len(chosen))
        return [kept[index] for index in range(len(rows))]


def run(decoder: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
    """States [1, T, D] after `decoder`, from the batch's states if it carries them, else from its tokens.

    Raises:
        ValueError: the model would attend across rows.
    """
    if decoder.config._attn_implementation != SHARED_PREFIX:  # type: ignore[union-attr]
        raise ValueError(f"load the model with attn_implementation='{SHARED_PREFIX}': its rows share one sequence")
    device = next(decoder.parameters()).device
    layout = batch["layout"]
    if isinstance(layout, PackedLayout):
        layout = masks(batch, decoder.config, device)
    name = "inputs_embeds" if "inputs_embeds" in batch else "input_ids"
    states: torch.Tensor = decoder(
        **{name: batch[name].to(device)},
        position_ids=batch["position_ids"].to(device),
        attention_mask=None,
        layout=layout,
        use_cache=False,
    ).last_hidden_state
    return states


def _part(decoder: Any, layers: list[nn.Module], first: int, end: int) -> Any:
    """A view of the decoder with layers [first, end): the same modules, its own module table and configuration."""
    part = copy.copy(decoder)
    part._modules = dict(decoder._modules)
    part.layers = nn.ModuleList(layers[first:end])
    part.config = copy.copy(decoder.config)
    part.config.num_hidden_layers = end - first
    kinds = getattr(decoder.config, "layer_types", None)
    if kinds is not None:
        part.config.layer_types = kinds[first:end]
    return part
