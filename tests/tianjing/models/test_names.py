"""What a model name means: a folder, a reserved name, a hub id, or a clear error."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.tianjing.models.material import (
    SOURCE,
    Index,
    convert,
    quiet,
)
from tianjing.lineage import artefact_digest
from tianjing.models import ModelError, cache_dir, hub, resolve
from tianjing.models.embedded import ensure_embedded
from tianjing.models.resolution import ResolvedModel


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def write_hub_snapshot(hub_home: Path, name: str) -> Path:
    repository = hub_home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    return write_model(repository / "snapshots" / ("a" * 40))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        pytest.fail(f"the hub was asked for {name}")

    monkeypatch.setattr(hub, "download", refuse)


@pytest.mark.usefixtures("no_hub")
def test_a_folder_comes_before_every_other_meaning_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("Qwen/Qwen3-4B", "embedded"):
        write_model(tmp_path / name)
        found = resolve(name, quiet)
        assert (found.path, found.source) == (tmp_path / name, "path")
        assert found.digest == artefact_digest(tmp_path / name)


@pytest.mark.usefixtures("no_hub")
def test_reserved_names_never_ask_a_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tianjing.models.resolution.ensure_embedded", lambda on_phase: tmp_path / "e")
    monkeypatch.setattr("tianjing.models.resolution.ensure_tiny", lambda on_phase: tmp_path / "t")
    assert resolve("embedded", quiet) == ResolvedModel(tmp_path / "e", "embedded", "embedded")
    assert resolve("tiny", quiet) == ResolvedModel(tmp_path / "t", "tiny", "tiny")


@pytest.mark.usefixtures("no_hub")
def test_a_cached_hub_model_is_used_offline_and_libraries_are_told_to_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_hub_snapshot(tmp_path / "hf", "someone/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    found = resolve("someone/model", quiet)
    assert (found.path, found.source) == (snapshot, "hub cache")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_half_downloaded_snapshot_is_not_taken_for_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = write_hub_snapshot(tmp_path / "hf", "someone/model")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(hub, "download", lambda name: tmp_path / "fetched")
    assert resolve("someone/model", quiet).path == tmp_path / "fetched"


@pytest.mark.parametrize("name", ["nobody/no-such-model", "./no-such-folder", "a/b/c"])
def test_a_missing_model_is_told_within_seconds_with_the_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        resolve(name, quiet)
    assert time.monotonic() - began < 3
    assert name in caught.value.message
    assert "embedded" in caught.value.remedy


def test_offline_switch_is_obeyed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        resolve("nobody/no-such-model", quiet)


def test_a_hub_that_never_answers_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        hub._within(0.1, lambda: time.sleep(5))


def test_an_adapter_folder_is_refused_with_the_way_to_merge_it(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError) as caught:
        resolve(str(tmp_path / "adapter"), quiet)
    assert "tianjing train merge" in caught.value.remedy


def test_the_cache_moves_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIANJING_CACHE", str(tmp_path / "elsewhere"))
    assert cache_dir() == tmp_path / "elsewhere"
    assert ensure_embedded(quiet, SOURCE, Index(), convert).is_relative_to(tmp_path / "elsewhere")
    monkeypatch.delenv("TIANJING_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "home" / ".cache" / "tianjing"
