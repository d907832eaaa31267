"""The tiny model is real, the same everywhere, and leaves its caller alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tianjing.models.material import (
    quiet,
)
from tianjing.lineage import artefact_digest
from tianjing.models.tiny import ensure_tiny


def test_tiny_builds_loads_generates_and_is_cached() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(7)
    before = torch.get_rng_state()
    path = ensure_tiny(quiet)
    assert torch.equal(torch.get_rng_state(), before), "building it leaves the caller's random numbers alone"
    written = (path / "model.safetensors").stat().st_mtime_ns
    assert ensure_tiny(quiet) == path
    assert (path / "model.safetensors").stat().st_mtime_ns == written

    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path)
    text = "您好，根据《还款安排管理办法》第八条，可以分十二期还款。𠮷 ok"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode("根据还款安排管理办法可以申请分期")) <= 16, "Chinese costs at most a token a character"
    messages = [{"role": "user", "content": "你好"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(prompt["input_ids"][0]) == "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    answer = model.generate(**prompt, max_new_tokens=1, do_sample=False)
    assert answer.shape[1] == prompt["input_ids"].shape[1] + 1


def test_tiny_is_the_same_everywhere_and_another_seed_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure_tiny(quiet)
    other = ensure_tiny(quiet, seed=1)
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "second"))
    again = ensure_tiny(quiet)
    assert artefact_digest(first) == artefact_digest(again)
    assert artefact_digest(first) != artefact_digest(other)
