"""Bad input ends a run with what is wrong, where, and what to do; what was good stays on disk."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.material import example, make_dataset, unanswered
from tianjing.errors import TianjingError
from training.config import LoraSection, TrainConfig
from training.run import train

CONFIG = TrainConfig.model_validate(
    {"lora": {"rank": 4, "alpha": 8}, "micro_rows": 2, "save_every_steps": 1, "threads": 1}
)


def with_weight(weight: float) -> list[Any]:
    rows = [example(n) for n in range(16)]
    return [row.model_copy(update={"weight": weight}) if row.id == "train-9" else row for row in rows]


@pytest.mark.parametrize(
    ("weight", "message"), [(float("nan"), "the loss is nan"), (1e30, "the norm of the gradient is inf")]
)
def test_a_number_that_is_none_ends_the_run_before_it_reaches_a_weight_and_names_step_and_rows(
    weight: float, message: str, tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    dataset = make_dataset(tmp_path / "dataset", with_weight(weight))
    with pytest.raises(TianjingError) as failure:
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    shown = str(failure.value)
    assert message in shown and "train-9" in shown
    assert shown.count("train-") <= 8, "the rows of one step, not of the dataset"
    step = int(shown.removeprefix("step ").partition(":")[0])
    work = tmp_path / ".work" / "adapter"
    if step == 1:
        assert "no checkpoint had been written yet" in shown
        return
    assert f"checkpoint-{step - 1}" in shown
    weights = load_file(work / f"checkpoint-{step - 1}" / "adapter_model.safetensors")
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_a_full_disk_is_said_and_keeps_the_checkpoint_before(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.resumable import ResumableTrainer

    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(16)])
    real = ResumableTrainer.training_step
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def training_step(self: Any, *given: Any) -> Any:
        if self.state.global_step == 2:  # from the third step on, no file grows beyond 16 kB
            resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, before[1]))
        return real(self, *given)

    monkeypatch.setattr(ResumableTrainer, "training_step", training_step)
    try:
        with pytest.raises(TianjingError) as failure:
            train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    shown = str(failure.value)
    assert "checkpoint-3: cannot be written" in shown and "GiB are free" in shown
    assert "free space" in shown and "checkpoint-2" in shown
    work = tmp_path / ".work" / "adapter"
    assert sorted(path.name for path in work.glob("*checkpoint*")) == ["checkpoint-1", "checkpoint-2"]
    assert not (work / ".saving").exists()
    monkeypatch.undo()
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG, "must")


def test_a_dataset_without_an_assistants_turn_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", [unanswered(n) for n in range(3)])
    with pytest.raises(TianjingError, match=r"train\.parquet: none of its 3 rows ends with an assistant's turn"):
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG)


def test_rows_beyond_the_limit_alone_say_so(tiny_model: Path, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(3)])
    with pytest.raises(TianjingError, match=r"left out: 3 too_long(.|\n)*raise max_length_tokens"):
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG.model_copy(update={"max_length_tokens": 16}))


def test_a_limit_above_the_models_context_is_refused_with_the_context(tiny_model: Path, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", [example(1)])
    with pytest.raises(TianjingError, match=r"max_length_tokens is 4097.*context of 4096(.|\n)*at most 4096"):
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG.model_copy(update={"max_length_tokens": 4097}))


def test_an_adapter_of_another_base_is_not_merged(tiny_model: Path, tmp_path: Path) -> None:
    from tianjing.models.tiny import ensure_tiny
    from training.merge import merge

    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(8)])
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    another = ensure_tiny(lambda *_: None, seed=1)
    with pytest.raises(TianjingError, match="trained on another base model"):
        merge(tmp_path / "adapter", another, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    merge(tmp_path / "adapter", tiny_model, tmp_path / "merged")


def edit_its_alpha(adapter: Path) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(path.read_text().replace('"lora_alpha": 8', '"lora_alpha": 800'))


def cut_its_weights(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("harm", "file"), [(edit_its_alpha, "adapter_config.json"), (cut_its_weights, "adapter_model.safetensors")]
)
def test_an_adapter_that_was_changed_since_is_neither_merged_nor_gone_on_from(
    harm: Callable[[Path], None], file: str, tiny_model: Path, tmp_path: Path
) -> None:
    from training.merge import merge

    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(8)])
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    harm(tmp_path / "adapter")
    message = rf"adapter: is not what was written: .*{file}: changed"
    with pytest.raises(TianjingError, match=message):
        merge(tmp_path / "adapter", tiny_model, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    further = CONFIG.model_copy(update={"adapter": str(tmp_path / "adapter"), "lora": LoraSection()})
    with pytest.raises(TianjingError, match=message):
        train(dataset, tiny_model, tmp_path / "further", further)


MISSPELT = {
    "target": ({"targets": ["q_proj", "v_porj"]}, r"lora\.targets: .*no linear layer 'v_porj'(.|\n)*v_proj"),
    "layer of a rank": (
        {"rank_pattern": {"layers.99.self_attn.q_proj": 4}},
        r"lora\.rank_pattern: 'layers\.99\.self_attn\.q_proj' is for no module(.|\n)*model\.layers\.1\.mlp",
    ),
    "part of an alpha": (
        {"alpha_pattern": {"layers.1.attn.q_proj": 4}},
        r"lora\.alpha_pattern: 'layers\.1\.attn\.q_proj' is for no module",
    ),
    "layer without an adapter": (
        {"top_layers": 1, "rank_pattern": {"layers.0.self_attn.q_proj": 4}},
        r"lora\.rank_pattern: 'layers\.0\.self_attn\.q_proj' is for no module",
    ),
    "pattern that an earlier one hides": (
        {"rank_pattern": {"q_proj": 4, "layers.1.self_attn.q_proj": 8}},
        r"lora\.rank_pattern: 'layers\.1\.self_attn\.q_proj' .*earlier pattern(.|\n)*single modules before",
    ),
    "module to save": ({"modules_to_save": ["nrom"]}, r"lora\.modules_to_save: .*no module 'nrom'"),
}


@pytest.mark.parametrize("what", MISSPELT)
def test_a_name_in_lora_that_the_base_does_not_have_is_refused_before_anything_is_loaded_or_removed(
    what: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.plan.planning import make_plan

    lora, message = MISSPELT[what]
    config = TrainConfig.model_validate({"lora": lora, "serve_with": "transformers"})
    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(4)])
    kept = tmp_path / ".work" / "adapter" / "checkpoint-1"  # of the run before the name was misspelt
    kept.mkdir(parents=True)
    monkeypatch.setattr("training.assembly.load_base", lambda *_: pytest.fail("the base was loaded"))
    with pytest.raises(TianjingError, match=message):
        train(dataset, tiny_model, tmp_path / "adapter", config)
    assert kept.exists()
    with pytest.raises(TianjingError, match=message):
        make_plan(dataset, tiny_model, config, probe_steps=0)


def foreign_folder(out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("precious")


def foreign_artefact(out: Path) -> None:
    make_dataset(out, [example(1)])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (foreign_folder, "holds files but no manifest"),
        (foreign_artefact, "of kind 'dataset', not 'adapter'"),
        (lambda out: out.write_text("precious"), "is a file"),
    ],
)
def test_an_out_that_cannot_be_used_is_refused_before_the_first_step(
    place: Callable[[Path], None], message: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(4)])
    place(tmp_path / "adapter")
    monkeypatch.setattr("training.assembly.load_base", lambda *_: pytest.fail("the base was loaded"))
    with pytest.raises(TianjingError, match=message):
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG)


def test_a_folder_that_may_not_be_written_to_is_said_before_the_first_step(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(4)])
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(TianjingError, match=r"cannot be written: .*notes.txt is no folder(.|\n)*give another"):
        train(dataset, tiny_model, tmp_path / "notes.txt" / "adapter", CONFIG)


def test_evaluation_without_a_validation_row_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", [example(n) for n in range(8)], validation=0)
    config = TrainConfig.model_validate({"evaluation": {}})
    with pytest.raises(TianjingError, match=r"validation\.parquet: no row(.|\n)*validation_fraction"):
        train(dataset, tiny_model, tmp_path / "adapter", config)


def test_a_tracker_that_is_not_installed_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.base import check_requirements

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = TrainConfig.model_validate({"report_to": "mlflow"})
    with pytest.raises(TianjingError, match=r"mlflow is not installed(.|\n)*pip install 'tianjing\[mlflow\]'"):
        check_requirements(config)


def test_every_tracker_has_an_extra_of_its_name() -> None:
    import tomllib
    from typing import get_args

    from tests.conftest import REPOSITORY

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    trackers = set(get_args(TrainConfig.model_fields["report_to"].annotation)) - {"none"}
    assert {*trackers, "qlora"} <= set(project["optional-dependencies"])


def test_four_bit_weights_without_a_gpu_are_refused_with_what_to_do(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    dataset = make_dataset(tmp_path / "dataset", [example(1)])
    config = TrainConfig.model_validate({"quantize": "nf4"})
    with pytest.raises(TianjingError, match=r"nf4 needs a CUDA GPU(.|\n)*leave quantize out"):
        train(dataset, tiny_model, tmp_path / "adapter", config)
