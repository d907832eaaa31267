"""A GGUF file becomes the weights and the tokenizer that transformers itself would read from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tianjing.models import ModelError

HIDDEN, INNER, VOCABULARY = 64, 128, 260
# Shape and type of each tensor, in the mixture of types that the embedded file has.
TENSORS = {
    "output.weight": ((VOCABULARY, HIDDEN), "Q8_0"),
    "token_embd.weight": ((VOCABULARY, HIDDEN), "Q5_0"),
    "blk.0.ffn_gate.weight": ((INNER, HIDDEN), "Q5_0"),
    "blk.0.ffn_up.weight": ((INNER, HIDDEN), "Q8_0"),
    "blk.0.ffn_down.weight": ((HIDDEN, INNER), "Q8_0"),
    "blk.0.attn_q.weight": ((HIDDEN, HIDDEN), "Q5_0"),
    "blk.0.attn_k.weight": ((32, HIDDEN), "Q8_0"),
    "blk.0.attn_v.weight": ((32, HIDDEN), "Q8_0"),
    "blk.0.attn_output.weight": ((HIDDEN, HIDDEN), "Q5_0"),
    "blk.0.attn_q.bias": ((HIDDEN,), "F32"),
    "blk.0.attn_k.bias": ((32,), "F32"),
    "blk.0.attn_v.bias": ((32,), "F32"),
    "blk.0.attn_norm.weight": ((HIDDEN,), "F32"),
    "blk.0.ffn_norm.weight": ((HIDDEN,), "F32"),
    "output_norm.weight": ((HIDDEN,), "F32"),
}


def write_gguf(path: Path) -> dict[str, np.ndarray]:
    """A one-layer Qwen2 in the embedded file's own mixture of types; returns the float values."""
    import gguf

    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    add_tokenizer(writer)
    values = {}
    for name, (shape, kind) in TENSORS.items():
        values[name] = random.normal(size=shape).astype(np.float32)
        type_id = gguf.GGMLQuantizationType[kind]
        raw = values[name] if kind == "F32" else gguf.quants.quantize(values[name], type_id)
        writer.add_tensor(name, raw, raw_dtype=type_id)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


def add_tokenizer(writer: Any) -> None:
    """All bytes, one merge, and the special tokens."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*sorted(bytes_to_unicode().values()), "ab", "<|endoftext|>", "<|im_end|>", "[PAD0]"])
    writer.add_token_types([1] * 257 + [3, 3, 5])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(258)
    writer.add_pad_token_id(257)
    writer.add_bos_token_id(257)
    writer.add_chat_template("{{ messages[0].content }}")


def test_conversion_gives_bit_for_bit_what_transformers_gives(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from tianjing.models.conversion import convert_qwen2

    values = write_gguf(tmp_path / "model.gguf")
    (tmp_path / "out").mkdir()
    convert_qwen2(tmp_path / "model.gguf", tmp_path / "out")
    ours: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    theirs: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        gguf_file="model.gguf",
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    expected = theirs.state_dict()
    expected["model.embed_tokens.weight"] = expected["lm_head.weight"]
    assert ours.state_dict().keys() == expected.keys()
    assert [name for name, value in ours.state_dict().items() if not torch.equal(value, expected[name])] == []
    assert ours.config.tie_word_embeddings
    assert ours.lm_head.weight.data_ptr() == ours.model.embed_tokens.weight.data_ptr()
    # and both are the values that went in, as far as 8 bits go
    assert np.abs(ours.lm_head.weight.detach().float().numpy() - values["output.weight"]).max() < 0.05

    mine, reference = (
        AutoTokenizer.from_pretrained(tmp_path / "out"),
        AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf"),
    )
    text = "abc 分期<|im_end|>"
    assert mine.encode(text) == reference.encode(text)
    assert mine.encode(text)[-1] == mine.eos_token_id == ours.config.eos_token_id == 258
    assert ours.generation_config.eos_token_id == [258, 257], "decoding stops at the end of a turn or of the text"


def test_a_file_that_is_no_gguf_or_cut_short_is_an_error(tmp_path: Path) -> None:
    from tianjing.models.gguf_file import read_gguf

    (tmp_path / "x.gguf").write_bytes(b"not a model" * 10)
    with pytest.raises(ModelError, match="not a GGUF"):
        read_gguf(tmp_path / "x.gguf")
    write_gguf(tmp_path / "y.gguf")
    (tmp_path / "y.gguf").write_bytes((tmp_path / "y.gguf").read_bytes()[:500])
    with pytest.raises(ModelError, match="cut short"):
        read_gguf(tmp_path / "y.gguf")
