"""The samples that lm-eval wrote, as items and attempts, so that two models are compared on the same documents.

lm-eval's own comparison (`scripts/model_comparator.py`) takes the two runs as independent samples, which throws away
that they answered the same documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.bridges.recorded import KIND, recorded_output
from evals.errors import EvalError
from evals.records import GREEDY, Arm, Item, RawAttempt
from tianjing.files import canonical_json, sha256_bytes

HARNESS = "lm_eval"
# What lm-eval's filters say where a pattern found nothing.
_UNREAD = frozenset(("[invalid]", ""))
STDERR = (
    "standard deviation of the documents' values over the root of their number (or, for metrics that are no mean, the "
    "standard deviation of a bootstrap over documents): every document counts as independent, and nothing is said of "
    "the difference of two models"
)

Json = dict[str, Any]


@dataclass(frozen=True)
class LmEvalRun:
    """What lm-eval wrote of one model.

    Attributes:
        results: its results_*.json.
        samples: by task, the rows of its samples_*.jsonl.
    """

    results: Json
    samples: Mapping[str, Sequence[Json]]


def read_run(folder: Path) -> LmEvalRun:
    """The newest results below `folder`, and the samples written with them.

    Raises:
        EvalError: there are none, or no samples beside them.
    """
    found = sorted(folder.rglob("results_*.json"), key=lambda path: path.name)
    if not found:
        raise EvalError(f"{folder}: no results of lm-eval", "give the folder of its --output_path")
    results = json.loads(found[-1].read_text(encoding="utf-8"))
    stamp = found[-1].stem.removeprefix("results_")
    samples = {}
    for task in results["configs"]:
        path = found[-1].with_name(f"samples_{task}_{stamp}.jsonl")
        if not path.is_file():
            raise EvalError(f"{path}: missing", "run lm-eval with --log_samples")
        with open(path, encoding="utf-8") as stream:
            samples[task] = [json.loads(line) for line in stream]
    return LmEvalRun(results, samples)


def definitions(run: LmEvalRun) -> list[Json]:
    """What `task_table` makes the tasks of."""
    return [
        {"kind": KIND, "id": f"{HARNESS}_{task}", "title": task, "harness": HARNESS} for task in sorted(run.samples)
    ]


def convert(
    run: LmEvalRun, arm: Arm, digest: str, seed: int, cluster: str | None = None
) -> tuple[list[Item], list[RawAttempt]]:
    """Items and greedy attempts of one model, by the first filter and the first metric of every task.

    Args:
        digest: of the model.
        cluster: field of the documents that names the unit of resampling; None takes each document as its own.

    Raises:
        EvalError: a value is no score in [0, 1], less is better, the same document stands twice, or a document
            lacks the field.
    """
    items, attempts = [], []
    for task in sorted(run.samples):
        metric = _metric(run, task)
        seen: set[str] = set()
        for number, row in _first_filter(run.samples[task]):
            where = f"samples of {task}, line {number}"
            id = f"{HARNESS}_{task}/{row['doc_id']}"
            if id in seen:
                raise EvalError(f"{where}: document {row['doc_id']} stands twice", "run lm-eval again")
            seen.add(id)
            score = row.get(metric)
            if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
                raise EvalError(
                    f"{where}: {metric} is {score!r}, not a score from 0 to 1",
                    "name a metric first in the task's metric_list that is one of each document",
                )
            if cluster is not None and cluster not in row["doc"]:
                raise EvalError(f"{where}: the document has no field '{cluster}'", f"it has: {', '.join(row['doc'])}")
            text, answer = _answer(row)
            items.append(
                Item(
                    id=id,
                    task=f"{HARNESS}_{task}",
                    group=id if cluster is None else f"{HARNESS}_{task}/{row['doc'][cluster]}",
                    kind=str(row["target"]),
                    stability=False,
                    fields={"prompt": _prompt(row), "doc_sha256": row["doc_hash"]},
                    reference={"answer": str(row["target"])},
                )
            )
            attempts.append(
                RawAttempt(
                    key=sha256_bytes(canonical_json([digest, id, row["prompt_hash"]]).encode()),
                    item=id,
                    task=f"{HARNESS}_{task}",
                    arm=arm,
                    condition=GREEDY,
                    repeat=0,
                    prompt=row["prompt_hash"],
                    seed=seed,
                    temperature=0.0,
                    output=recorded_output(text, answer, float(score)),
                    finish_reason="stop",
                )
            )
    return items, attempts


def reported(run: LmEvalRun) -> Json:
    """lm-eval's own figures of the metric that is converted: value and standard error, by task."""
    figures = {}
    for task, rows in run.samples.items():
        metric, name = _metric(run, task), rows[0]["filter"] if rows else "none"
        result = run.results["results"][task]
        figures[task] = {
            "metric": metric,
            "filter": name,
            "value": result.get(f"{metric},{name}"),
            "stderr": result.get(f"{metric}_stderr,{name}"),
        }
    return figures


def content_digest(items: Sequence[Item]) -> str:
    """SHA-256 of the documents and prompts that were asked: equal for two models that were asked the same."""
    return sha256_bytes(canonical_json([item.model_dump(mode="json") for item in items]).encode())


def _metric(run: LmEvalRun, task: str) -> str:
    rows = run.samples[task]
    if not rows:
        raise EvalError(f"samples of {task}: none", "the task has no documents, or --limit is 0")
    metric = str(rows[0]["metrics"][0])
    if not run.results["higher_is_better"].get(task, {}).get(metric, True):
        raise EvalError(
            f"{task}: less {metric} is better", "name a metric first in metric_list of which more is better"
        )
    return metric


def _first_filter(rows: Sequence[Json]) -> Iterator[tuple[int, Json]]:
    for number, row in enumerate(rows, start=1):
        if row["filter"] == rows[0]["filter"]:
            yield number, row


def _answer(row: Json) -> tuple[str, str | None]:
    """What the model said, and what lm-eval took for its answer; of choices by likelihood, the likeliest."""
    given = row["filtered_resps"]
    if isinstance(given[0], list):
        likelihoods = [float(choice[0]) for choice in given]
        return canonical_json(likelihoods), str(max(range(len(given)), key=likelihoods.__getitem__))
    answer = str(given[0]).strip()
    return str(row["resps"][0][0]), None if answer in _UNREAD else answer


def _prompt(row: Json) -> str:
    first = row["arguments"]["gen_args_0"]["arg_0"]
    return str(first[0] if isinstance(first, list) else first)
