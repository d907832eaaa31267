"""The ablation: its two arms differ in the experience alone, and a file that could spoil that is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tianjing.errors import TianjingError
from tianjing.lineage import verify
from tianjing.pipeline.ablation import CONTROL, EXPERIENCE, ablation_stages, load_ablation

SHIPPED = REPOSITORY / "examples" / "ablation.yaml"


def test_the_arms_differ_in_the_experience_alone() -> None:
    config = load_ablation(SHIPPED)
    stages = {stage.name: stage for stage in ablation_stages(config, Path("raw"), Path("model"), Path("out"))}
    for step in ("build", "train", "merge"):
        one, other = stages[f"{step}_{EXPERIENCE}"], stages[f"{step}_{CONTROL}"]
        swapped = tuple(part.replace(f"/{CONTROL}/", f"/{EXPERIENCE}/") for part in other.arguments)
        assert one.arguments == swapped
        if step != "build":
            assert one.settings == other.settings
    settings = [dict(stages[f"build_{arm}"].settings or {}) for arm in (EXPERIENCE, CONTROL)]
    assert [own["negotiation"].pop("experience") for own in settings] == [True, False]
    assert settings[0] == settings[1]
    names = list(stages)
    assert names.index(f"build_{CONTROL}") < names.index(f"train_{EXPERIENCE}"), "unlike arms fail before training"
    assert stages["negotiate"].also == ("tianjing.simulation",)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("data: {build: {negotiation: {experience: true}}}", "data.build.negotiation.experience is what the ablation"),
        ("data: {build: {tasks: [intent]}}", "data.build.tasks is what the ablation"),
        ("negotiate: {debters: 3}", "a.yaml:3: negotiate: unknown key 'debters'; did you mean 'debtors'?"),
        ("train: {epochs: 0}", "a.yaml:3: train: 'epochs'"),
        ("trian: {epochs: 1}", "a.yaml:3: unknown key 'trian'"),
    ],
)
def test_a_file_that_spoils_the_comparison_is_refused(tmp_path: Path, section: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"name: a\nraw: raw\n{section}\n", encoding="utf-8")
    with pytest.raises(TianjingError) as failure:
        load_ablation(path)
    assert message in str(failure.value)


TINY = """name: tiny
model: tiny
data:
  extract: {timelines: false, split: {test_fraction: 0.2, validation_fraction: 0.0}}
  build: {max_rows_per_task: {train: 32, validation: 1}}
train: {lora: {rank: 8, alpha: 16}, epochs: 1, max_length_tokens: 2048}
negotiate: {debtors: 4, first_debtor: 0, max_turns: 3, max_tokens: 16, replies: 4, max_model_len: 2048}
"""


def _command(path: Path, out: Path) -> list[str]:
    data = str(REPOSITORY / "examples" / "raw")
    return [sys.executable, "-m", "tianjing", "ablate", str(path), "--data", data, "--out", str(out)]


def _run(path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(path, out), cwd=REPOSITORY, capture_output=True, text=True, timeout=1200, check=False
    )


@pytest.mark.slow
def test_the_whole_ablation_runs_goes_on_after_ctrl_c_and_skips_what_is_done(tmp_path: Path) -> None:
    path, out = tmp_path / "tiny.yaml", tmp_path / "out"
    path.write_text(TINY, encoding="utf-8")
    with open(tmp_path / "log", "wb") as log:
        first = subprocess.Popen(_command(path, out), cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True)
    while "▶ train_control" not in (text := (tmp_path / "log").read_text("utf-8", errors="replace")):
        assert first.poll() is None, text
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGINT)
    assert first.wait(timeout=60) == 130
    result = _run(path, out)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "✓ train_experience" in result.stderr and "recovery, experience − control: " in result.stdout
    summary = json.loads((out / "ablation.json").read_text(encoding="utf-8"))
    assert summary["rows"] == {"experience": 32, "control": 32}
    assert set(summary["arms"]) == {"script_practice", "script_chance", "experience", "control", "base"}
    for folder in ("experience/adapter", "control/merged", "negotiations"):
        assert verify(out / folder) == [], folder
    assert _run(path, out).stderr.count("unchanged, skipped") == 8
