"""`tianjing train run`: places from the command line or the file, and what its exit status says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from training.cli import app
from training.interruption import Interrupted

Calls = list[tuple[Any, ...]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Calls:
    """What `training.run.train` is called with, in its place."""
    made: Calls = []
    monkeypatch.setattr("training.run.train", lambda *given, **_: made.append(given))
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments])


def write(folder: Path, text: str) -> str:
    path = folder / "train.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_file_may_name_dataset_model_and_out_and_the_command_line_wins(
    calls: Calls, tiny_model: Path, tmp_path: Path
) -> None:
    config = write(tmp_path, "dataset: of/file\nmodel: tiny\nout: out/of/file\n")
    assert run("--config", config).exit_code == 0
    assert run("of/line", "--out", "out/of/line", "--config", config, "--resume", "must").exit_code == 0
    assert calls[0][:3] == (Path("of/file"), tiny_model, Path("out/of/file")) and calls[0][4] == "auto"
    assert calls[1][:3] == (Path("of/line"), tiny_model, Path("out/of/line")) and calls[1][4] == "must"


@pytest.mark.parametrize(("given", "missing"), [((), "dataset"), (("some/dataset",), "out")])
def test_what_is_given_nowhere_is_named(given: tuple[str, ...], missing: str, calls: Calls) -> None:
    result = run(*given)
    assert f"no {missing} is given" in str(result.exception)
    assert calls == []


def test_an_interrupted_run_leaves_with_75_and_says_that_it_can_go_on(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise Interrupted("stopped after step 3 of 9; saved in x")

    monkeypatch.setattr("training.run.train", interrupted)
    result = run("dataset", "--model", "tiny", "--out", "out")
    assert result.exit_code == 75
    assert "stopped after step 3 of 9; saved in x; the same command goes on from there" in result.stderr
