"""The YAML file of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from evals.errors import EvalError
from evals.suites.definition import Definition
from evals.suites.readers import READERS
from evals.suites.rows import Columns
from tianjing.config import StrictModel, load_yaml, parse
from tianjing.tasks import TASKS


class _Sourced(StrictModel):
    held_out: int = Field(5, ge=1)
    """Rows, drawn by a hash of their keys, that become worked examples and are not tested, where the suite has no
    others. The base model is shown some of them, and the format-only control takes its answers from them."""

    licence: str = ""
    """Licence of the data, written into reports; a reader knows its own."""


class TableSuite(Definition, _Sourced):
    """Rows of your own: one task."""

    data: tuple[Path, ...]
    """Files of the rows to be tested (.parquet, .jsonl, .csv, .tsv, .json), relative to this file."""

    shots: tuple[Path, ...] = ()
    """Files of worked examples, in the same columns; they are never tested."""

    columns: Columns = Columns()
    """Which column holds what."""

    @field_validator("data", "shots", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def definition(self) -> Definition:
        return Definition(**self.model_dump(include=set(Definition.model_fields)))


class ReaderSuite(_Sourced):
    """A published set in its own layout: one or more tasks."""

    reader: str
    """Which layout; `tianjing eval suite readers` lists them."""

    path: Path
    """Folder or file as it was published, relative to this file."""

    max_tokens: int = Field(0, ge=0)
    """Tokens an answer may have; 0 takes the kind's own."""

    @field_validator("reader")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in READERS:
            raise ValueError(f"unknown reader; known: {', '.join(READERS)}")
        return value


class BuiltinSuite(_Sourced):
    """Rows for a task of `tianjing.tasks`: columns `fields` and `reference` in its form; optionally id and group."""

    task: str
    """Name of the task."""

    data: tuple[Path, ...]
    """Files of the rows to be tested, relative to this file."""

    shots: tuple[Path, ...] = ()
    """Files of worked examples."""

    @field_validator("data", "shots", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("task")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TASKS:
            raise ValueError(f"unknown task; known: {', '.join(TASKS)}")
        return value


SuiteConfig = TableSuite | ReaderSuite | BuiltinSuite


def read_config(path: Path) -> SuiteConfig:
    """Read and check a suite's YAML file.

    Raises:
        TianjingError: a key or value is wrong, with the line; EvalError: it is no suite at all.
    """
    values = load_yaml(path)
    ways = [key for key in ("kind", "reader", "task") if key in values]
    if len(ways) != 1:
        raise EvalError(
            f"{path}: {'both ' + ' and '.join(ways) if ways else 'no kind, reader or task'}",
            "write 'kind' and 'data' for rows of your own, 'reader' and 'path' for a published set, o"
            "r 'task' and 'data' for rows of a task "
            "of tianjing.tasks",
        )
    if ways == ["kind"]:
        return parse(TableSuite, values, str(path), path)
    if ways == ["reader"]:
        return parse(ReaderSuite, values, str(path), path)
    return parse(BuiltinSuite, values, str(path), path)
