"""Layers that no step changes are computed once, and nothing a step sees changes by it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from training.rows import IGNORED


@pytest.fixture
def decoder(tiny_model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from training.layout.attention import NAME

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, attn_implementation=NAME)
    return model.get_decoder()


def rows() -> list[dict[str, Any]]:
    made = []
    for number, own in enumerate(([60, 61, 62, 63], [70, 71, 72], [80, 81, 82, 83, 84, 85], [90, 91, 92])):
        ids = list(range(20, 50)) + own
        labels = [IGNORED] * (len(ids) - 2) + ids[-2:]
        made.append({"row": number, "input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)})
    return made


def test_upper_layers_over_kept_states_equal_the_whole_decoder(decoder: Any) -> None:
    import torch

    from training.layout.batches import SharedPrefix
    from training.layout.trunk import Trunk, run

    data = rows()
    trunk = Trunk.split(decoder, 1)
    seen: list[int] = []
    states = trunk.states(data, 3, contextlib.nullcontext, seen.append)
    assert seen == [3, 1]
    assert [len(state) for state in states] == [len(row["input_ids"]) for row in data]
    # Another order and another company of rows than those the states were computed in.
    chosen = [data[3], data[0], data[2]]
    kept = run(trunk.upper, SharedPrefix(states)(chosen))
    whole = run(decoder, SharedPrefix()(chosen))
    assert torch.allclose(kept, whole, atol=1e-5)
    weight = decoder.layers[1].mlp.down_proj.weight
    (by_parts,) = torch.autograd.grad(kept.square().sum(), weight)
    (at_once,) = torch.autograd.grad(whole.square().sum(), weight)
    assert torch.allclose(by_parts, at_once, rtol=1e-4, atol=1e-5)


def test_the_decoder_itself_stays_whole(decoder: Any) -> None:
    from training.layout.trunk import Trunk

    layers, norm = list(decoder.layers), decoder.norm
    Trunk.split(decoder, 1)
    assert list(decoder.layers) == layers and decoder.norm is norm
    assert decoder.config.num_hidden_layers == len(layers)


def test_a_model_that_would_attend_across_rows_is_refused(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from training.layout.batches import SharedPrefix
    from training.layout.trunk import run

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    with pytest.raises(ValueError, match="attn_implementation"):
        run(model.get_decoder(), SharedPrefix()(rows()))
