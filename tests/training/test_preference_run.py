"""A run on preference pairs: what it learns, what it leaves behind, and that it can be interrupted like any other."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.training.material import example, make_dataset, make_pairs, preference
from tianjing.errors import TianjingError
from tianjing.files import sha256_file
from tianjing.lineage import artefact_digest, read_manifest
from tianjing.records import Message, Preference
from training.config import TrainConfig
from training.interruption import Interrupted
from training.run import train

FIELDS: dict[str, Any] = {
    "lora": {"rank": 4, "alpha": 8},
    "learning_rate": 5e-3,
    "epochs": 2,
    "micro_rows": 2,
    "save_every_steps": 2,
    "threads": 1,
    "max_length_tokens": 1024,
}
STEPS = 6


def config(method: str, **more: Any) -> TrainConfig:
    return TrainConfig.model_validate({**FIELDS, "method": method, **more})


def log(adapter: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (adapter / "loss.jsonl").read_text(encoding="utf-8").splitlines()]


def with_answer(pair: Preference, name: str, which: str, text: str) -> Preference:
    return pair.model_copy(update={"id": name, which: (Message(role="assistant", content=text),)})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("data") / "dataset", [preference(n) for n in range(12)])


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_margin_of_the_pairs_grows_and_an_interrupted_run_ends_with_the_same_bits(
    method: str,
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from training.resumable import ResumableTrainer

    # With kept states of the frozen layer, and a validation loss.
    lora = {**FIELDS["lora"], "top_layers": 1}
    settings = config(method, lora=lora, evaluation={"every_steps": 3, "max_rows": 3})
    train(dataset, tiny_model, tmp_path / "whole", settings)
    shown = capsys.readouterr().err
    assert f"12 preference pairs ({method})" in shown and "reference of 15 pairs" in shown
    assert "train 5/6 loss" in shown and "margin" in shown
    entries = [entry for entry in log(tmp_path / "whole") if "loss" in entry]
    assert len(entries) == STEPS
    assert entries[0]["rewards/margins"] == pytest.approx(0.0, abs=1e-4), "the reference is where the policy begins"
    assert entries[0]["loss"] == pytest.approx(math.log(2) if method == "dpo" else 0.5, abs=1e-4), "a mean over pairs"
    assert entries[-1]["rewards/margins"] > 0.05
    assert entries[-1]["rewards/accuracies"] == 1.0
    assert entries[-1]["rewards/chosen"] > entries[-1]["rewards/rejected"]
    assert entries[-1]["loss"] < entries[0]["loss"]
    assert ("kl" in entries[0]) == (method == "kto")
    held_out = [entry for entry in log(tmp_path / "whole") if "eval_loss" in entry]
    assert len(held_out) == 2 and held_out[-1]["eval_rewards/margins"] > 0
    assert "a preference pair" in (tmp_path / "whole" / "loss.svg").read_text(encoding="utf-8")

    real = ResumableTrainer.training_step

    def training_step(self: Any, *given: Any) -> Any:
        if self.state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableTrainer, "training_step", training_step)
        with pytest.raises(Interrupted, match="stopped after step 3 of 6"):
            train(dataset, tiny_model, tmp_path / "stopped", settings)
    kept = tmp_path / ".work" / "stopped" / "reference.json"
    assert kept.is_file()
    # The reference is not computed again: the model that is loaded is no longer it.
    monkeypatch.setattr("training.preference.reference._computed", lambda *_: pytest.fail("computed again"))
    train(dataset, tiny_model, tmp_path / "stopped", settings, "must")
    name = "adapter_model.safetensors"
    assert sha256_file(tmp_path / "stopped" / name) == sha256_file(tmp_path / "whole" / name)
    assert artefact_digest(tmp_path / "stopped") == artefact_digest(tmp_path / "whole")


def test_a_damaged_reference_is_computed_again(
    dataset: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.preference.reference import _kept

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run._run", stop)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tiny_model, tmp_path / "adapter", config("dpo"))
    file = tmp_path / ".work" / "adapter" / "reference.json"
    whole = file.read_text(encoding="utf-8")
    assert _kept(file.parent) is not None
    for damaged in (whole[:-10], whole.replace("-", "", 1), "[]"):
        file.write_text(damaged, encoding="utf-8")
        assert _kept(file.parent) is None


def test_a_pair_with_one_answer_that_cannot_be_used_is_left_out_whole_and_named(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [preference(n) for n in range(4)]
    pairs += [
        with_answer(preference(5), "long-chosen", "chosen", "好的。" * 600),
        with_answer(preference(6), "long-rejected", "rejected", "不行。" * 600),
        with_answer(preference(7), "same", "rejected", preference(7).chosen[0].content),
    ]
    train(make_pairs(tmp_path / "dataset", pairs), tiny_model, tmp_path / "adapter", config("dpo", epochs=1))
    shown = capsys.readouterr().err
    assert "left out 2 rows (too_long): long-rejected, long-chosen" in shown
    assert "left out 1 rows (equal_answers): same" in shown
    counts = read_manifest(tmp_path / "adapter").counts
    assert counts["rows"] == 4 and counts["dropped"] == {"too_long": 2, "equal_answers": 1}


def test_without_pairs_the_run_says_how_to_get_them(tiny_model: Path, tmp_path: Path) -> None:
    plain = make_dataset(tmp_path / "dataset", [example(1)])
    with pytest.raises(TianjingError, match=r"preferences-train\.parquet: no preference pair(.|\n)*preference\.pairs"):
        train(plain, tiny_model, tmp_path / "adapter", config("dpo"))


def test_kto_with_one_prompt_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    pair = preference(1)
    dataset = make_pairs(tmp_path / "dataset", [pair, with_answer(pair, "other", "rejected", "快还钱。")])
    with pytest.raises(TianjingError, match=r"pairs of at least two prompts(.|\n)*method: dpo"):
        train(dataset, tiny_model, tmp_path / "adapter", config("kto"))


def test_a_weight_that_is_no_number_ends_the_run_and_names_the_pair(tiny_model: Path, tmp_path: Path) -> None:
    pairs = [preference(n, weight=float("nan") if n == 3 else 1.0) for n in range(4)]
    with pytest.raises(TianjingError, match=r"the loss is nan; rows of the batch: .*pair-train-3"):
        train(make_pairs(tmp_path / "dataset", pairs), tiny_model, tmp_path / "adapter", config("dpo"))


def test_parity_looks_at_both_answers_of_a_pair(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from training.parity.check import check_parity, stop_tokens
    from training.selection import choose_rows

    dataset = make_pairs(tmp_path / "dataset", [preference(1)])
    conversations = choose_rows(dataset, config("dpo")).conversations()
    assert [row.id for row in conversations] == ["pair-train-1/chosen", "pair-train-1/rejected"]
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    stops = stop_tokens(tokenizer, tiny_model)
    assert check_parity(conversations, tokenizer, stops).differences == ()
    # A template that drops words of one answer only.
    tokenizer.chat_template = tokenizer.chat_template.replace("content", "content.replace('起诉', '')", 1)
    assert {each.row for each in check_parity(conversations, tokenizer, stops).differences} == {"pair-train-1/rejected"}


def test_a_plan_counts_pairs(tiny_model: Path, tmp_path: Path, dataset: Path) -> None:
    from training.plan.planning import make_plan

    long = with_answer(preference(5), "long-rejected", "rejected", "不行。" * 600)
    pairs = make_pairs(tmp_path / "dataset", [*(preference(n) for n in range(12)), long])
    plan = make_plan(pairs, tiny_model, config("dpo"), "24", probe_steps=0)
    (task,) = plan.tasks
    assert (task.rows, plan.epochs.steps, plan.dropped) == (12, STEPS, {"too_long": ["long-rejected"]})
    assert task.longest < task.tokens / 12 * 1.5
    alone = make_dataset(tmp_path / "alone", [example(n) for n in range(12)])
    one = make_plan(alone, tiny_model, config("sft"), "24", probe_steps=0)
    assert plan.memory.activations > one.memory.activations
    assert one.epochs.computed < plan.epochs.computed < 2 * one.epochs.computed, "a prompt is computed once"


@pytest.mark.slow
def test_the_probe_measures_preference_training(tiny_model: Path, dataset: Path) -> None:
    from training.plan.planning import make_plan

    plan = make_plan(dataset, tiny_model, config("kto"), "cpu", probe_steps=2)
    assert plan.probe is not None and plan.seconds is not None
    assert plan.probe.once_seconds_per_token > 0
    assert plan.seconds > plan.probe.start_seconds > 0
