"""Evaluation sets that nothing may be learned from: where they lie and how their questions and answers are read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_recipes.errors import DataError
from tianjing.config import StrictModel

_QUESTIONS = ("instruction", "input", "question", "query", "prompt", "problem", "问题")
_ANSWERS = ("output", "answer", "response", "target", "completion", "答案")


class EvaluationSet(StrictModel):
    """A named set of questions and answers that no training row may hold."""

    name: str
    """Name in the report."""
    path: str
    """File, relative to the one given on the command line: JSON Lines, a JSON list, CSV, or Parquet. A file with
    `messages`, as this project's own `test.parquet`, is read by its messages without the system's."""
    question_fields: tuple[str, ...] = ()
    """Fields that make up a question, in order; without it, the usual ones (instruction, input, question …)."""
    answer_fields: tuple[str, ...] = ()
    """Fields that make up an answer; without it, the usual ones (output, answer, response …)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its answer (empty where the set has none); `number` counts the records of the file from 0."""

    number: int
    question: str
    answer: str


def read_items(source: EvaluationSet, root: Path) -> Iterator[Item]:
    """The items of `source`, whose path is relative to `root`.

    Raises:
        DataError: no such file, not of its format (with the line), or without any field of a question.
    """
    path = root / source.path
    questions, answers = source.question_fields or _QUESTIONS, source.answer_fields or _ANSWERS
    for number, (where, record) in enumerate(_records(path)):
        if not isinstance(record, dict):
            raise DataError(f"{where}: not a record of fields", "give objects such as {question, answer}")
        messages = record.get("messages")
        if messages and not source.question_fields:
            yield Item(number, _said(messages, "user"), _said(messages, "assistant"))
            continue
        missing = [name for name in source.question_fields + source.answer_fields if name not in record]
        question = _joined(_text(record.get(name)) for name in questions)
        if missing or not question:
            raise DataError(
                f"{where}: evaluation set '{source.name}': no field {', '.join(missing) or 'of a question'}; "
                f"the record has {', '.join(map(str, record))}",
                "name its fields in `question_fields` and `answer_fields`",
            )
        yield Item(number, question, _joined(_text(record.get(name)) for name in answers))


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(path).iter_batches(1024):
                yield from ((str(path), row) for row in batch.to_pylist())
        elif path.suffix == ".csv":
            with open(path, encoding="utf-8-sig", newline="") as stream:
                yield from ((f"{path}:{i}", row) for i, row in enumerate(csv.DictReader(stream), 2))
        elif path.suffix == ".json":
            rows = json.loads(path.read_text(encoding="utf-8"))
            yield from ((f"{path}: item {i}", row) for i, row in enumerate(rows if isinstance(rows, list) else [rows]))
        else:
            with open(path, encoding="utf-8") as stream:
                yield from ((f"{path}:{i}", json.loads(line)) for i, line in enumerate(stream, 1) if line.strip())
    except FileNotFoundError:
        raise DataError(f"{path}: no such evaluation set", "check the path under `decontaminate`") from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as an evaluation set: {error}",
            "give JSON Lines, a JSON list, CSV or Parquet, in UTF-8",
        ) from None


def _said(messages: Sequence[Mapping[str, Any]], role: str) -> str:
    return _joined(_text(message.get("content")) for message in messages if message.get("role") == role)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _joined(map(_text, value.values()))
    if isinstance(value, list | tuple):
        return _joined(map(_text, value))
    return "" if value is None else str(value)


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part.strip())
