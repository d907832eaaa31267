"""One command trains an adapter for each scene, goes on where it was stopped, and loses no row in silence."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.training.material import example, make_dataset
from tests.training.test_continued import another
from tianjing.errors import EXIT_RESUMABLE, TianjingError
from tianjing.lineage import read_manifest, verify
from training.cli import app
from training.config import TrainConfig
from training.interruption import Interrupted
from training.scenes import of_scene, one_scene, scenes_of, train_scenes

FIELDS: dict[str, Any] = {"lora": {"rank": 4, "alpha": 8}, "micro_rows": 2, "threads": 1, "max_length_tokens": 1024}
CONFIG = TrainConfig.model_validate({**FIELDS, "scenes": ["post_loan", "service"]})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [*(example(n) for n in range(4)), *(another(n) for n in range(4)), another(9, "mediation")]
    return make_dataset(tmp_path_factory.mktemp("data") / "dataset", rows)


def test_each_scene_becomes_an_adapter_and_a_second_start_does_only_what_is_left(
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import training.scenes

    real, begun = training.scenes.train, []

    def train(*given: Any, **more: Any) -> None:
        begun.append(given[2].name)
        if given[2].name == "service" and len(begun) == 2:
            raise KeyboardInterrupt
        real(*given, **more)

    monkeypatch.setattr(training.scenes, "train", train)
    out = tmp_path / "adapters"
    with pytest.raises(KeyboardInterrupt):
        train_scenes(dataset, tiny_model, out, CONFIG, scenes_of(CONFIG))
    assert "1 rows belong to none of these scenes and are not learned: mediation 1" in capsys.readouterr().err
    train_scenes(dataset, tiny_model, out, CONFIG, scenes_of(CONFIG))
    assert begun == ["post_loan", "service", "service"]
    assert "post_loan: is finished, and stays as it is" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir() if path.name != ".work") == ["post_loan", "service"]
    manifest = read_manifest(out / "service")
    assert manifest.kind == "adapter"
    assert manifest.parameters["scene"]["name"] == "service" and "intent" in manifest.parameters["scene"]["tasks"]
    assert manifest.counts["rows"] == 4 and manifest.counts["dropped"] == {"of_another_scene": 5}

    other = CONFIG.model_copy(update={"seed": 1})
    train_scenes(dataset, tiny_model, out, other, scenes_of(other, ["post_loan"]))
    assert begun[3:] == ["post_loan"], "finished with another configuration is not finished"


def test_sigterm_while_an_adapter_is_written_leaves_the_next_scene_to_the_next_start(
    dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.adapter

    real = training.adapter.save

    def save(*given: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        real(*given)

    out, before = tmp_path / "adapters", signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(training.adapter, "save", save)
        with pytest.raises(Interrupted, match="stopped after scene post_loan, which is finished") as stopped:
            train_scenes(dataset, tiny_model, out, CONFIG, scenes_of(CONFIG))
    assert stopped.value.exit_code == EXIT_RESUMABLE
    assert signal.getsignal(signal.SIGTERM) is before
    assert read_manifest(out / "post_loan").kind == "adapter" and not (out / "service").exists()
    train_scenes(dataset, tiny_model, out, CONFIG, scenes_of(CONFIG))
    with monkeypatch.context() as patch:  # in the last scene there is nothing left to stop
        patch.setattr(training.adapter, "save", save)
        (out / "service" / "adapter_model.safetensors").unlink()
        train_scenes(dataset, tiny_model, out, CONFIG, scenes_of(CONFIG))
    assert verify(out / "service") == []


def test_a_place_of_a_later_scene_that_cannot_be_used_is_refused_before_the_first_is_trained(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    place = tmp_path / "adapters" / "service"
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("precious")
    with pytest.raises(TianjingError, match="service: holds files but no manifest"):
        train_scenes(dataset, tiny_model, tmp_path / "adapters", CONFIG, scenes_of(CONFIG))
    assert not (tmp_path / "adapters" / "post_loan").exists()


def test_a_scene_without_rows_is_refused_before_anything_is_trained(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    config = TrainConfig.model_validate({**FIELDS, "scenes": {"known": ["intent"], "empty": ["call_summary"]}})
    with pytest.raises(
        TianjingError, match=r"holds no row of scene empty \(tasks call_summary\)(.|\n)*leave the scene"
    ):
        train_scenes(dataset, tiny_model, tmp_path / "out", config, scenes_of(config))
    assert not (tmp_path / "out").exists()


def test_several_processes_train_one_scene_at_a_time(
    dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TianjingError, match=r"2 processes cannot train 2 scenes(.|\n)*job of its own"):
        train_scenes(dataset, tiny_model, tmp_path / "out", CONFIG, scenes_of(CONFIG))


def test_scenes_are_chosen_by_name_and_go_on_from_their_own_adapters() -> None:
    plain = TrainConfig()
    assert scenes_of(plain) == [] and one_scene(plain, None) is None
    (mediation,) = scenes_of(plain, ["mediation"])
    assert mediation.tasks == ("mediation",)
    with pytest.raises(TianjingError, match=r"--scene sales: no such scene; known are service, post_loan, mediation"):
        scenes_of(plain, ["sales"])
    with pytest.raises(TianjingError, match=r"trains 2 scenes, and a plan is for one(.|\n)*--scene post_loan"):
        one_scene(CONFIG, None)
    on = of_scene(TrainConfig.model_validate({"adapter": "runs/old"}), mediation)
    assert on.adapter == "runs/old/mediation"


def test_the_command_trains_the_scenes_it_is_given(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("training.scenes.train_scenes", lambda *given, ends_process: made.append(given))
    given = ["run", "data", "--model", "tiny", "--out", "out", "--scene", "mediation", "--scene", "service"]
    assert CliRunner().invoke(app, given).exit_code == 0
    ((data, model, out, _, scenes, resume),) = made
    assert (data, model, out, resume) == (Path("data"), tiny_model, Path("out"), "auto")
    assert [scene.name for scene in scenes] == ["mediation", "service"]
