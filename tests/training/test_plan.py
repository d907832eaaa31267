"""A plan says what a run will take: its rows, its batches, its memory, and what to change where it does not fit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tianjing.dataset import write_examples
from tianjing.lineage import artefact
from tianjing.records import Example, Message
from training.cli import app
from training.config import LoraSection, TrainConfig
from training.errors import TrainingError
from training.plan.audit import MicroBatch, by_task, epochs
from training.plan.devices import GIB, device, machine_memory
from training.plan.probe import choose_batches
from training.rows import IGNORED, TokenRow, TokenRows


def example(number: int, characters: int = 20, task: str = "talk") -> Example:
    said = (("system", f"你是{task}客服，请回答客户的问题。"), ("user", "还" * characters), ("assistant", "可以延期。"))
    return Example(
        id=f"{task}-{number}",
        task=task,
        group="g",
        split="train",
        messages=tuple(Message(role=role, content=content) for role, content in said),  # type: ignore[arg-type]
        fields={},
        reference={},
    )


def row(name: str, opening: int, own: int, answer: int = 3) -> TokenRow:
    """`opening` repeated 20 times, then `own` tokens that no other row has, of which the last `answer` carry a loss."""
    ids = [opening] * 20 + [1000 + int(name.rsplit("r", 1)[-1].rsplit("-", 1)[-1])] * own
    return TokenRow(name, ids, [IGNORED] * (len(ids) - answer) + ids[-answer:], [1.0] * len(ids))


def rows(count: int = 37) -> list[TokenRow]:
    draw = random.Random(0)
    return [row(f"r{number}", 1 + number % 2, draw.randint(5, 90)) for number in range(count)]


def dataset(folder: Path, examples: list[Example]) -> Path:
    with artefact(folder, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", examples)
    return folder


def test_statistics_of_each_task_count_only_rows_that_are_trained_on() -> None:
    lengths = [10, 20, 30, 40, 100]
    made = [row(f"talk-{n}", 1, length, answer=2) for n, length in enumerate(lengths)]
    examples = [example(n) for n in range(6)] + [example(0, task="other")]
    (task,) = by_task(examples, TokenRows(made, {"too_long": ["talk-5"]}))
    assert (task.task, task.rows, task.tokens, task.supervised) == ("talk", 5, 300, 10)
    assert (task.shortest, task.median, task.p95, task.longest) == (30, 50, 120, 120)


def test_an_epoch_is_laid_out_as_the_trainer_lays_it_out() -> None:
    from training.layout.batches import SharedPrefix, StratifiedRows

    made, config = rows(), TrainConfig(micro_rows=4, micro_batches=3, epochs=1.5, seed=3)
    run = epochs(made, config)
    sampler = StratifiedRows([r.input_ids for r in made], 4, seed=3)
    sampler.set_epoch(1)
    order = list(sampler)
    batches = [order[start : start + 4] for start in range(0, len(order), 4)]
    assert [list(micro.rows) for micro in run.micro[1]] == batches
    real = [SharedPrefix()([vars(made[n]) for n in batch])["input_ids"].shape[1] for batch in batches]
    assert [micro.tokens for micro in run.micro[1]] == real
    assert run.row_tokens == sum(len(r.input_ids) for r in made)
    assert run.computed < run.row_tokens <= run.padded
    assert (run.steps_per_epoch, run.steps) == (4, 6)  # ten micro-batches, three a step; half an epoch is two steps
    assert len(run.all) == 10 + 6


def test_the_probe_holds_the_largest_micro_batch_of_the_run() -> None:
    made, config = rows(), TrainConfig(micro_rows=4, micro_batches=2, epochs=3, seed=1)
    run = epochs(made, config)

    def size(micro: MicroBatch) -> float:
        return micro.tokens

    chosen = [micro.tokens for micro in choose_batches(run, size, 6)]
    assert len(chosen) == 6
    epoch = next(epoch for epoch in run.micro if chosen[0] in map(size, epoch))
    assert chosen[0] == max(micro.tokens for epoch in run.micro for micro in epoch)
    assert min(chosen) == min(map(size, epoch))
    every = choose_batches(run, size, 100)
    assert len(every) == len(epoch)
    assert [len(micro.rows) for micro in every] == [4] * 9 + [1]


@pytest.mark.parametrize("name", ["a1000", "-3", "0", "nan", "inf"])
def test_a_device_that_is_not_known_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(TrainingError, match="no device") as refusal:
        device(name)
    assert "h200" in refusal.value.remedy


def test_a_container_has_no_more_memory_than_its_limit(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    assert machine_memory(limit) == GIB
    limit.write_text("max\n")
    assert machine_memory(limit) > GIB
    assert device("24").capacity == 24 * GIB


def test_rows_left_out_are_named_and_the_plan_is_written_down(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the command sets it for its process; undone after the test
    open_ended = example(8).model_copy(update={"messages": example(8).messages[:-1]})
    folder = dataset(tmp_path / "dataset", [*(example(n) for n in range(6)), example(7, 900), open_ended])
    config = tmp_path / "train.yaml"
    config.write_text(f"dataset: '{folder}'\nmodel: '{tiny_model}'\n", encoding="utf-8")
    written = tmp_path / "plan.json"
    result = CliRunner().invoke(app, ["plan", str(config), "--probe-steps", "0", "--json", str(written)])
    assert result.exit_code == 0, result.output
    assert "left out, too_long: 1 rows: talk-7" in result.output
    assert "left out, no_assistant_answer: 1 rows: talk-8" in result.output
    assert "fits" in result.output and "time not measured" in result.output
    plan = json.loads(written.read_text())
    assert plan["left_out"] == {"too_long": ["talk-7"], "no_assistant_answer": ["talk-8"]}
    assert plan["steps"] == 1 and plan["fits"] and plan["probe"] is None
    assert plan["memory"]["peak"] >= sum(plan["memory"][part] for part in ("runtime", "weights", "activations"))


def test_what_does_not_fit_exits_1_and_says_what_to_change(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.plan import planning

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(planning, "CONTEXT_BYTES", 0)
    folder = dataset(tmp_path / "dataset", [example(n, 20 + 10 * n) for n in range(40)])
    whole = planning.make_plan(folder, tiny_model, TrainConfig(), "24", probe_steps=0)
    assert whole.fits and whole.remedies == []
    tight = f"{(whole.memory.peak - 1) / GIB:.9f}"
    result = CliRunner().invoke(app, ["plan", "--dataset", str(folder), "--model", str(tiny_model), "--device", tight])
    assert result.exit_code == 1
    assert "does not fit" in result.output
    assert "→ micro_rows: 2 with micro_batches: 4" in result.output
    assert "→ lora.top_layers: 1" in result.output


def test_more_rows_and_more_layers_take_more(tiny_model: Path, tmp_path: Path) -> None:
    from training.plan.planning import make_plan

    folder = dataset(tmp_path / "dataset", [example(n, 20 + 10 * n) for n in range(16)])

    def parts(**fields: Any) -> Any:
        return make_plan(folder, tiny_model, TrainConfig(**fields), "24", 0).memory

    plain = parts()
    assert parts(micro_rows=8).activations > plain.activations
    top = parts(lora=LoraSection(top_layers=1), epochs=2)
    assert top.activations < plain.activations and top.kept_states > 0 == plain.kept_states
    assert parts(lora=LoraSection(rank=32)).optimiser == 2 * plain.optimiser == 4 * plain.gradients


def test_full_tuning_tells_its_disk_and_offers_an_adapter_where_it_does_not_fit(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.plan import planning

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(planning, "CONTEXT_BYTES", 0)
    folder = dataset(tmp_path / "dataset", [example(n) for n in range(8)])
    adapted = planning.make_plan(folder, tiny_model, TrainConfig(), "24", 0)
    assert adapted.disk == 0
    config = tmp_path / "train.yaml"
    config.write_text("{tune: full, micro_rows: 1, micro_batches: 8}", encoding="utf-8")
    tight = f"{adapted.memory.peak / GIB:.9f}"
    places = ["--dataset", str(folder), "--model", str(tiny_model), "--device", tight]
    result = CliRunner().invoke(app, ["plan", str(config), *places])
    assert result.exit_code == 1, result.output
    assert "checkpoints and artefact: up to 0.0 GiB of disk" in result.output
    assert "→ tune: lora" in result.output and "top_layers" not in result.output


def test_a_plan_of_packed_rows_has_the_bins_of_the_run_and_its_own_remedies(tiny_model: Path, tmp_path: Path) -> None:
    from training.layout.packing import PackedBatch, PackedRows
    from training.plan.planning import make_plan

    made = rows(60)
    config = TrainConfig(max_length_tokens=128, pack_tokens=256, compile=True, micro_batches=2, epochs=2)
    run = epochs(made, config)
    sampler = PackedRows([r.input_ids for r in made], [r.labels for r in made], 256, 2, seed=0)
    sampler.set_epoch(1)
    bins = list(sampler)
    assert [list(micro.rows) for micro in run.micro[1]] == bins
    layouts = [PackedBatch(256)([vars(made[n]) for n in members])["layout"] for members in bins]
    assert [micro.layout for micro in run.micro[1]] == layouts
    assert run.computed == 256 * len(bins) == 256 * len(run.micro[0])

    folder = dataset(tmp_path / "dataset", [example(n, 20 + n) for n in range(40)])
    config = config.model_copy(update={"pack_tokens": 1024, "max_length_tokens": 512})
    plain = make_plan(folder, tiny_model, config, "24", probe_steps=0).memory
    assert (
        plain.activations
        > make_plan(folder, tiny_model, config.model_copy(update={"checkpointing": "full"}), "24", 0).memory.activations
    )
    tight = make_plan(folder, tiny_model, config, "1.01", probe_steps=0)
    assert [remedy.change for remedy in tight.remedies][:3] == [
        "pack_tokens: 512 with micro_batches: 4",
        "checkpointing: selective",
        "checkpointing: full",
    ]


TRAIN = """
import sys
from pathlib import Path
from training.config import TrainConfig
from training.plan.probe import peak_bytes
from training.run import train
dataset, model, config, out = sys.argv[1:]
train(Path(dataset), Path(model), Path(out), TrainConfig.model_validate_json(config))
print(peak_bytes())
"""


@pytest.mark.slow
@pytest.mark.parametrize("config", [TrainConfig(), TrainConfig(tune="full")], ids=["lora", "full"])
def test_the_probe_measures_the_real_trainer(config: TrainConfig, tiny_model: Path, tmp_path: Path) -> None:
    from training.plan.planning import make_plan

    folder = dataset(tmp_path / "dataset", [example(n, 20 + 10 * n) for n in range(40)])
    plan = make_plan(folder, tiny_model, config, "cpu")
    assert plan.probe is not None and plan.seconds is not None
    assert plan.probe.steps == 4
    assert plan.seconds > plan.probe.start_seconds > 0
    if plan.precision == "float32":  # in bfloat16 oneDNN keeps kernels for every new length, which only a probe sees
        assert plan.memory.peak == pytest.approx(plan.probe.peak, rel=0.15)
    settings = config.model_dump_json(exclude_unset=True)
    arguments = [str(folder), str(tiny_model), settings, str(tmp_path / "trained")]
    trained = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert trained.returncode == 0, trained.stderr
    assert plan.peak == pytest.approx(int(trained.stdout.split()[-1]), rel=0.15), "what is told is what the run takes"
