"""The two commands as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.data_recipes.material import write_raw


def _tianjing(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tianjing", "data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_extract_and_build_from_the_command_line(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", cases=120)
    (tmp_path / "extract.yaml").write_text("split: {holdout: {field: site, values: [west]}}\n", encoding="utf-8")
    extracted = _tianjing("extract", raw, "--out", tmp_path / "k", "--config", tmp_path / "extract.yaml")
    assert extracted.returncode == 0, extracted.stderr
    assert extracted.stdout == "" and "kept_dialogues" in extracted.stderr  # progress and table on stderr
    built = _tianjing("build", tmp_path / "k", "--out", tmp_path / "d")
    assert built.returncode == 0, built.stderr
    assert "policy_qa/train" in built.stderr and "dropped: policy_qa: the clause cited does not exist" in built.stderr
    assert (tmp_path / "d" / "train.parquet").is_file()


def test_a_broken_line_ends_with_status_2_and_skipping_it_with_0(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", cases=12)
    with open(raw / "events.jsonl", "a", encoding="utf-8") as stream:
        stream.write('{"case": "P0000", "at": "yesterday"\n')
    line = len((raw / "events.jsonl").read_text("utf-8").splitlines())
    failed = _tianjing("extract", raw, "--out", tmp_path / "k")
    assert failed.returncode == 2
    assert f"events.jsonl:{line}: broken JSON at column" in failed.stderr and "Traceback" not in failed.stderr
    assert not (tmp_path / "k").exists()
    skipped = _tianjing("extract", raw, "--out", tmp_path / "k", "--on-error", "skip")
    assert skipped.returncode == 0 and "rejected_lines" in skipped.stderr
    assert json.loads((tmp_path / "k" / "rejected.jsonl").read_text("utf-8"))["line"] == line


def test_an_unknown_configuration_key_ends_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("split: {hold_out: {}}\n", encoding="utf-8")
    failed = _tianjing("extract", tmp_path, "--out", tmp_path / "k", "--config", tmp_path / "c.yaml")
    assert failed.returncode == 2
    assert "unknown key 'split.hold_out'; did you mean 'holdout'?" in failed.stderr.replace("\n", " ")
