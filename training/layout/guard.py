"""Models that this trainer would compute wrongly are refused.

A micro-batch lies in one sequence (`training.layout.attention`); only attention is told where a row begins and ends. A
convolution, a recurrent state or linear attention runs on from one row into the next, and nothing fails: the loss is a
little off. (transformers has kernels that take row borders for some such layers; without them its fallback leaks.)

Shape suffixes: T tokens of a laid-out sequence, V vocabulary, D model width.
"""

from __future__ import annotations

from typing import Any

import torch

from training.errors import TrainingError
from training.layout.attention import Layout
from training.layout.batches import SharedPrefix
from training.rows import IGNORED

# Kinds of decoder layers, as transformers names them, that attend and do nothing else across tokens.
ATTENTION_LAYERS = frozenset({"full_attention", "sliding_attention"})
_MIXERS = (torch.nn.Conv1d, torch.nn.RNNBase)

_REMEDY = (
    "use a model of softmax attention alone (Llama, Qwen2, Qwen3, Gemma 3), or train this one with a trainer that "
    "pads each row for itself"
)

# Rows that try a model: what they share, and what is each row's own (token ids, taken modulo the vocabulary).
_SHARED = tuple(range(3, 11))
_OWN = ((20, 21, 22, 23), (30, 31, 32, 33, 34, 35), (40, 41, 42, 43, 44))
_OTHER = (50, 51, 52, 53)


def check_config(config: Any) -> None:
    """Refuse, before any weight is loaded, what a model's config.json shows.

    Raises:
        TrainingError: names the layers and what to use instead.
    """
    text = config.get_text_config()
    kinds = list(getattr(text, "layer_types", None) or [])
    leaking = sorted({kind for kind in kinds if kind not in ATTENTION_LAYERS})
    if leaking:
        count = sum(kind in leaking for kind in kinds)
        raise TrainingError(
            f"model of type '{text.model_type}': {count} of its {len(kinds)} layers are no softmax attention "
            f"({', '.join(leaking)}); rows of one batch would leak into one another",
            _REMEDY,
        )
    for field, what in (
        ("attn_logit_softcapping", "attention scores"),
        ("final_logit_softcapping", "the scores of the vocabulary"),
    ):
        if getattr(text, field, None) is not None:
            raise TrainingError(
                f"model of type '{text.model_type}': caps {what} ({field}), which this trainer does not compute",
                "use a model without it, such as Gemma 3 in place of Gemma 2",
            )


@torch.no_grad()
def check_model(model: Any) -> None:
    """Refuse a model whose rows would not be computed as if each stood alone; three passes over some twenty tokens.

    What `check_config` knows by name, and what shows when the model is tried: another row's tokens must not move a
    row's states beyond rounding, and its logits must be those that the model gives it alone.

    Args:
        model: a causal model, loaded with the attention of `training.layout.attention`, without an adapter.

    Raises:
        TrainingError: says what leaked, and what to use instead.
    """
    check_config(model.config)
    for name, module in model.get_decoder().named_modules():
        if isinstance(module, _MIXERS):
            raise TrainingError(
                f"model of type '{model.config.model_type}': {name} is a {type(module).__name__}, which runs over "
                "rows; rows of one batch would leak into one another",
                _REMEDY,
            )
    was_training = model.training
    model.eval()
    try:
        _try_out(model)
    finally:
        model.train(was_training)


def _try_out(model: Any) -> None:
    """Raises TrainingError unless the rows of a laid-out batch are computed as each alone."""
    kind = f"model of type '{model.config.model_type}'"
    epsilon = torch.finfo(model.dtype).eps
    batch = _lay_out(_OWN)
    states_TD = _states(model, batch)
    first, *others = _places(batch["layout"])
    moved_TD = _states(model, _lay_out((_OTHER, *_OWN[1:])))
    rest = slice(first.stop, None)
    moved = (moved_TD[rest] - states_TD[rest]).abs().max().item()
    # In the type's last places it is rounding: a mixture of experts groups tokens anew.
    if not moved <= 4 * epsilon * states_TD.abs().max().item():
        raise TrainingError(f"{kind}: a row's states change by {moved:.2g} with the tokens of another row", _REMEDY)
    logits_TV = torch.nn.functional.linear(states_TD, model.get_output_embeddings().weight)
    for own, place in zip(_OWN, (first, *others), strict=True):
        ids = _ids(model, (*_SHARED, *own))
        alone_TV = model(input_ids=ids, use_cache=False).logits[0, -len(own) :]
        difference = (logits_TV[place][-len(own) :] - alone_TV).norm().item()
        if not difference <= epsilon**0.5 * alone_TV.norm().item():
            raise TrainingError(
                f"{kind}: in a batch its logits differ from those of the row alone by "
                f"{difference / alone_TV.norm().item():.1%}",
                _REMEDY,
            )


def _lay_out(own: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    rows = []
    for part in own:
        ids = [*_SHARED, *part]
        labels = [IGNORED] * (len(_SHARED) + 1) + ids[len(_SHARED) + 1 :]
        rows.append({"input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)})
    return SharedPrefix()(rows)


def _ids(model: Any, tokens: Any) -> torch.Tensor:
    """Token ids [1, T] on the model's device, within its vocabulary."""
    return torch.as_tensor(tokens).reshape(1, -1).to(model.device) % model.get_input_embeddings().num_embeddings


def _states(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """States [T, D] of the decoder."""
    states: torch.Tensor = model.get_decoder()(
        input_ids=_ids(model, batch["input_ids"]),
        position_ids=batch["position_ids"].to(model.device),
        attention_mask=None,
        layout=batch["layout"],
        use_cache=False,
    ).last_hidden_state[0]
    return states


def _places(layout: Layout) -> list[slice]:
    """Where each row's own tokens lie in the sequence."""
    places, start = [], layout.prefix
    for length in layout.lengths:
        places.append(slice(start, start + length))
        start += length
    return places
