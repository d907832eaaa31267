"""A run that was interrupted, at whatever moment and however, ends with the bits of one that was not."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.training.material import command, example, make_dataset, start
from tianjing.errors import EXIT_RESUMABLE, TianjingError
from tianjing.files import sha256_file
from tianjing.lineage import artefact_digest, read_manifest
from training.checkpoints import RECORD, CheckpointRecord
from training.config import TrainConfig
from training.interruption import Interrupted, Stop, stop_on_sigterm
from training.run import train
from training.workspace import hold

# Six steps, with noise that a resumed run must draw again, and LoRA+'s groups in the optimiser's state.
FIELDS: dict[str, Any] = {
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.05, "loraplus_ratio": 4},
    "epochs": 2,
    "micro_rows": 2,
    "save_every_steps": 2,
    "threads": 1,
}
CONFIG = TrainConfig.model_validate(FIELDS)
STEPS = 6
Step = Callable[[int], None]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "dataset", [example(n) for n in range(12)])


@pytest.fixture(scope="module")
def whole(dataset: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of the run that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole") / "adapter"
    train(dataset, tiny_model, out, CONFIG)
    return out


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Step], None]:
    """Has a function called in the course of every step, with the number of steps done."""
    from training.resumable import ResumableTrainer

    real = ResumableTrainer.training_step

    def install(act: Step) -> None:
        def training_step(self: Any, *given: Any) -> Any:
            act(self.state.global_step)
            return real(self, *given)

        monkeypatch.setattr(ResumableTrainer, "training_step", training_step)

    return install


def terminate_at(step: int) -> Step:
    return lambda done: os.kill(os.getpid(), signal.SIGTERM) if done == step - 1 else None


def never(_: int) -> None:
    return None


def assert_same(one: Path, other: Path) -> None:
    name = "adapter_model.safetensors"
    assert sha256_file(one / name) == sha256_file(other / name)
    assert artefact_digest(one) == artefact_digest(other)  # the log and the plot, too


@pytest.mark.parametrize("step", [1, 3])
def test_sigterm_finishes_the_step_saves_and_leaves_with_75(
    step: int, dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path, in_step: Callable[[Step], None]
) -> None:
    in_step(terminate_at(step))
    with pytest.raises(
        Interrupted, match=f"stopped after step {step} of {STEPS}; saved in .*checkpoint-{step}"
    ) as stop:
        train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    assert stop.value.exit_code == EXIT_RESUMABLE == 75
    assert not (tmp_path / "adapter").exists()
    in_step(never)
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG, "must")
    assert_same(tmp_path / "adapter", whole)
    assert not (tmp_path / ".work" / "adapter").exists()


def test_sigterm_in_the_last_step_lets_the_run_finish(
    dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path, in_step: Callable[[Step], None]
) -> None:
    in_step(terminate_at(STEPS))
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    assert_same(tmp_path / "adapter", whole)


def test_sigterm_before_the_first_step_ends_at_once_and_the_former_handler_returns() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="before the first step"), stop_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before


def test_once_steps_are_taken_a_request_waits() -> None:
    stop = Stop()
    stop.keep_until_a_step_is_done()
    stop.request(signal.SIGTERM, None)
    assert stop.requested


# The command, whose training is over at once, with SIGTERM coming as its interpreter shuts down: while Python still
# runs, and when its own handlers are gone.
_TERMINATED_LATE = """
import atexit, os, signal, sys
import training.run
from tianjing.cli import main
from training.interruption import Interrupted

def train(*_):
    if end == "interrupted":
        raise Interrupted("saved")

class Last:
    kill, process, number = os.kill, os.getpid(), signal.SIGTERM

    def __del__(self):
        self.kill(self.process, self.number)

end, model, out = sys.argv[1:]
training.run._train = train
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
sys.last = Last()
sys.argv[1:] = ["train", "run", "data", "--model", model, "--out", out]
main()
"""


@pytest.mark.parametrize(("end", "status"), [("finished", 0), ("interrupted", EXIT_RESUMABLE)])
def test_a_sigterm_while_the_interpreter_shuts_down_changes_no_exit_status(
    end: str, status: int, tiny_model: Path, tmp_path: Path
) -> None:
    script = tmp_path / "run.py"
    script.write_text(_TERMINATED_LATE, encoding="utf-8")
    command = [sys.executable, str(script), end, str(tiny_model), str(tmp_path / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": "."}
    )
    assert done.returncode == status, done.stderr


def interrupted(dataset: Path, model: Path, out: Path, in_step: Callable[[Step], None], step: int = 3) -> Path:
    """A run stopped after `step`; returns its work folder, with checkpoints of steps 2 and `step`."""
    in_step(terminate_at(step))
    with pytest.raises(Interrupted):
        train(dataset, model, out, CONFIG)
    in_step(never)
    return out.parent / ".work" / out.name


def test_a_damaged_checkpoint_is_said_and_the_one_before_gives_the_same_bits(
    dataset: Path,
    tiny_model: Path,
    whole: Path,
    tmp_path: Path,
    in_step: Callable[[Step], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = interrupted(dataset, tiny_model, tmp_path / "adapter", in_step)
    weights = work / "checkpoint-3" / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    capsys.readouterr()
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    shown = capsys.readouterr().err
    assert "checkpoint-3 is not used and removed: damaged, adapter_model.safetensors is not what was written" in shown
    assert "going on from checkpoint-2" in shown
    assert_same(tmp_path / "adapter", whole)


def test_never_starts_afresh_and_must_refuses_to(
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    in_step: Callable[[Step], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "adapter"
    with pytest.raises(TianjingError, match=r"no checkpoint of this run.*there are none"):
        train(dataset, tiny_model, out, CONFIG, "must")
    work = interrupted(dataset, tiny_model, out, in_step)
    other = CONFIG.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(TianjingError, match="those there are of another configuration"):
        train(dataset, tiny_model, out, other, "must")
    assert (work / "checkpoint-3").exists(), "a refusal removes nothing"
    seen: list[int] = []
    in_step(seen.append)
    capsys.readouterr()
    train(dataset, tiny_model, out, CONFIG, "never")
    assert seen[0] == 0 and "going on" not in capsys.readouterr().err


def test_checkpoints_of_another_base_are_refused(
    dataset: Path, tiny_model: Path, tmp_path: Path, in_step: Callable[[Step], None], capsys: pytest.CaptureFixture[str]
) -> None:
    from tianjing.models.tiny import ensure_tiny

    interrupted(dataset, tiny_model, tmp_path / "adapter", in_step)
    another = ensure_tiny(lambda *_: None, seed=1)
    with pytest.raises(TianjingError, match="those there are of another base model"):
        train(dataset, another, tmp_path / "adapter", CONFIG, "must")
    seen: list[int] = []
    in_step(seen.append)
    train(dataset, another, tmp_path / "adapter", CONFIG)
    assert seen[0] == 0
    assert "are of another base model: starting afresh" in capsys.readouterr().err


def test_a_changed_number_of_processes_says_that_the_result_is_not_exact(
    dataset: Path, tiny_model: Path, tmp_path: Path, in_step: Callable[[Step], None], capsys: pytest.CaptureFixture[str]
) -> None:
    work = interrupted(dataset, tiny_model, tmp_path / "adapter", in_step)
    path = work / "checkpoint-3" / RECORD
    record = CheckpointRecord.model_validate_json(path.read_text()).model_copy(update={"world_size": 2})
    path.write_text(record.model_copy(update={"digest": record.own_digest()}).model_dump_json())
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    shown = capsys.readouterr().err
    assert "saved by 2 processes and goes on with 1" in shown and "not exactly" in shown


def test_a_run_killed_between_its_last_step_and_its_artefact_takes_no_step_again(
    dataset: Path,
    tiny_model: Path,
    whole: Path,
    tmp_path: Path,
    in_step: Callable[[Step], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.run.artefact", killed)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    seen: list[int] = []
    in_step(seen.append)
    train(dataset, tiny_model, tmp_path / "adapter", CONFIG)
    assert seen == []
    assert_same(tmp_path / "adapter", whole)


def test_a_dataset_that_is_built_anew_while_it_is_trained_on_is_never_named_as_what_was_learned(
    dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path, in_step: Callable[[Step], None]
) -> None:
    mine = tmp_path / "dataset"
    shutil.copytree(dataset, mine)

    def build_again(done: int) -> None:
        if done == 1:
            make_dataset(mine, [example(n) for n in range(20, 32)])

    in_step(build_again)
    with pytest.raises(TianjingError, match=r"dataset: the dataset changed while it was trained on(.|\n)*put it back"):
        train(mine, tiny_model, tmp_path / "adapter", CONFIG)
    assert not (tmp_path / "adapter").exists()
    shutil.rmtree(mine)
    shutil.copytree(dataset, mine)
    seen: list[int] = []
    in_step(seen.append)
    train(mine, tiny_model, tmp_path / "adapter", CONFIG)
    assert seen == [], "put back, it costs no step again"
    assert_same(tmp_path / "adapter", whole)


def test_a_dataset_that_is_built_anew_while_it_is_read_is_not_named_either(
    dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.run

    mine = tmp_path / "dataset"
    shutil.copytree(dataset, mine)
    real = training.run.choose_rows

    def choose_rows(*given: Any) -> Any:
        rows = real(*given)
        make_dataset(mine, [example(n) for n in range(20, 32)])
        return rows

    monkeypatch.setattr(training.run, "choose_rows", choose_rows)
    with pytest.raises(TianjingError, match="the dataset changed while it was trained on"):
        train(mine, tiny_model, tmp_path / "adapter", CONFIG)


def test_a_folder_that_appears_at_out_during_the_run_costs_no_step(
    dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path, in_step: Callable[[Step], None]
) -> None:
    out = tmp_path / "adapter"

    def take_the_place(done: int) -> None:
        out.mkdir(exist_ok=True)
        (out / "notes.txt").write_text("precious")

    in_step(take_the_place)
    with pytest.raises(TianjingError, match=r"holds files(.|\n)*move this folder away and give the same command again"):
        train(dataset, tiny_model, out, CONFIG)
    out.rename(tmp_path / "away")
    seen: list[int] = []
    in_step(seen.append)
    train(dataset, tiny_model, out, CONFIG)
    assert seen == []
    assert_same(out, whole)


def test_a_second_start_of_a_running_command_is_refused_and_harms_nothing(
    dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path, in_step: Callable[[Step], None]
) -> None:
    out, refused = tmp_path / "adapter", []

    def start_again(done: int) -> None:
        if done == 3:
            in_step(never)
            for resume in ("auto", "never"):
                with pytest.raises(TianjingError, match=rf"another run.*process {os.getpid()}\)") as refusal:
                    train(dataset, tiny_model, out, CONFIG, resume)
                refused.append(refusal)

    in_step(start_again)
    train(dataset, tiny_model, out, CONFIG)
    assert len(refused) == 2
    assert_same(out, whole)


_HOLDS = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from training.workspace import hold

with ExitStack() as until:
    hold(Path(sys.argv[1]), until)
    print("holds", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_holds_its_work_folder_no_longer(tmp_path: Path) -> None:
    work = tmp_path / ".work" / "adapter"
    child = subprocess.Popen([sys.executable, "-c", _HOLDS, str(work)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "holds\n"
        with pytest.raises(TianjingError, match=f"process {child.pid}"), contextlib.ExitStack() as until:
            hold(work, until)
    finally:
        child.kill()
        child.wait()
    with contextlib.ExitStack() as until:
        hold(work, until)


# A constant rate so high that the second step spoils what the first learned, by 3 % of the loss: the weights after one
# step are the same however many follow.
TOO_FAST = {**FIELDS, "seed": 6, "learning_rate": 0.5, "schedule": "constant_with_warmup", "warmup_ratio": 0.0}
EVALUATED = TrainConfig.model_validate({**TOO_FAST, "evaluation": {"every_steps": 1, "patience": 1}})
TO_THE_BEST = TrainConfig.model_validate({**TOO_FAST, "epochs": 1 / 3})


def test_training_stops_early_and_the_best_weights_are_the_adapter_also_when_it_was_interrupted(
    dataset: Path, tiny_model: Path, tmp_path: Path, in_step: Callable[[Step], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Weights are compared bit for bit, and the order of the losses is not the same in every number format.
    monkeypatch.setattr("training.assembly.precision", lambda on_gpu: "float32")
    taken: set[int] = set()
    in_step(taken.add)
    train(dataset, tiny_model, tmp_path / "evaluated", EVALUATED)
    assert read_manifest(tmp_path / "evaluated").counts["best_step"] == 1
    assert taken == {0, 1}, "it ends after the step that was no better"

    train(dataset, tiny_model, tmp_path / "to_the_best", TO_THE_BEST)
    weights = "adapter_model.safetensors"
    assert sha256_file(tmp_path / "evaluated" / weights) == sha256_file(tmp_path / "to_the_best" / weights)

    in_step(terminate_at(1))
    with pytest.raises(Interrupted):
        train(dataset, tiny_model, tmp_path / "stopped", EVALUATED)
    in_step(never)
    train(dataset, tiny_model, tmp_path / "stopped", EVALUATED)
    assert_same(tmp_path / "stopped", tmp_path / "evaluated")


@pytest.mark.slow
def test_kill_9_and_sigterm_at_random_moments_of_a_real_process(
    dataset: Path, tiny_model: Path, whole: Path, tmp_path: Path
) -> None:
    config = tmp_path / "train.yaml"
    config.write_text(CONFIG.model_dump_json(exclude_none=True))
    out, log = tmp_path / "adapter", tmp_path / "log"
    draw = random.Random(20261129)
    for kind in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        process = start(command(dataset, tiny_model, out, config), log)
        deadline = time.monotonic() + 300
        while "computing in" not in log.read_text(errors="replace") and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(draw.uniform(0.0, 3.0))
        process.send_signal(kind)
        status = process.wait(timeout=300)
        if (out / "manifest.json").exists():
            break  # the run was quicker than the chosen moment
        assert status == (-signal.SIGKILL if kind == signal.SIGKILL else 75), log.read_text(errors="replace")
    else:
        assert start(command(dataset, tiny_model, out, config), log).wait(timeout=300) == 0, log.read_text()
    assert_same(out, whole)
