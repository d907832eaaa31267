"""Going on from an adapter begins where it ended, and replayed rows keep what it had learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.material import example, make_dataset, make_pairs, preference
from tianjing.errors import TianjingError
from tianjing.lineage import artefact_digest, read_manifest
from tianjing.records import Example, Message
from training.config import TrainConfig
from training.continued import inherit
from training.run import train
from training.selection import choose_rows

FIELDS: dict[str, Any] = {
    "lora": {"rank": 8, "alpha": 16},
    "learning_rate": 5e-3,
    "epochs": 6,
    "micro_rows": 4,
    "micro_batches": 1,
    "threads": 1,
    "max_length_tokens": 1024,
}


def config(**more: Any) -> TrainConfig:
    return TrainConfig.model_validate({**FIELDS, **more})


def another(number: int, task: str = "intent") -> Example:
    """A row of another task, answered in other words."""
    said = (
        ("system", "判断客户说的是哪一种意图。"),
        ("user", f"第{number}句：帮我查一下账单。"),
        ("assistant", f"查询：{number}"),
    )
    messages = tuple(Message(role=role, content=text) for role, text in said)  # type: ignore[arg-type]
    return example(number).model_copy(update={"id": f"{task}-{number}", "task": task, "messages": messages})


def held_out(adapter: Path, dataset: Path, model: Path, folder: Path) -> float:
    """The adapter's loss on the validation rows of `dataset`: that of a run that goes on from it and learns nothing."""
    still = config(
        adapter=str(adapter), lora={}, learning_rate=1e-12, epochs=0.1, evaluation={"every_steps": 1, "max_rows": None}
    )
    train(dataset, model, folder, still)
    entries = map(json.loads, (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines())
    return next(entry["eval_loss"] for entry in entries if "eval_loss" in entry)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("old") / "dataset", [example(n) for n in range(16)])


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("new") / "dataset", [another(n) for n in range(16)])


@pytest.fixture(scope="module")
def adapter(old: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What has learned the old task."""
    out = tmp_path_factory.mktemp("trained") / "adapter"
    train(old, tiny_model, out, config(evaluation={"every_steps": 100, "max_rows": None}))
    return out


def test_a_run_that_goes_on_begins_with_the_loss_the_adapter_ended_with(
    adapter: Path, old: Path, tiny_model: Path, tmp_path: Path
) -> None:
    entries = [json.loads(line) for line in (adapter / "loss.jsonl").read_text(encoding="utf-8").splitlines()]
    ended = next(entry["eval_loss"] for entry in entries if "eval_loss" in entry)
    assert entries[0]["loss"] - ended > 0.5, "it has learned"
    assert held_out(adapter, old, tiny_model, tmp_path / "on") == pytest.approx(ended, abs=1e-4)


def test_replayed_rows_keep_what_the_adapter_had_learned(
    adapter: Path, old: Path, new: Path, tiny_model: Path, tmp_path: Path
) -> None:
    before = held_out(adapter, old, tiny_model, tmp_path / "before")
    rise = {}
    for name, replay in (("without", None), ("with", {"dataset": str(old), "share": 0.5})):
        train(new, tiny_model, tmp_path / name, config(adapter=str(adapter), lora={}, epochs=3, replay=replay))
        rise[name] = held_out(tmp_path / name, old, tiny_model, tmp_path / f"{name}-held-out") - before
    assert rise["without"] > 0.1
    assert rise["with"] < 0.5 * rise["without"]

    manifest = read_manifest(tmp_path / "with")
    assert [record.sha256 for record in manifest.inputs] == list(map(artefact_digest, (new, tiny_model, adapter, old)))
    assert manifest.counts["replayed/next_reply"] == 16
    assert manifest.parameters["replay"] == {"share": 0.5, "rows": None}
    assert manifest.parameters["lora"]["rank"] == 8, "the adapter gives its shape"


def test_preferences_go_on_from_an_adapter_which_is_their_reference(
    adapter: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pairs = make_pairs(tmp_path / "dataset", [preference(n) for n in range(8)])
    train(pairs, tiny_model, tmp_path / "adapter", config(method="dpo", adapter=str(adapter), lora={}, epochs=2))
    entries = [json.loads(line) for line in (tmp_path / "adapter" / "loss.jsonl").read_text().splitlines()]
    assert entries[0]["rewards/margins"] == pytest.approx(0.0, abs=1e-4)
    assert entries[0]["rewards/chosen"] == pytest.approx(0.0, abs=1e-4)
    assert entries[-1]["rewards/margins"] > 0.05


def test_another_adapter_or_replayed_dataset_is_another_run(
    adapter: Path, old: Path, new: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    def begin(**more: Any) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("training.run.tokenize_rows", stop)
            with pytest.raises(KeyboardInterrupt):
                train(new, tiny_model, tmp_path / "adapter", config(lora={}, **more))
        return capsys.readouterr().err

    begin(adapter=str(adapter), replay={"dataset": str(old), "rows": 2})
    assert "starting afresh" not in begin(adapter=str(adapter), replay={"dataset": str(old), "rows": 2})
    other = make_dataset(tmp_path / "other", [example(n) for n in range(5)])
    assert "another replayed dataset" in begin(adapter=str(adapter), replay={"dataset": str(other), "rows": 2})
    assert "adapter to go on from: starting afresh" in begin(replay={"dataset": str(other), "rows": 2})


def test_an_adapter_of_another_shape_or_base_is_refused(
    adapter: Path, old: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from tianjing.models.tiny import ensure_tiny

    with pytest.raises(TianjingError, match=r"'lora.rank' is 4, but the adapter .* has 8(.|\n)*leave it out"):
        inherit(config(adapter=str(adapter), lora={"rank": 4}), tiny_model)
    with pytest.raises(TianjingError, match="trained on another base model"):
        inherit(config(adapter=str(adapter), lora={}), ensure_tiny(lambda *_: None, seed=1))
    with pytest.raises(TianjingError, match="of kind 'dataset', not an adapter"):
        inherit(config(adapter=str(old), lora={}), tiny_model)
    with pytest.raises(TianjingError, match=r"no manifest\.json"):
        inherit(config(adapter=str(tmp_path), lora={}), tiny_model)
    on = inherit(config(adapter=str(adapter), lora={"dropout": 0.1}, preset="gpu-1"), tiny_model)
    assert (on.lora.rank, on.lora.alpha, on.lora.dropout) == (8, 16, 0.1), "a preset's shape does not stand in its way"


def test_rows_are_replayed_evenly_over_tasks_seeded_and_never_twice(tmp_path: Path) -> None:
    older = [
        *(example(n) for n in range(30)),
        *(another(n) for n in range(30)),
        *(another(n, "mine") for n in range(2)),
    ]
    dataset = make_dataset(tmp_path / "old", older)
    new = make_dataset(tmp_path / "new", [example(0), *(another(n + 100) for n in range(17))])

    def replayed(**more: Any) -> list[str]:
        settings = config(replay={"dataset": str(dataset), "rows": 12}, **more)
        chosen = choose_rows(new, settings)
        assert chosen.replayed == {"next_reply": 5, "intent": 5, "mine": 2}
        return [row.id for row in chosen.rows if row.id.startswith("replay/")]

    first = replayed()
    assert replayed() == first != replayed(seed=1)
    assert len(set(first)) == 12 and "replay/train-0" not in first, "the new dataset holds that row itself"
    by_share = choose_rows(new, config(replay={"dataset": str(dataset), "share": 0.25}))
    assert by_share.replayed.total() == 6  # of 24
    with pytest.raises(TianjingError, match=r"holds 61 rows that the new dataset does not, .* asks for 62"):
        choose_rows(new, config(replay={"dataset": str(dataset), "rows": 62}))
