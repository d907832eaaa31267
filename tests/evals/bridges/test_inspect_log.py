"""What Inspect reads of an exported evaluation is what the evaluation holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.bridges.inspect_log import export_inspect
from evals.cli import app
from evals.errors import EvalError
from evals.run import evaluate, read_evidence
from evals.stats import clustered_se
from tests.evals.conftest import World

inspect_log = pytest.importorskip("inspect_ai.log")  # in the extra 'dev'


@pytest.fixture
def run(world: World) -> Path:
    """An evaluation in which one question of the tuned model is refused."""
    config = world.config.model_copy(update={"items": 8, "stability_items": 2})
    reply = world.endpoint.reply

    def refusing(payload: dict[str, Any]) -> str | int:
        told = payload["messages"][-1]["content"]
        refused = len(payload["messages"]) == 2 and payload["temperature"] == 0 and told.startswith("条款")
        return 400 if refused and refusals.setdefault("first", told) == told else reply(payload)

    refusals: dict[str, str] = {}
    world.endpoint.reply = refusing
    evaluate(world.dataset, world.base, world.tuned, world.out, config)
    return world.out


def rows(run: Path, arm: str) -> list[Any]:
    from evals.material import task_table
    from evals.scoring import score_all

    evidence = read_evidence(run)
    items = {item.id: item for item in evidence.items}
    return [a for a in score_all(evidence.attempts, items, task_table(())) if a.arm == arm]


@pytest.mark.parametrize("ending", [".eval", ".json"])
def test_inspect_reads_back_every_attempt_with_its_score_rule_and_condition(run: Path, ending: str) -> None:
    written = export_inspect(run, run.parent / "logs" / f"it{ending}")
    assert [path.name for path in written] == [f"it-base{ending}", f"it-tuned{ending}"]
    for arm, path in zip(("base", "tuned"), written, strict=True):
        log = inspect_log.read_eval_log(str(path))
        own = {(a.item, a.condition, a.repeat): a for a in rows(run, arm)}
        assert log.status == "success" and log.eval.metadata["arm"] == arm
        assert len(log.samples) == len(own) == log.results.total_samples
        for sample in log.samples:
            attempt = own[sample.id.partition(" [")[0], sample.metadata["condition"], sample.epoch - 1]
            score = sample.scores["score"]
            assert (score.value, score.answer) == (attempt.score, attempt.answer)
            assert score.explanation == f"read by rule: {attempt.rule}"
            assert sample.output.completion == attempt.output == sample.messages[-1].text
            assert (sample.error.message if sample.error else None) == attempt.error
            usage = next(iter(sample.model_usage.values()))
            assert (usage.input_tokens, usage.output_tokens) == (attempt.prompt_tokens, attempt.output_tokens)


def test_repeats_are_epochs_and_no_sample_mixes_conditions(run: Path) -> None:
    (_, path) = export_inspect(run, run.parent / "it.eval")
    samples = inspect_log.read_eval_log(str(path)).samples
    assert max(Counter((sample.id, sample.epoch) for sample in samples).values()) == 1
    by_id: dict[str, set[str]] = {}
    for sample in samples:
        by_id.setdefault(sample.id, set()).add(sample.metadata["condition"])
    assert all(len(conditions) == 1 for conditions in by_id.values())
    epochs = Counter(sample.id for sample in samples if sample.metadata["condition"] == "sampled")
    assert set(epochs.values()) == {4} and len(epochs) == 6


def test_the_metrics_are_the_greedy_mean_and_its_standard_error_over_clusters(run: Path) -> None:
    (_, path) = export_inspect(run, run.parent / "it.eval")
    metrics = inspect_log.read_eval_log(str(path), header_only=True).results.scores[0].metrics
    groups = {item.id: item.group for item in read_evidence(run).items}
    greedy = [attempt for attempt in rows(run, "tuned") if attempt.condition == "greedy"]
    scores = [attempt.score for attempt in greedy]
    assert metrics["mean"].value == pytest.approx(sum(scores) / len(scores))
    assert metrics["stderr"].value == pytest.approx(clustered_se(scores, [groups[a.item] for a in greedy]))
    asked = [a.score for a in greedy if a.task == "next_reply"]
    assert metrics["next_reply mean"].value == pytest.approx(sum(asked) / len(asked))


def test_a_request_that_failed_counts_as_a_failure_and_shows_its_error(run: Path) -> None:
    (_, path) = export_inspect(run, run.parent / "it.eval")
    log = inspect_log.read_eval_log(str(path))
    failed = [sample for sample in log.samples if sample.error is not None]
    assert failed and all(sample.scores["score"].value == 0 for sample in failed)
    assert all("HTTP 400" in sample.error.message for sample in failed)
    assert log.results.scores[0].metrics["mean"].metadata["items"] == 24


def test_worked_examples_are_shown_with_the_dataset_and_their_absence_is_said_without(run: Path, world: World) -> None:
    (without, tuned) = export_inspect(run, run.parent / "it.eval")
    samples = inspect_log.read_eval_log(str(without)).samples
    assert all("worked examples" in sample.metadata["prompt_shown"] for sample in samples)
    assert all("prompt_shown" not in s.metadata for s in inspect_log.read_eval_log(str(tuned)).samples)
    (full, _) = export_inspect(run, run.parent / "it.eval", world.dataset)
    samples = inspect_log.read_eval_log(str(full)).samples
    assert all("prompt_shown" not in sample.metadata for sample in samples)
    assert all(len(sample.input) == 6 for sample in samples if sample.metadata["condition"] == "greedy")
    with pytest.raises(EvalError, match="not the dataset of this evaluation"):
        other = run.parent / "other"
        from tianjing.dataset import write_examples
        from tianjing.lineage import artefact

        with artefact(other, kind="dataset") as work:
            for split in ("train", "test"):
                write_examples(work.dir / f"{split}.parquet", [])
        export_inspect(run, run.parent / "it.eval", other)


def test_the_command_names_the_files_and_refuses_what_inspect_would_not_open(run: Path) -> None:
    out = run.parent / "it.eval"
    done = CliRunner().invoke(app, ["export", str(run), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "it-base.eval" in done.output and "it-tuned.eval" in done.output
    with pytest.raises(EvalError, match=r"not a name for an Inspect log(.|\n)*\.eval or \.json"):
        export_inspect(run, out.with_suffix(".log"))
    with pytest.raises(EvalError, match="missing"):
        export_inspect(run.parent, out)
