"""A checkpoint is trusted when every byte of it is what was written; else the one before is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from training.checkpoints import RECORD, Checkpoint, CheckpointRecord, Checkpoints
from training.errors import TrainingError

GOES_ON_FROM = ("trainer_state.json", "optimizer.pt", "scheduler.pt")


def seal(checkpoints: Checkpoints, step: int, world_size: int = 1) -> Path:
    folder = checkpoints.staging / f"checkpoint-{step}"
    (folder / "deeper").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 8)
    (folder / "deeper" / "state").write_text(f"step {step}")
    for name in GOES_ON_FROM:
        (folder / name).write_text(f"step {step}")
    return checkpoints.seal(step, world_size)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    made = Checkpoints(tmp_path, run="r" * 64, keep=2)
    for step in (10, 20):
        seal(made, step)
    return made


def test_the_newest_is_found_with_what_it_was_written_by(checkpoints: Checkpoints) -> None:
    seal(checkpoints, 30, world_size=4)
    found = checkpoints.newest(pytest.fail)
    assert found is not None and found.path.name == "checkpoint-30"
    assert (found.record.step, found.record.world_size) == (30, 4)
    assert set(found.record.files) == {"adapter_model.safetensors", "deeper/state", *GOES_ON_FROM}


def truncate(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_byte(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def change_the_record(folder: Path) -> None:
    path = folder / RECORD
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"world_size": 2}))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncate, "adapter_model.safetensors is not what was written"),
    "flipped byte": (flip_a_byte, "adapter_model.safetensors is not what was written"),
    "missing file": (lambda folder: (folder / "deeper" / "state").unlink(), "deeper/state is missing"),
    "no record": (lambda folder: (folder / RECORD).unlink(), "digests.json is missing"),
    "torn record": (lambda folder: (folder / RECORD).write_text('{"step": 2'), "digests.json cannot be read"),
    "changed record": (change_the_record, "digests.json was changed"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(kind: str, checkpoints: Checkpoints) -> None:
    harm, message = DAMAGE[kind]
    harm(checkpoints.path(20))
    told: list[str] = []
    found = checkpoints.newest(told.append)
    assert found is not None and found.path.name == "checkpoint-10"
    (line,) = told
    assert line.startswith("checkpoint-20 is not used") and message in line
    assert not checkpoints.path(20).exists()


@pytest.mark.parametrize("left", [None, (), ("adapter_model.safetensors",)], ids=["no folder", "empty", "weights"])
def test_what_lost_its_files_before_it_was_sealed_is_no_checkpoint(
    left: tuple[str, ...] | None, checkpoints: Checkpoints
) -> None:
    folder = checkpoints.staging / "checkpoint-30"
    if left is not None:
        folder.mkdir(parents=True)
        for name in left:
            (folder / name).write_bytes(b"x")
    with pytest.raises(TrainingError, match=r"checkpoint-30: is not kept: (.|\n)*same command again"):
        checkpoints.seal(30, 1)
    found = checkpoints.newest(pytest.fail)
    assert found is not None and found.record.step == 20


@pytest.mark.parametrize("name", ["adapter_model.safetensors", *GOES_ON_FROM])
def test_a_sealed_checkpoint_that_cannot_be_gone_on_from_is_not_used(name: str, checkpoints: Checkpoints) -> None:
    """As earlier versions sealed it: without the file, and whole by its own record."""
    path = checkpoints.path(20)
    (path / name).unlink()
    record = CheckpointRecord.model_validate_json((path / RECORD).read_text())
    files = {other: digest for other, digest in record.files.items() if other != name}
    record = record.model_copy(update={"files": files})
    (path / RECORD).write_text(record.model_copy(update={"digest": record.own_digest()}).model_dump_json())
    told: list[str] = []
    found = checkpoints.newest(told.append)
    assert found is not None and found.record.step == 10
    assert "checkpoint-20 is not used and removed: damaged, it was written without" in told[0]


def test_a_checkpoint_of_another_base_or_dataset_is_refused(tmp_path: Path) -> None:
    seal(Checkpoints(tmp_path, run="another"), 10)
    told: list[str] = []
    assert Checkpoints(tmp_path, run="this").newest(told.append) is None
    assert "another dataset, base model or configuration" in told[0]


def test_what_a_kill_left_half_written_is_never_found(checkpoints: Checkpoints) -> None:
    half = checkpoints.staging / "checkpoint-30"
    half.mkdir(parents=True)
    (half / "optimizer.pt").write_bytes(b"half")
    found = checkpoints.newest(pytest.fail)
    assert found is not None and found.record.step == 20
    checkpoints.discard_unfinished()
    assert not checkpoints.staging.exists()


def test_the_newest_few_and_the_best_are_retained(checkpoints: Checkpoints) -> None:
    for step in (30, 40):
        seal(checkpoints, step)
    checkpoints.retain(best=10)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "checkpoint-10",
        "checkpoint-30",
        "checkpoint-40",
    ]


def test_the_same_step_saved_again_replaces_the_former(checkpoints: Checkpoints) -> None:
    seal(checkpoints, 20, world_size=2)
    found = checkpoints.read(20)
    assert isinstance(found, Checkpoint) and found.record.world_size == 2
