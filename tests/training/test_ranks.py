"""A run on several processes takes the steps of one: the same rows in each, the same losses, one artefact."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from tests.training.material import example, make_dataset, make_pairs, preference
from training.errors import TrainingError
from training.layout.batches import StratifiedRows
from training.ranks import Ranks

# The tiny model in fp32, whatever the processor can do: bfloat16 would round the two runs apart.
_RUN_IN_FP32 = """
import sys
from pathlib import Path

import training.assembly
import training.run
from tianjing.config import load
from tianjing.models import resolve
from training.config import TrainConfig

training.assembly.precision = lambda **_: "float32"
dataset, out, config = map(Path, sys.argv[1:])
training.run.train(dataset, resolve("tiny").path, out, load(TrainConfig, config))
"""


def test_micro_batches_that_cannot_be_dealt_out_are_refused_with_what_to_set() -> None:
    assert Ranks(0, 4, 4).share(8) == 2
    with pytest.raises(TrainingError, match=r"'micro_batches' is 6.*4 processes(.|\n)*multiple of 4"):
        Ranks(0, 4, 4).share(6)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_each_step_of_several_processes_holds_the_rows_of_the_same_step_of_one(
    count: int, micro_rows: int, world: int, share: int
) -> None:
    rows = [[index % 3] * (16 + index) for index in range(count)]
    blank = Ranks(0, world, world).blank_rows(count, micro_rows)
    padded = rows + [[9, 9]] * blank

    def steps(process: int, processes: int, total: list[list[int]], blanks: int) -> list[list[int]]:
        sampler = StratifiedRows(total, micro_rows, seed=3, blank=blanks)
        sampler.set_epoch(1)
        whole = BatchSampler(sampler, micro_rows, drop_last=False)
        batches = list(whole if processes == 1 else BatchSamplerShard(whole, processes, process))
        size = world * share // processes
        return [list(chain(*batches[start : start + size])) for start in range(0, len(batches), size)]

    alone = [sorted(step) for step in steps(0, 1, rows, 0)]
    dealt = [steps(process, world, padded, blank) for process in range(world)]
    assert len({len(own) for own in dealt}) == 1
    together = [sorted(row for own in dealt for row in own[step] if row < count) for step in range(len(dealt[0]))]
    assert together == alone


def losses(adapter: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (adapter / "loss.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "weights", "steps"),
    [
        ("micro_rows: 3, micro_batches: 4", "adapter_model.safetensors", 3),
        ("max_length_tokens: 256, pack_tokens: 384, micro_batches: 4", "adapter_model.safetensors", 2),
        ("tune: full, micro_rows: 3, micro_batches: 4", "model.safetensors", 3),
        ("method: kto, micro_rows: 3, micro_batches: 4", "adapter_model.safetensors", 3),
    ],
    ids=["lora", "packed", "full", "kto"],
)
def test_two_processes_learn_what_one_does(
    fields: str, weights: str, steps: int, tmp_path: Path, tiny_model: Path
) -> None:
    # The last step of an epoch is short, its last micro-batch too.
    if "kto" in fields:
        # The last micro-batch of the second process has no pair at all.
        data = make_pairs(tmp_path / "dataset", [preference(n) for n in range(27)])
    else:
        data = make_dataset(tmp_path / "dataset", [example(n) for n in range(29)])
    config = tmp_path / "train.yaml"
    config.write_text(f"{{epochs: 2, {fields}, learning_rate: 5.0e-3, threads: 1}}", encoding="utf-8")
    script = tmp_path / "run.py"
    script.write_text(_RUN_IN_FP32, encoding="utf-8")

    def run(out: Path, *launcher: str) -> None:
        command = [sys.executable, *launcher, str(script), str(data), str(out), str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]

    one, two = tmp_path / "one", tmp_path / "two"
    run(one)
    run(two, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert len(losses(one)) == 2 * steps
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert losses(one)[-1] < losses(one)[0]
    assert not (tmp_path / ".work" / "two").exists()
    from safetensors.torch import load_file

    ours, theirs = (load_file(folder / weights) for folder in (one, two))
    # Weights tuned in full are bfloat16 on disk: one that lies between two of its numbers falls to either.
    places = {name: 1e-4 + (2**-7 * ours[name].abs() if "tune: full" in fields else 0) for name in ours}
    assert all(((ours[name] - theirs[name]).abs() <= places[name]).all() for name in ours)
