"""Pipelines: bad settings fail before anything runs, finished stages are recognised, one run at a time."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.tianjing.test_cli import tianjing
from tianjing.errors import EXIT_INTERRUPTED, EXIT_RESUMABLE, TianjingError
from tianjing.lineage import artefact, artefact_digest
from tianjing.pipeline import process
from tianjing.pipeline.config import PipelineConfig, load_pipeline
from tianjing.pipeline.run import resumable, run_stage
from tianjing.pipeline.stages import Stage, stages
from tianjing.pipeline.state import Finished, _folder_digest, locked, read_finished, stage_key, write_finished


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["quickstart", "tiny", "real"])
def test_shipped_pipelines_are_valid(name: str) -> None:
    assert load_pipeline(REPOSITORY / "examples" / f"{name}.yaml").name == name


def test_unknown_key_in_a_stage_section_names_file_line_section_key_and_the_allowed_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", "name: p\nraw: raw\ntrain:\n  lerning_rate: 1\n")
    with pytest.raises(TianjingError) as failure:
        load_pipeline(path)
    message = str(failure.value)
    assert "p.yaml:4: train: unknown key 'lerning_rate'" in message
    assert "did you mean 'learning_rate'?" in message and "micro_rows" in message


def test_unknown_key_of_the_file_itself_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", "name: p\nraw: raw\ntrian: {}\n")
    with pytest.raises(TianjingError, match=r"p\.yaml:3: unknown key 'trian'; did you mean 'train'\?"):
        load_pipeline(path)


def test_scenes_are_no_part_of_a_pipeline_which_has_one_adapter(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", "name: p\ntrain: {scenes: [mediation]}\n")
    with pytest.raises(TianjingError, match=r"train\.scenes: a pipeline merges.*(.|\n)*--scene NAME"):
        load_pipeline(path)


def test_what_training_goes_on_from_and_replays_are_inputs_of_its_stage(tmp_path: Path) -> None:
    text = "name: p\ntrain: {adapter: /old/adapter, replay: {dataset: /old/rows, share: 0.2}}\n"
    config = load_pipeline(write(tmp_path / "p.yaml", text))
    train = next(stage for stage in stages(config, tmp_path, tmp_path, tmp_path, "stop") if stage.name == "train")
    assert train.inputs[2:] == (Path("/old/adapter"), Path("/old/rows"))


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path / "p.yaml", "name: p\ntrain: {rank: 1\n")
    with pytest.raises(TianjingError, match=r"p\.yaml:\d+: not valid YAML"):
        load_pipeline(path)


def test_missing_raw_folder_of_the_real_pipeline_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIANJING_DATA", raising=False)
    result = tianjing("run", "examples/real.yaml", "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "LawRefBook/Laws" in result.stderr and "FudanDISC/DISC-FinLLM" in result.stderr


def test_missing_model_is_named_quickly(tmp_path: Path) -> None:
    result = tianjing("run", "examples/tiny.yaml", "--model", "./no/such/model", "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "no/such/model" in result.stderr


def test_port_in_use_is_said_before_any_work(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = tianjing("run", "examples/tiny.yaml", "--out", str(tmp_path / "o"), "--serve", "--port", str(port))
    assert result.returncode == 2
    assert f"port {port}" in result.stderr and "--port" in result.stderr
    assert not (tmp_path / "o").exists()


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, Stage]:
    """A stage that has been done: input and output artefacts and their record."""
    out = tmp_path / "out"
    source = tmp_path / "raw"
    source.mkdir()
    write(source / "a.txt", "one")
    with artefact(out / "knowledge", kind="knowledge", inputs=[source], parameters={}) as work:
        write(work.dir / "clauses.jsonl", "{}\n")
    stage = Stage("extract", "data_recipes", ("data", "extract", str(source)), (source,), out / "knowledge", {"a": 1})
    record = Finished(key=stage_key(stage), digest=artefact_digest(stage.output), seconds=1.0, peak_memory_gib=0.1)
    write_finished(out, stage, record)
    return out, stage


def test_a_finished_stage_is_recognised(finished: tuple[Path, Stage]) -> None:
    out, stage = finished
    record = read_finished(out, stage)
    assert record is not None and record.key == stage_key(stage)


def test_a_changed_input_or_setting_gives_another_key(finished: tuple[Path, Stage]) -> None:
    _, stage = finished
    before = stage_key(stage)
    write(stage.inputs[0] / "a.txt", "two")
    assert stage_key(stage) != before
    write(stage.inputs[0] / "a.txt", "one")
    assert stage_key(stage) == before
    changed = Stage(stage.name, stage.package, stage.arguments, stage.inputs, stage.output, {"a": 2})
    assert stage_key(changed) != before


def test_a_changed_rule_pack_is_changed_code_wherever_the_package_lies(tmp_path: Path) -> None:
    package = tmp_path / "pipeline" / "package"
    (package / "packs").mkdir(parents=True)
    (package / "simulation").mkdir()
    write(package / "packs" / "rules.yaml", "rules: []\n")
    write(package / "simulation" / "talk.py", "")
    before = _folder_digest(package)
    write(package / "simulation" / "talk.py", "HELLO = 1\n")
    assert _folder_digest(package) == before, "no stage runs the simulation"
    write(package / "packs" / "rules.yaml", "rules: [{}]\n")
    assert _folder_digest(package) != before


def test_a_removed_output_is_not_taken_for_finished(finished: tuple[Path, Stage]) -> None:
    out, stage = finished
    shutil.rmtree(stage.output)
    assert read_finished(out, stage) is None


@pytest.mark.parametrize("text", [None, "{}"], ids=["missing", "cut short"])
def test_an_output_that_lost_a_file_or_the_end_of_one_is_not_taken_for_finished(
    finished: tuple[Path, Stage], text: str | None
) -> None:
    out, stage = finished
    file = stage.output / "clauses.jsonl"
    file.unlink() if text is None else file.write_text(text)
    assert read_finished(out, stage) is None


def test_rules_that_changed_behind_a_link_give_another_key(finished: tuple[Path, Stage], tmp_path: Path) -> None:
    _, stage = finished
    (tmp_path / "shared").mkdir()
    write(tmp_path / "shared" / "a.md", "第一条 旧。")
    (stage.inputs[0] / "rules").symlink_to(tmp_path / "shared")
    before = stage_key(stage)
    write(tmp_path / "shared" / "a.md", "第一条 新。")
    assert stage_key(stage) != before


def test_moving_the_run_elsewhere_keeps_its_keys(tmp_path: Path) -> None:
    raw, model = tmp_path / "raw", tmp_path / "model"
    for folder in (raw, model):
        folder.mkdir()
        write(folder / "x", folder.name)
    config = PipelineConfig(name="p", raw="raw")
    here = stages(config, raw, model, tmp_path / "a", "stop")[0]
    there = stages(config, raw, model, tmp_path / "b", "stop")[0]
    assert stage_key(here) == stage_key(there)


@pytest.mark.parametrize("status", [EXIT_RESUMABLE, EXIT_INTERRUPTED, -signal.SIGTERM])
def test_a_stage_that_was_stopped_and_can_go_on_stops_the_pipeline_as_interrupted(
    status: int, finished: tuple[Path, Stage], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, stage = finished
    monkeypatch.setattr(process, "run", lambda command: process.Result(status, 1.0, 0.1))
    before = signal.getsignal(signal.SIGTERM)
    try:
        ended = resumable(out, lambda: int(isinstance(run_stage(stage, out, stage.name, again=True), int)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == EXIT_INTERRUPTED
    assert "the same command goes on from here" in capsys.readouterr().err


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(TianjingError, match=f"process {os.getpid()}"),
        locked(tmp_path),
    ):
        raise AssertionError("the second run started")


def test_weights_that_are_tuned_in_full_are_not_merged_but_evaluated_released_and_served(tmp_path: Path) -> None:
    def commands(train: dict[str, str]) -> dict[str, tuple[str, ...]]:
        found = stages(PipelineConfig(name="p", train=train), tmp_path, tmp_path / "base", tmp_path / "out", "stop")
        assert {stage.name for stage in found} >= {"train", "evaluate", "gate", "serve_check"}
        return {stage.name: stage.arguments for stage in found}

    adapted, whole = commands({}), commands({"tune": "full"})
    assert "merge" in adapted and "merge" not in whole
    tuned = str(tmp_path / "out" / "tuned")
    for name in ("train", "evaluate", "gate", "serve_check"):
        assert tuned in whole[name] and tuned not in adapted[name]
    assert "--adapter" in adapted["gate"] and "--adapter" not in whole["gate"]
