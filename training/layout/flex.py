"""Attention of packed rows: each token sees its own row and the prefix that the row stands behind, and nothing else.

On an accelerator torch's flex_attention (Dong et al. 2024, arXiv 2412.05496) compiles that rule into its kernel, which
leaves out every block of scores that the rule empties. It needs no package beside torch, and unlike the variable-length
kernels of FlashAttention it can say that several rows stand behind one prefix. On a CPU it has no backward pass; there
the same rule becomes a mask for torch's scaled dot product attention.

Shape suffixes: H query heads, G key-value heads, T tokens of the packed sequence, K head width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask, flex_attention

from training.errors import TrainingError

# What may attend to what, for each sliding window (tokens) that a layer of the model has; None is no window.
Masks = dict[int | None, BlockMask | torch.Tensor]

Rule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def rule(documents_T: torch.Tensor, prefixes_T: torch.Tensor, positions_T: torch.Tensor, window: int | None) -> Rule:
    """Which key a query may see, as flex_attention asks for it: (batch, head, query, key) to a truth value.

    Args:
        documents_T: number of the part of the sequence that a token belongs to: a prefix, or a row's own part.
        prefixes_T: number of the prefix that a token's part stands behind; of the part itself where there is none.
        positions_T: places of the tokens in the rows that they belong to.
        window: tokens that a query sees at most, itself included.
    """

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        within = (documents_T[key] == documents_T[query]) | (documents_T[key] == prefixes_T[query])
        seen = within & (key <= query)
        return seen if window is None else seen & (positions_T[query] - positions_T[key] < window)

    return sees


def masks(batch: dict[str, Any], config: Any, device: torch.device, blocks: bool | None = None) -> Masks:
    """The masks of a packed micro-batch, made once for all layers.

    Args:
        batch: of `training.layout.packing.PackedBatch`.
        config: of the decoder; names the sliding windows of its layers.
        blocks: for flex_attention; None decides by the device.
    """
    documents_T, prefixes_T, positions_T = (
        batch[name][0].to(device) for name in ("documents", "prefixes", "position_ids")
    )
    length = len(documents_T)
    make: Any = create_block_mask if (device.type != "cpu" if blocks is None else blocks) else create_mask
    return {
        window: make(rule(documents_T, prefixes_T, positions_T, window), None, None, length, length, device=str(device))
        for window in windows(config)
    }


def windows(config: Any) -> set[int | None]:
    """Sliding windows of a decoder's layers; None stands for layers that see everything before."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return {window if kind == "sliding_attention" else None for kind in kinds}


def attend_packed(
    query_1HTK: torch.Tensor,
    key_1GTK: torch.Tensor,
    value_1GTK: torch.Tensor,
    mask: BlockMask | torch.Tensor,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attention output [1, T, H, K].

    Raises:
        TrainingError: the model drops attention weights while training, which flex_attention cannot.
    """
    if dropout:
        raise TrainingError(
            f"the model drops {dropout:g} of its attention weights, which packed rows are not computed with",
            "set pack_tokens to null, or attention_dropout to 0 in the model's config.json",
        )
    # Norms of queries and keys may leave them in fp32 under autocast; a kernel takes one type.
    query_1HTK, key_1GTK = query_1HTK.to(value_1GTK.dtype), key_1GTK.to(value_1GTK.dtype)
    if isinstance(mask, torch.Tensor):
        out_1HTK = functional.scaled_dot_product_attention(
            query_1HTK, key_1GTK, value_1GTK, attn_mask=mask, scale=scaling, enable_gqa=True
        )
    else:
        kernel: Any = flex_attention if torch.compiler.is_compiling() else _compiled()
        out_1HTK = kernel(query_1HTK, key_1GTK, value_1GTK, block_mask=mask, scale=scaling, enable_gqa=True)
    return out_1HTK.transpose(1, 2).contiguous()


@functools.cache
def _compiled() -> Any:
    """flex_attention as a kernel: uncompiled it would hold the scores of every pair of tokens."""
    return torch.compile(flex_attention, dynamic=False)
