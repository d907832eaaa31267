"""Attention over a shared prefix: each row's own tokens attend to the prefix and to themselves; no more is computed.

As one sequence with a mask, rows x own tokens would meet rows x own tokens, most of it masked out. Registered with
transformers as an attention implementation, so that every decoder that takes one can be trained with it.

Shape suffixes: H query heads, G key-value heads, T tokens of the laid-out sequence, P of the prefix, R rows, L tokens
of the longest row's own part, K head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from training.errors import TrainingError
from training.layout.flex import Masks, attend_packed

NAME = "shared_prefix"


@dataclass(frozen=True)
class Layout:
    """One sequence: `prefix` tokens, then each row's own `lengths`."""

    prefix: int
    lengths: tuple[int, ...]
    forks: tuple[tuple[int, int], ...] = ()
    """Where in each row's own part its two branches begin; neither sees the other. Empty: no row has branches."""

    @property
    def reach(self) -> int:
        """The most tokens that one token sees, itself included."""
        if not self.forks:
            return self.prefix + max(self.lengths)
        branches = zip(self.forks, self.lengths, strict=True)
        return self.prefix + max(max(second, first + length - second) for (first, second), length in branches)

    @property
    def tokens(self) -> int:
        """Length T of the sequence: what the decoder computes."""
        return self.prefix + self.own

    @property
    def row_tokens(self) -> int:
        """Tokens of the rows, each in full."""
        return len(self.lengths) * self.prefix + self.own

    @property
    def own(self) -> int:
        """Tokens behind the prefix."""
        return sum(self.lengths)

    @property
    def room(self) -> int:
        """Places in which the attention computes them: every row is padded to the longest."""
        return len(self.lengths) * max(self.lengths)

    @property
    def padded(self) -> int:
        """Tokens of the same rows where each is padded to the longest and nothing is shared."""
        return len(self.lengths) * self.prefix + self.room


def attend(
    module: torch.nn.Module,
    query_1HTK: torch.Tensor,
    key_1GTK: torch.Tensor,
    value_1GTK: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | Masks | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention output [1, T, H, K]. Without a `layout`, causal attention as transformers computes it.

    Args:
        layout: of one micro-batch; the masks of `training.layout.flex` where its rows are packed.

    Raises:
        TrainingError: a row is longer than the layer's sliding window, or the layer wants more than softmax attention.
    """
    for name in ("s_aux", "softcap"):
        if more.get(name) is not None:
            raise TrainingError(
                f"the model's attention has {'sinks' if name == 's_aux' else 'capped scores'} ({name}), which are not "
                "computed here",
                "use a model of plain softmax attention, such as Llama, Qwen3 or Gemma 3",
            )
    if layout is None:
        return sdpa_attention_forward(
            module, query_1HTK, key_1GTK, value_1GTK, attention_mask, dropout=dropout, scaling=scaling, **more
        )
    if isinstance(layout, dict):
        window = more.get("sliding_window")
        return attend_packed(query_1HTK, key_1GTK, value_1GTK, layout[window], dropout, scaling), None
    longest = max(layout.lengths)
    window = more.get("sliding_window")
    if window is not None and layout.reach > window:
        raise TrainingError(
            f"a row of {layout.reach} tokens is longer than the model's sliding window of {window}",
            f"set max_length_tokens to at most {window}",
        )
    groups = query_1HTK.shape[1] // key_1GTK.shape[1]
    sizes = [layout.prefix, *layout.lengths]
    queries = query_1HTK.split(sizes, dim=2)
    keys = key_1GTK.repeat_interleave(groups, dim=1).split(sizes, dim=2)
    values = value_1GTK.repeat_interleave(groups, dim=1).split(sizes, dim=2)

    def rows(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.cat([functional.pad(part, (0, 0, 0, longest - part.shape[2])) for part in parts[1:]])

    def beside(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.cat([parts[0].expand(len(layout.lengths), -1, -1, -1), rows(parts)], dim=2)

    out = []
    if layout.prefix:
        out.append(
            functional.scaled_dot_product_attention(
                queries[0], keys[0], values[0], dropout_p=dropout, scale=scaling, is_causal=True
            )
        )
    # Padding stands after a row's own tokens, where its causal part never looks.
    own_LL = torch.full((longest, longest), float("-inf"), dtype=query_1HTK.dtype, device=query_1HTK.device).triu(1)
    mask = functional.pad(_apart(own_LL, layout), (layout.prefix, 0))
    own_RHLK = functional.scaled_dot_product_attention(
        rows(queries), beside(keys), beside(values), attn_mask=mask, dropout_p=dropout, scale=scaling
    )
    out += [own_RHLK[row : row + 1, :, :length] for row, length in enumerate(layout.lengths)]
    return torch.cat(out, dim=2).transpose(1, 2).contiguous(), None


def _apart(own_LL: torch.Tensor, layout: Layout) -> torch.Tensor:
    """The mask of the rows' own parts; where rows have branches one for each row, [R, 1, L, L]."""
    if not layout.forks:
        return own_LL
    own_RLL = own_LL.repeat(len(layout.forks), 1, 1)
    for row, (first, second) in enumerate(layout.forks):
        own_RLL[row, second:, first:second] = float("-inf")
    return own_RLL[:, None]


AttentionInterface.register(NAME, attend)
