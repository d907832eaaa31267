"""Rows of one batch are computed as each alone, and a model in which they would leak into one another is refused."""

from __future__ import annotations

from typing import Any

import pytest

from training.errors import TrainingError

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 200,
    "max_position_embeddings": 256,
}
LINEAR: dict[str, Any] = {
    "head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}


def build(config: str, **fields: Any) -> Any:
    """A random model in fp32 from a config class of transformers."""
    import torch
    import transformers

    from training.layout.attention import NAME

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = getattr(transformers, config)(**(SHAPE | fields))
        return transformers.AutoModelForCausalLM.from_config(made, attn_implementation=NAME, dtype=torch.float32).eval()


PURE = {
    "Qwen2Config": {},
    "Qwen3Config": {"head_dim": 16},
    "LlamaConfig": {},
    "Gemma3TextConfig": {"head_dim": 16, "layer_types": ["sliding_attention", "full_attention"]},
}


@pytest.mark.parametrize("config", PURE)
def test_rows_packed_equal_rows_alone(config: str) -> None:
    import torch

    from training.layout.batches import SharedPrefix
    from training.layout.guard import check_model
    from training.rows import IGNORED

    model = build(config, **PURE[config])
    check_model(model)
    draw = torch.Generator().manual_seed(1)
    common = torch.randint(5, 200, (23,), generator=draw).tolist()
    rows = []
    for length in (9, 31, 1 + 2, 17):
        ids = common + torch.randint(5, 200, (length,), generator=draw).tolist()
        labels = [IGNORED] * (len(ids) - 2) + ids[-2:]
        rows.append({"input_ids": ids, "labels": labels, "loss_weights": [1.0] * len(ids)})
    batch = SharedPrefix()(rows)
    layout = batch["layout"]
    assert layout.prefix > 0
    with torch.no_grad():
        packed = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], layout=layout, use_cache=False
        ).logits[0]
        at = layout.prefix
        for row, length in zip(rows, layout.lengths, strict=True):
            alone = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0]
            assert torch.allclose(packed[at : at + length], alone[-length:], rtol=0, atol=1e-5)
            assert torch.allclose(packed[: layout.prefix], alone[: layout.prefix], rtol=0, atol=1e-5)
            at += length


@pytest.mark.parametrize(
    ("config", "fields", "kind"),
    [
        ("Lfm2Config", {"layer_types": ["conv", "full_attention"], "block_multiple_of": 32}, "conv"),
        ("Qwen3NextConfig", LINEAR | {"num_experts": 2, "num_experts_per_tok": 1}, "linear_attention"),
        ("Qwen3_5TextConfig", LINEAR, "linear_attention"),
    ],
)
def test_hybrid_models_are_refused_by_name_and_found_out_by_trial(config: str, fields: Any, kind: str) -> None:
    from training.layout.guard import _try_out, check_model

    model = build(config, **fields)
    with pytest.raises(TrainingError, match=rf"1 of its 2 layers.*\({kind}\).*leak") as refusal:
        check_model(model)
    assert "Qwen3" in refusal.value.remedy
    # A model of a kind that nobody has named yet shows itself: the tokens of one row move another.
    with pytest.raises(TrainingError, match=r"change by .* with the tokens of another row"):
        _try_out(model)


def test_a_model_that_ignores_the_positions_of_rows_is_refused() -> None:
    from training.layout.guard import check_model

    fields = {"n_layer": 2, "n_head": 4}
    with pytest.raises(TrainingError, match="bloom"):
        check_model(build("BloomConfig", **fields))


@pytest.mark.parametrize(
    ("config", "fields", "message"),
    [
        ("Gemma2Config", {"head_dim": 16}, "attn_logit_softcapping"),
        ("GptOssConfig", {"head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1}, "sinks"),
        ("GraniteConfig", {"logits_scaling": 8.0}, "logits differ"),
    ],
)
def test_scores_that_are_not_computed_here_are_refused(config: str, fields: Any, message: str) -> None:
    from training.layout.guard import check_model

    with pytest.raises(TrainingError, match=message):
        check_model(build(config, **fields))


def test_a_mixture_of_experts_of_pure_attention_is_accepted_and_left_in_its_mode() -> None:
    from training.layout.guard import check_model

    fields = {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    model = build("Qwen3MoeConfig", **fields).train()
    check_model(model)
    assert model.training
