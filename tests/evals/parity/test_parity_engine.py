"""The real ways to one model: peft, merged weights in vLLM, and the adapter in vLLM."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.parity.config import ParityConfig
from evals.parity.consult import Consulted
from evals.parity.reference import Reference
from evals.parity.run import ANSWERS, CONSULTED, check_parity
from tianjing.dataset import write_examples
from tianjing.engine.command import max_lora_rank
from tianjing.engine.errors import EngineError
from tianjing.lineage import artefact
from tianjing.records import Example, Message
from tianjing.tasks import TASKS


def adapted(base: Path) -> Any:
    """The base with an adapter of random weights, as it would be trained; the same every time."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(2)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    return get_peft_model(model, lora)


def merged(base: Path, folder: Path, scale: float) -> Path:
    """The adapter merged by peft with its scaling times `scale`, stored in bfloat16."""
    import torch
    from transformers import AutoTokenizer

    model = adapted(base)
    for module in model.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling = {name: scale * factor for name, factor in module.scaling.items()}
    model.merge_and_unload().to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def test_an_answer_that_follows_drafts_is_the_one_that_is_generated(tiny_model: Path, tmp_path: Path) -> None:
    adapted(tiny_model).save_pretrained(tmp_path / "adapter")
    reference = Reference(tiny_model, tmp_path / "adapter")
    begin = reference.prompts.encode([Message(role="system", content="你是客服坐席。")])
    prompts = [
        begin + reference.prompts.encode([Message(role="user", content=said)]) for said in ("我失业了", "再等等")
    ]
    for number, prompt in enumerate(prompts):
        (generated,) = reference.generate([prompt], 12)
        wrong, early = [*generated[:5], generated[5] + 1, *generated[6:]], [generated[0] + 1, *generated[1:]]
        for drafts in ([], [generated], [wrong], [early, wrong], [wrong, generated], [generated[:7]]):
            consulted = Consulted(lambda: reference, f"{number}/{drafts}", tmp_path / "reference.jsonl")
            assert consulted.answer(prompt, 12, drafts) == generated, drafts
        # The same numbers whether or not anything is taken over from the sequence before.
        after = reference.score(prompt, wrong)
        alone = Reference(tiny_model, tmp_path / "adapter").score(prompt, wrong)
        assert after.best == alone.best and after.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
        assert after.steps == pytest.approx(alone.steps, abs=1e-5)


@pytest.mark.slow
def test_peft_merged_and_served_adapter_answer_alike_in_both_formats_and_a_wrong_scaling_is_caught(
    tiny_model: Path,
    tmp_path: Path,
    examples: Callable[[str, int], list[Example]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TASKS["quality_inspection"], "max_tokens", 12, raising=False)
    with artefact(tmp_path / "dataset", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples("train", 4))
        rows = [row for row in examples("test", 8) if row.task == "quality_inspection"]
        write_examples(work.dir / "test.parquet", rows)
    adapted(tiny_model).save_pretrained(tmp_path / "adapter")
    config = ParityConfig(items=8, concurrency=4, kv_cache_gib=0.1, formats=("served", "float32"))

    def check(name: str, scale: float) -> dict[str, Any]:
        folder = merged(tiny_model, tmp_path / f"merged-{name}", scale)
        # What peft and the served adapter answered is known after the first; only other merged weights are asked.
        if (tmp_path / "good").exists():
            (tmp_path / ".work" / name).mkdir(parents=True)
            for known in (ANSWERS, CONSULTED):
                shutil.copy(tmp_path / "good" / known, tmp_path / ".work" / name)
        return check_parity(tmp_path / "dataset", tiny_model, tmp_path / "adapter", folder, tmp_path / name, config)

    good = check("good", 1.0)
    assert good["met"], good["reasons"]
    assert all(cell["tokens"] == 8 * 12 and not cell["errors"] for cell in good["cells"].values())
    assert good["formats"]["float32"]["met"], good["formats"]["float32"]["reasons"]
    # Nothing is rounded where neither the computing nor what is stored is in bfloat16.
    assert max(good["distances"][f"lora-float32@{load}"]["steps"] for load in (1, 4)) < 0.01

    bad = check("bad", 1.5)
    assert not bad["met"]
    # It is as sure of these answers as before and may give every one of them: what it is sure by tells it apart.
    for dtype, verdict in bad["formats"].items():
        reasons = verdict["reasons"]
        blamed = {reason.partition(": log-probabilities")[0] for reason in reasons if ": log-prob" in reason}
        assert blamed == {f"merged-{dtype}@1", f"merged-{dtype}@4"}


@pytest.mark.parametrize(
    ("settings", "rank"), [({"r": 4}, 8), ({"r": 8}, 8), ({"r": 8, "rank_pattern": {"q": 70}}, 128)]
)
def test_the_rank_that_vllm_is_started_with_is_its_next_allowed_one(
    settings: dict[str, Any], rank: int, tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    assert max_lora_rank(tmp_path) == rank


def test_an_adapter_that_vllm_cannot_load_is_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"adapter_config.json: missing(.|\n)*give the folder of a LoRA adapter"):
        max_lora_rank(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"r": 600}')
    with pytest.raises(EngineError, match=r"rank 600; vLLM serves up to 512(.|\n)*serve the merged weights"):
        max_lora_rank(tmp_path)
