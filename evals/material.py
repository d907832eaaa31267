"""What an evaluation asks about: rows to be worked examples, rows to be items, and the tasks they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.safety.probe_tasks import ProbeTask
from tianjing.dataset import read_examples
from tianjing.files import canonical_json, sha256_bytes
from tianjing.lineage import artefact_digest
from tianjing.records import Example
from tianjing.tasks import TASKS, Task

Json = dict[str, Any]

_MEND = "fill its `reference`, or leave the row out: what cannot be scored would count as wrong"


@dataclass(frozen=True)
class Material:
    """The rows and the tasks of an evaluation.

    Attributes:
        train: rows for worked examples and the format-only control.
        test: rows from which the items are chosen.
        definitions: what `task_table` needs to read the answers again without the files that the rows came from.
        digest: SHA-256 of the content that was read.
    """

    train: Sequence[Example]
    test: Sequence[Example]
    definitions: Sequence[Json]
    digest: str

    @property
    def tasks(self) -> Mapping[str, Task]:
        return task_table(self.definitions)


def read_material(dataset: Path | None, suites: Sequence[Path] = ()) -> Material:
    """The rows of an instruction dataset, of suites, or of both.

    Raises:
        TianjingError: the folder is no dataset, a suite cannot be read, or a row is broken.
        EvalError: there is neither, two test rows share an id, or one has no gold answer.
    """
    parts = []
    if dataset is not None:
        train, test = read_examples(dataset / "train.parquet"), read_examples(dataset / "test.parquet")
        parts.append(Material(train, test, (), artefact_digest(dataset)))
    if suites:
        from evals.suites.load import load_suites

        parts.append(load_suites(suites))
    if not parts:
        raise EvalError("nothing to ask", "give a dataset folder, --suite FILE, or both")
    material = parts[0] if len(parts) == 1 else _joined(parts)
    _check(material)
    return material


def _joined(parts: Sequence[Material]) -> Material:
    return Material(
        [row for part in parts for row in part.train],
        [row for part in parts for row in part.test],
        [definition for part in parts for definition in part.definitions],
        sha256_bytes(canonical_json([part.digest for part in parts]).encode()),
    )


def _check(material: Material) -> None:
    """Answers are kept by id and scored against gold: every test row needs both, and the id for itself."""
    tasks, seen = material.tasks, dict[str, int]()
    for number, row in enumerate(material.test, start=1):
        if row.id in seen:
            raise EvalError(
                f"test rows {seen[row.id]} and {number}: both have the id '{row.id}'", "give every row an id of its own"
            )
        seen[row.id] = number
        if row.task not in tasks:
            continue  # the plan names it with the tasks that are known
        named = f"test row {number} ('{row.id}', task {row.task})"
        try:
            gold = tasks[row.task].target(row.reference)
        except KeyError as error:
            raise EvalError(f"{named}: no gold answer: its `reference` has no {error}", _MEND) from None
        except (TypeError, ValueError, IndexError) as error:
            raise EvalError(f"{named}: its gold answer cannot be used: {error}", _MEND) from None
        if not gold.strip():
            raise EvalError(f"{named}: its gold answer is empty", _MEND)


def task_table(definitions: Sequence[Json]) -> Mapping[str, Task]:
    """The tasks of `tianjing.tasks`, and those that `definitions` describe, by name.

    A definition is of a suite, of a family of safety probes, or of a task that another harness has scored.
    """
    return {**TASKS, **{task.id: task for task in map(_defined, definitions)}}


def _defined(definition: Json) -> Task:
    from evals.bridges.recorded import KIND, RecordedTask
    from evals.suites.definition import Definition
    from evals.suites.tasks import task_of

    if definition["kind"] == "probe":
        return ProbeTask(definition["family"])
    if definition["kind"] == KIND:
        return RecordedTask(definition["id"], definition["title"], definition["harness"])
    return task_of(Definition(**definition))
