"""Full tuning: every weight learns, the run can be killed, and what it leaves is a model that anything loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.training.material import example, make_dataset
from tests.training.test_export import with_own_head
from tests.training.test_resume import Step, in_step, never, terminate_at
from tianjing.errors import EXIT_RESUMABLE
from tianjing.files import sha256_file
from tianjing.lineage import read_manifest, verify_chain
from training import full
from training.config import TrainConfig
from training.errors import TrainingError
from training.export import export
from training.interruption import Interrupted
from training.merge import merge
from training.run import train

__all__ = ["in_step"]  # a fixture

CONFIG = TrainConfig.model_validate(
    {
        "tune": "full",
        "learning_rate": 2e-3,
        "epochs": 2,
        "micro_rows": 2,
        "save_every_steps": 2,
        "threads": 1,
        "evaluation": {"every_steps": 3},
    }
)
STEPS = 6
WEIGHTS = "model.safetensors"


class Run(NamedTuple):
    """A finished run."""

    out: Path
    dataset: Path
    base: Path
    trained_logits: Any
    """Of the trainer's own float32 weights on a few tokens, before they were written."""


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(5, 29)[None]).logits


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "dataset", [example(n) for n in range(12)])


def finished(dataset: Path, base: Path, out: Path) -> Run:
    seen = []
    real = full.save

    def save(model: Any, *given: Any) -> float:
        seen.append(logits(model))
        return real(model, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full, "save", save)
        train(dataset, base, out, CONFIG)
    return Run(out, dataset, base, seen[0])


@pytest.fixture(scope="module")
def tied(dataset: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a model whose head is its embedding."""
    return finished(dataset, tiny_model, tmp_path_factory.mktemp("tied") / "tuned")


def losses(run: Run) -> list[float]:
    lines = (run.out / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry["eval_loss"] for entry in map(json.loads, lines) if "eval_loss" in entry]


def check_whole(run: Run, is_tied: bool) -> None:
    """`run` left weights that transformers alone loads, and that answer as the trained ones did."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    saved, first = load_file(run.out / WEIGHTS), load_file(run.base / WEIGHTS)
    assert saved.keys() == first.keys() and ("lm_head.weight" in saved) is not is_tied
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert not any(torch.equal(saved[name], first[name]) for name in saved if name.endswith("_proj.weight"))
    assert not torch.equal(saved["model.embed_tokens.weight"], first["model.embed_tokens.weight"])
    if not is_tied:
        assert not torch.equal(saved["lm_head.weight"], first["lm_head.weight"])
    loaded = AutoModelForCausalLM.from_pretrained(run.out, dtype=torch.float32)
    assert loaded.config.tie_word_embeddings is is_tied and loaded.config.use_cache
    answered, before = logits(loaded), logits(AutoModelForCausalLM.from_pretrained(run.base, dtype=torch.float32))
    assert (answered - run.trained_logits).norm() < 0.02 * run.trained_logits.norm()  # bfloat16 on disk
    assert (answered - before).norm() > 0.1 * before.norm()


def test_a_run_lowers_the_validation_loss_and_leaves_a_model_that_answers_as_the_trained_one(tied: Run) -> None:
    assert len(losses(tied)) == 2 and losses(tied)[1] < losses(tied)[0] < 8.3
    check_whole(tied, is_tied=True)
    manifest = read_manifest(tied.out)
    assert manifest.kind == "full" and manifest.counts["best_step"] == STEPS
    assert manifest.parameters["tune"] == "full" and "lora" not in manifest.parameters
    assert not (tied.out.parent / ".work" / "tuned").exists()


def test_a_head_of_its_own_is_trained_and_saved_too(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    check_whole(finished(dataset, with_own_head(tiny_model, tmp_path / "base"), tmp_path / "tuned"), is_tied=False)


def test_sigterm_leaves_with_75_and_the_resumed_run_ends_with_the_same_bits(
    tied: Run, tmp_path: Path, in_step: Callable[[Step], None], capsys: pytest.CaptureFixture[str]
) -> None:
    in_step(terminate_at(4))
    with pytest.raises(Interrupted, match="stopped after step 4 of 6") as stop:
        train(tied.dataset, tied.base, tmp_path / "tuned", CONFIG)
    assert stop.value.exit_code == EXIT_RESUMABLE
    in_step(never)
    train(tied.dataset, tied.base, tmp_path / "tuned", CONFIG, "must")
    assert "going on from checkpoint-4" in capsys.readouterr().err
    for name in (WEIGHTS, "loss.jsonl"):
        assert sha256_file(tmp_path / "tuned" / name) == sha256_file(tied.out / name), name


def test_the_weights_of_the_lowest_validation_loss_are_what_is_left(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    # A constant rate so high that a later step spoils what the first ones learned.
    fields = CONFIG.model_dump(exclude_unset=True) | {"learning_rate": 0.5, "schedule": "constant_with_warmup"}
    fields |= {"warmup_ratio": 0.0, "evaluation": {"every_steps": 1}}
    train(dataset, tiny_model, tmp_path / "best", TrainConfig.model_validate(fields))
    best = read_manifest(tmp_path / "best").counts["best_step"]
    assert isinstance(best, int) and 0 < best < STEPS
    fields |= {"evaluation": None, "epochs": best * 2 / STEPS}
    train(dataset, tiny_model, tmp_path / "to_the_best", TrainConfig.model_validate(fields))
    assert sha256_file(tmp_path / "best" / WEIGHTS) == sha256_file(tmp_path / "to_the_best" / WEIGHTS)


def test_weights_that_do_not_survive_bfloat16_are_not_handed_on(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert full.save(model, tokenizer, tmp_path / "good") < 1e-4  # it was bfloat16
    model = model.float()
    with torch.no_grad():
        model.lm_head.weight += 1000.0  # what tells one token from another is below bfloat16's last place
    with pytest.raises(TrainingError, match="as written and as trained give logits that differ"):
        full.save(model, tokenizer, tmp_path / "bad")


def test_there_is_nothing_to_merge(tied: Run, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"was tuned in full(.|\n)*as it is: tianjing serve run"):
        merge(tied.out, tied.base, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_its_papers_say_that_all_weights_were_tuned(tied: Run, tmp_path: Path) -> None:
    export(tied.out, tmp_path / "export")
    assert verify_chain(tmp_path / "export").differences == []
    text = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "All weights tuned from" in text and "base_model_relation: finetune" in text
    assert "LoRA" not in text and "lora" not in text
    lineage = json.loads((tmp_path / "export" / "lineage.json").read_text(encoding="utf-8"))
    assert lineage["weights"] == {"kind": "full", "sha256": read_manifest(tied.out).digest}
    assert "adapter" not in lineage and lineage["dataset"]["sha256"] == read_manifest(tied.dataset).digest
    bill = json.loads((tmp_path / "export" / "bom.cdx.json").read_text(encoding="utf-8"))
    assert bill["metadata"]["component"]["name"].endswith("-full")


def test_a_disk_that_cannot_hold_the_checkpoints_is_refused_before_the_model_is_loaded(
    dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    monkeypatch.setattr("training.assembly.load_base", lambda *_: pytest.fail("loaded"))
    with pytest.raises(TrainingError, match=r"0\.0 GiB are free(.|\n)*keep_checkpoints: 1"):
        train(dataset, tiny_model, tmp_path / "tuned", CONFIG)


def test_the_disk_that_is_asked_for_is_what_the_checkpoints_take(tied: Run, tmp_path: Path) -> None:
    """Two kept, the best, one being written, and the artefact; tokenizer and logs beside them are small."""
    from safetensors.torch import load_file

    parameters = sum(tensor.numel() for tensor in load_file(tied.out / WEIGHTS).values())
    assert full.disk_bytes(parameters, CONFIG) == parameters * (4 * 12 + 2)
    alone = CONFIG.model_copy(update={"evaluation": None, "keep_checkpoints": 1})
    assert full.disk_bytes(parameters, alone) == parameters * (2 * 12 + 2)
