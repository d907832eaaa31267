"""How the decoder's layers are run: compiled or not, with their activations kept or computed again.

Each layer is compiled by itself. All layers of one kind have one graph, so a model of any depth costs the cold start of
one layer, and what is around them (embeddings, head, several processes' wrappers) stays as it is.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

Checkpointing = Literal["none", "selective", "full"]

# Attention as each backend names it; not every build of torch has all.
_ATTENTION = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
)
_GRAPHS = 32
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


def set_up(
    model: Any, checkpointing: Checkpointing, compiled: bool, backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Settle how each layer of an adapted model's decoder is run.

    Args:
        model: of peft, or any with `get_decoder`.
        checkpointing: `full` keeps a layer's input alone and computes the layer once more in the backward pass (Chen et
            al. 2016, arXiv 1604.06174); `selective` keeps what is dear to compute, the products with frozen weights and
            the attention, and computes again what is cheap (Korthikanti et al. 2022, arXiv 2205.05198).
        compiled: for shapes that stay the same from batch to batch.
        backend: of torch.compile.
    """
    _spare_casts(model)
    decoder = causal_of(model).get_decoder()
    context = _keeping_products(largest_rank(model)) if checkpointing == "selective" else None
    if compiled:
        # Kinds of layers, with an adapter or without, times training and evaluation: more than torch allows a function
        # by default, after which it would run uncompiled without a word.
        torch._dynamo.config.recompile_limit = max(_GRAPHS, torch._dynamo.config.recompile_limit)
    for layer in decoder.layers:
        if checkpointing != "none":
            layer.forward = _recomputed(layer.forward, context)
        if compiled:
            layer.compile(dynamic=False, backend=backend)


def causal_of(model: Any) -> Any:
    """The causal model itself, where an adapter stands around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def largest_rank(model: Any) -> int:
    """The largest rank of any of the model's LoRA pairs, 0 without one."""
    of_modules = (module.r.values() for module in model.modules() if isinstance(getattr(module, "r", None), dict))
    return max(itertools.chain.from_iterable(of_modules), default=0)


def _spare_casts(model: Any) -> None:
    """Leave the input of an adapter's matrices as it is.

    peft casts it to the adapter's float32, and autocast casts it back: two copies of every input that change nothing,
    of which one is kept for the backward pass. Without autocast the base is float32 too, and there is nothing to cast.
    """
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False


def _recomputed(forward: Callable[..., Any], context: Callable[[], Any] | None) -> Callable[..., Any]:
    more: dict[str, Any] = {} if context is None else {"context_fn": context}

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(functools.partial(forward, **kwargs), *args, use_reentrant=False, **more)

    return recomputed


def _keeping_products(rank: int) -> Callable[[], Any]:
    kept = {packet.default for name in _ATTENTION if (packet := getattr(torch.ops.aten, name, None)) is not None}
    kept.add(torch.ops.higher_order.flex_attention)
    products = {getattr(torch.ops.aten, name).default for name in _PRODUCTS}

    def policy(_: Any, operation: Any, *operands: Any, **__: Any) -> CheckpointPolicy:
        # Products with an adapter's narrow matrices are cheap, but their results are as wide as the layer's own.
        wide = operation in products and min(*operands[-2].shape[-1:], *operands[-1].shape[-2:]) > rank
        return CheckpointPolicy.MUST_SAVE if wide or operation in kept else CheckpointPolicy.PREFER_RECOMPUTE

    return functools.partial(create_selective_checkpoint_contexts, policy)
