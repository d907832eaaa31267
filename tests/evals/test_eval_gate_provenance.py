"""Evidence that was edited and made to look whole again: by our own commands, or by somebody who knows the format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.errors import EvalError
from evals.gate.policy import GatePolicy
from evals.gate.provenance import of_dataset
from evals.gate.release import decide_and_sign, judge
from evals.records import Attempt, Item
from evals.run import ATTEMPTS, ITEMS, RUN, evaluate, read_evidence, rescore
from tests.evals.conftest import World
from tests.evals.editing import forge, rewrite
from tianjing.dataset import read_examples, write_examples
from tianjing.files import read_jsonl
from tianjing.lineage import artefact, read_manifest
from tianjing.lineage.manifest import MANIFEST

Edit = Callable[[Path], None]


def reword(folder: Path) -> None:
    """Every answer of the tuned model is another than it gave."""
    rewrite(folder / ATTEMPTS, lambda row: {**row, "output": f"{row['output']}。"} if row["arm"] == "tuned" else row)


def drop_hard(folder: Path) -> None:
    """Items that the tuned model got wrong were never asked, of either model."""
    hard = {row.item for row in read_jsonl(folder / ATTEMPTS, Attempt) if row.arm == "tuned" and row.score == 0}
    assert hard
    rewrite(folder / ITEMS, lambda row: None if row["id"] in hard else row)
    rewrite(folder / ATTEMPTS, lambda row: None if row["item"] in hard else row)


def unsure(folder: Path) -> None:
    """Intervals of 60 %, which exclude much."""
    run = json.loads((folder / RUN).read_text())
    run["config"]["confidence"] = 0.6
    (folder / RUN).write_text(json.dumps(run))


@pytest.fixture
def evals(world: World) -> Path:
    evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
    return world.out


def reasons(folder: Path) -> str:
    decided = judge(folder, GatePolicy())
    assert decided.verdict == "INVALID", decided.findings
    return " ".join(finding.reason for finding in decided.findings)


@pytest.mark.parametrize(("edit", "named"), [(reword, ATTEMPTS), (drop_hard, ATTEMPTS), (unsure, RUN)])
def test_edited_evidence_is_not_scored_again_and_the_file_is_named(evals: Path, edit: Edit, named: str) -> None:
    edit(evals)
    again = evals.parent / "again"
    with pytest.raises(EvalError, match=f"changed after it was written.*{named}"):
        rescore(evals, None, None, again)
    assert not again.exists()


def test_evidence_that_was_scored_again_is_judged_like_its_source(evals: Path) -> None:
    again, twice = evals.parent / "again", evals.parent / "twice"
    rescore(evals, None, None, again)
    rescore(again, None, None, twice)
    assert judge(evals, GatePolicy()) == judge(again, GatePolicy()) == judge(twice, GatePolicy())
    assert read_manifest(twice).counts == {"items": 72, "requests": len(read_evidence(evals).attempts)}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (reword, "attempts.jsonl: not what the evaluation held that was scored again"),
        (drop_hard, "items.jsonl: not what the evaluation held that was scored again"),
        (unsure, "run.json: confidence is 0.6, and the evaluation was made with 0.95"),
    ],
)
def test_answers_changed_on_the_way_through_scoring_again_are_refused(evals: Path, edit: Edit, told: str) -> None:
    again = evals.parent / "again"
    rescore(evals, None, None, again)
    edit(again)
    forge(again)
    assert told in reasons(again)


def test_what_an_earlier_version_scored_again_without_looking_is_refused(evals: Path) -> None:
    again = evals.parent / "again"
    run = read_evidence(evals).run
    with artefact(again, kind="evaluation", inputs=[evals], parameters=run["config"]) as work:
        for path in evals.iterdir():
            if path.name != MANIFEST:
                shutil.copy(path, work.dir)
    assert "scored again by a version that did not check its source" in reasons(again)


def test_deleted_items_are_missed_by_the_plan_of_the_run(evals: Path) -> None:
    drop_hard(evals)
    forge(evals)
    assert "next_reply 24, policy_qa 24, quality_inspection 24 were planned" in reasons(evals)


def test_deleted_answers_of_both_models_are_missed_by_the_plan_of_the_run(evals: Path) -> None:
    rewrite(evals / ATTEMPTS, lambda row: None if row["condition"] == "sampled" and row["repeat"] == 3 else row)
    forge(evals)
    assert "requests of the plan without an answer of the base model (18)" in reasons(evals)


class TestAgainstTheDataset:
    """A release names its dataset, so what was asked can be derived again."""

    def told(self, world: World) -> list[str]:
        return list(of_dataset(world.dataset, read_evidence(world.out)))

    def test_what_was_asked_is_what_the_dataset_gives(self, world: World, evals: Path) -> None:
        assert self.told(world) == []

    def test_items_deleted_from_every_file_are_missed(self, world: World, evals: Path) -> None:
        drop_hard(evals)
        forge(evals)
        (told,) = self.told(world)
        assert told.startswith("items of the dataset's test split that were to be asked and are missing")

    def test_a_gold_answer_that_was_changed_is_named(self, world: World, evals: Path) -> None:
        name = next(iter(read_jsonl(evals / ITEMS, Item))).id
        other = {"situation": "失业", "act": "offer_deferral", "reply": "好的"}
        rewrite(evals / ITEMS, lambda row: {**row, "reference": other} if row["id"] == name else row)
        forge(evals)
        assert self.told(world) == [f"items whose question or gold answer is not that of the dataset (1): {name}"]

    def test_another_prompt_than_the_item_gives_is_named(self, world: World, evals: Path) -> None:
        rewrite(evals / ATTEMPTS, lambda row: {**row, "prompt": "0" * 64} if row["arm"] == "base" else row)
        forge(evals)
        (told,) = self.told(world)
        assert told.startswith("prompts of the base model that its items do not give")

    def test_a_dataset_edited_under_its_manifest_is_refused(self, world: World, evals: Path) -> None:
        rows = read_examples(world.dataset / "test.parquet")
        write_examples(world.dataset / "test.parquet", rows[:-1])
        (told,) = self.told(world)
        assert told.startswith("the dataset was changed") and "test.parquet" in told

    def test_another_dataset_is_refused(self, world: World, evals: Path) -> None:
        rows = read_examples(world.dataset / "test.parquet")
        with artefact(world.dataset, kind="dataset") as work:
            write_examples(work.dir / "train.parquet", rows)
            write_examples(work.dir / "test.parquet", rows)
        (told,) = self.told(world)
        assert "is not what was evaluated as dataset" in told

    def test_probes_asked_beside_the_dataset_are_derived_again_too(self, world: World, tmp_path: Path) -> None:
        world.answers_others("您好，这个要求我不能答应。")
        safety = world.config.safety.model_copy(update={"probes": ("guarantee",)})
        world.config = world.config.model_copy(update={"safety": safety})
        evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
        contents = {"base": world.base, "adapter": world.adapter, "merged": world.tuned, "dataset": world.dataset}
        decided = decide_and_sign(world.out, tmp_path / "release.json", contents, GatePolicy())
        assert decided.verdict == "PROMOTE", decided.findings[0]
