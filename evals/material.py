"""What an evaluation asks about: rows to be worked examples, rows to be items, and the tasks they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.dataset import read_examples
from tianjing.lineage import artefact_digest
from tianjing.records import Example
from tianjing.tasks import TASKS, Task

Json = dict[str, Any]


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


def read_material(dataset: Path) -> Material:
    """The rows of an instruction dataset.

    Raises:
        TianjingError: the folder is no dataset, or a row is broken.
    """
    train, test = read_examples(dataset / "train.parquet"), read_examples(dataset / "test.parquet")
    return Material(train, test, (), artefact_digest(dataset))


def task_table(definitions: Sequence[Json]) -> Mapping[str, Task]:
    """The tasks of `tianjing.tasks`, and those that another harness has scored, by name."""
    from evals.bridges.recorded import KIND, RecordedTask

    recorded = (
        RecordedTask(given["id"], given["title"], given["harness"]) for given in definitions if given["kind"] == KIND
    )
    return {**TASKS, **{task.id: task for task in recorded}}
