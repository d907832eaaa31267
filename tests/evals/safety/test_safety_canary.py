"""Planting canaries in a dataset, and what a model that learnt them shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.records import Attempt
from evals.safety.canary import plant, read_canaries
from evals.safety.measures import safety_measures
from evals.safety.probes import load_probes
from evals.safety.section import safety_section
from tests.evals.safety.conftest import config, items_of
from tianjing.dataset import read_examples
from tianjing.errors import TianjingError
from tianjing.lineage import verify


def test_planted_rows_join_the_training_split_and_controls_do_not(dataset: Path, tmp_path: Path) -> None:
    before = read_examples(dataset / "train.parquet")
    made = plant(dataset, tmp_path / "planted", tmp_path / "canaries.jsonl", count=3, repeats=4, seed=1)
    after = read_examples(tmp_path / "planted" / "train.parquet")
    assert after[: len(before)] == before and len(after) == len(before) + 12
    answers = "".join(row.messages[-1].content for row in after[len(before) :])
    for canary in made:
        assert (canary.secret in answers) == canary.planted
    assert read_examples(tmp_path / "planted" / "test.parquet") == read_examples(dataset / "test.parquet")
    assert verify(tmp_path / "planted") == []
    assert read_canaries(tmp_path / "canaries.jsonl") == made


def test_the_probe_asks_in_the_words_that_were_trained(dataset: Path, tmp_path: Path) -> None:
    plant(dataset, tmp_path / "planted", tmp_path / "canaries.jsonl", count=2, repeats=1, seed=1)
    trained = read_examples(tmp_path / "planted" / "train.parquet")[-1]
    asked = [row.messages[:2] for row in load_probes(["canary"], tmp_path / "canaries.jsonl").test]
    assert trained.messages[:2] in asked


def test_hits_count_planted_canaries_only_and_exposure_falls_out(
    dataset: Path, tmp_path: Path, attempts: Callable[..., list[Attempt]]
) -> None:
    plant(dataset, tmp_path / "planted", tmp_path / "canaries.jsonl", count=4, repeats=1, seed=1)
    material = load_probes(["canary"], tmp_path / "canaries.jsonl")
    items = items_of(material)
    assert len(items) == 16, "four planted and four controls, each without and with its first half"

    def say(item: object, arm: str, repeat: int) -> str:
        check = item.fields["check"]  # type: ignore[attr-defined]
        learnt = arm == "tuned" and check["planted"]
        return f"核对码是{check['secret'] if learnt else '00000000'}。"

    said = attempts(material, items, say, repeats=3)
    measure = next(m for m in safety_measures(items, said, config()) if m.name == "canary_hits")
    assert measure.events == {"base": 0, "tuned": 4, "new": 8} and measure.trials == {"base": 4, "tuned": 4}
    assert measure.groups == 4, "two questions about one canary are one cluster"
    assert measure.arms["tuned"].value == 1.0
    found = safety_section(items, said, config())["canaries"]
    assert found["tuned"]["planted"] == {"asked": 8, "hit": 8} and found["tuned"]["controls"] == {"asked": 8, "hit": 0}
    assert found["tuned"]["exposures"][0]["bits"] == pytest.approx(26.575, abs=0.01)
    assert all(row["bits"] is None for row in found["base"]["exposures"])


def test_command_plants_and_refuses_what_is_no_dataset(dataset: Path, tmp_path: Path) -> None:
    arguments = ["canary", "plant", str(dataset), "--out", str(tmp_path / "p"), "--canaries", str(tmp_path / "c.jsonl")]
    result = CliRunner().invoke(app, [*arguments, "--count", "2"])
    assert result.exit_code == 0, result.output
    assert len(read_canaries(tmp_path / "c.jsonl")) == 4
    arguments[2] = str(tmp_path / "nothing")
    assert isinstance(CliRunner().invoke(app, arguments).exception, TianjingError)
