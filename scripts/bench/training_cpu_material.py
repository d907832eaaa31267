"""Rows of a dataset for `training_cpu.py`, and what every trainer of it has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RANK = 16
# For all of them: spinning threads make every trainer a multiple slower where anything else runs on the cores.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Row:
    """A tokenised training row; `example` is its line of the dataset."""

    example: Any
    input_ids: list[int]
    labels: list[int]


def read_rows(file: Path, model: Path) -> list[Row]:
    """Every row, with a weight of one: the other trainers know no weights."""
    from transformers import AutoTokenizer

    from tianjing.dataset import read_examples
    from training.rows import tokenize

    examples = [example.model_copy(update={"weight": 1.0}) for example in read_examples(file)]
    by_id = {example.id: example for example in examples}
    tokens = tokenize(examples, AutoTokenizer.from_pretrained(model, local_files_only=True), 768)
    return [Row(by_id[row.id], row.input_ids, row.labels) for row in tokens.rows]


def write_dataset(folder: Path, train: Sequence[Row], validation: Sequence[Row] = ()) -> None:
    from tianjing.dataset import write_examples
    from tianjing.lineage import artefact

    with artefact(folder, kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [row.example for row in train])
        if validation:
            write_examples(work.dir / "validation.parquet", [row.example for row in validation])
