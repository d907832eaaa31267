"""From a record to what a task is asked and scored by; every check that a bad file fails."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.extract import normalised, quantities, verdict_of
from evals.suites.definition import Definition
from evals.suites.tables import Record
from evals.suites.tasks import reference_of
from tianjing.config import StrictModel
from tianjing.text import fold

LETTERS = "ABCDEFGHIJ"
_KEYWORDS = re.compile(r"[、,，;；|]")


class Columns(StrictModel):
    """Which column holds what. A name that the file lacks is an error."""

    id: str | None = None
    """Key of a row within its file; without one, the file's name and the number of the row."""

    question: str = "question"
    """The question, the statement to judge, or the text to work on."""

    options: str | tuple[str, ...] = tuple(LETTERS)
    """Columns of the options, A first (those that a file lacks are passed over), or one column with a list, an object
    {"A": …} or the same as text."""

    answer: str = "answer"
    """The right answer: letters, a list of them, 对/错, a number, a label, keywords with 、, or an object of fields."""

    context: str | None = None
    """Material that stands before the question."""

    subject: str | None = None
    """Name of the subject; items are balanced over subjects."""

    group: str | None = None
    """Unit of resampling (a document, a customer); without one each row is its own."""

    labels: str | None = None
    """For `label`: a column with the labels of this row, as a list."""


@dataclass(frozen=True)
class Row:
    """A row ready to become an `Example`."""

    record: Record
    key: str
    group: str
    fields: dict[str, Any]
    reference: dict[str, Any]


class Unanswered(Exception):
    """A row without its right answer, which some published files hold on purpose."""


def make_row(record: Record, columns: Columns, definition: Definition, number: int, subject: str = "") -> Row:
    """Check one record and bring it into the form of the definition's kind.

    Raises:
        EvalError: a cell is missing or does not fit, naming file, line, column and remedy.
        Unanswered: the answer is empty.
    """
    kind = definition.kind
    key = record.optional(columns.id) or f"{number}"
    answer = record.cells.get(columns.answer)
    if columns.answer not in record.cells:
        record.text(columns.answer)  # raises, naming the columns that there are
    if answer is None or (isinstance(answer, str) and not answer.strip()) or answer == []:
        raise Unanswered
    subject = record.optional(columns.subject) or subject
    fields: dict[str, Any] = {"question": record.text(columns.question)}
    if record.optional(columns.context):
        fields["context"] = record.optional(columns.context)
    if subject:
        fields["subject"] = fields["kind"] = subject
    if kind in ("single_choice", "multiple_choice"):
        options = option_texts(record, columns)
        letters = gold_letters(record, columns.answer, answer, len(options), kind == "multiple_choice")
        fields.update(options=options, ids=list(LETTERS[: len(options)]))
        reference = reference_of(letters, definition)
    elif kind == "judgement":
        said = verdict_of(str(answer).strip())
        if said is None:
            raise record.error(columns.answer, f"'{answer}' is no verdict", "write 对 or 错")
        fields["options"] = ["是", "否"] if str(answer).strip() in "是否" else ["对", "错"]
        reference = {**reference_of(said, definition), "word": fields["options"][said == "错"]}
    elif kind == "numeric":
        if len(quantities(str(answer))) != 1:
            raise record.error(
                columns.answer, f"'{answer:.40}' is not one number", "write one number, with its unit if it has one"
            )
        reference = reference_of(str(answer).strip(), definition)
    elif kind == "label":
        labels = as_list(record, columns.labels) if columns.labels else list(definition.labels)
        if str(answer).strip() not in labels:
            raise record.error(
                columns.answer, f"'{answer}' is none of the labels", f"labels: {', '.join(labels) or 'none'}"
            )
        if columns.labels:
            fields["labels"] = labels
        reference = reference_of(str(answer).strip(), definition)
    elif kind == "keywords":
        words = [str(word).strip() for word in (answer if isinstance(answer, list) else _KEYWORDS.split(str(answer)))]
        reference = {"answer": "、".join(filter(None, words)), "keywords": [word for word in words if word]}
    elif kind == "fields":
        truth = as_object(record, columns.answer)
        unknown = sorted(set(truth) - set(definition.fields))
        if unknown:
            raise record.error(columns.answer, f"unknown field '{unknown[0]}'", "list it under 'fields' with its type")
        values = {name: normalised(truth.get(name), of) for name, of in definition.fields.items()}
        reference = reference_of("", definition, values)
    else:
        reference = reference_of(str(answer).strip(), definition)
    return Row(record, key, record.optional(columns.group), fields, reference)


def option_texts(record: Record, columns: Columns) -> list[str]:
    """Texts of the options, A first; a letter that each text repeats before itself is dropped.

    Raises:
        EvalError: fewer than two, or a gap.
    """
    if isinstance(columns.options, str):
        column = columns.options
        value = _literal(record, column)
        if isinstance(value, Mapping):
            if list(value) != list(LETTERS[: len(value)]):
                raise record.error(column, f"options {', '.join(map(str, value))}", "name them A, B, C … in order")
            value = list(value.values())
        if not isinstance(value, list):
            raise record.error(
                column, "neither a list nor an object of options", 'write ["…", "…"] or {"A": "…", "B": "…"}'
            )
        texts = ["" if text is None else str(text).strip() for text in value]
    else:
        column = columns.options[0]
        texts = [record.optional(name) for name in columns.options]
    while texts and not texts[-1]:
        texts.pop()
    if len(texts) < 2:
        raise record.error(column, f"{len(texts)} option(s)", "a choice needs at least two")
    if len(texts) > len(LETTERS):
        raise record.error(column, f"{len(texts)} options", f"at most {len(LETTERS)} are supported")
    if "" in texts:
        letter = LETTERS[texts.index("")]
        raise record.error(
            letter, "empty option before a filled one", "close the gap: the right letter may mean another option"
        )
    named = [re.match(rf"{letter}\s*[.、:]\s*", fold(text)) for letter, text in zip(LETTERS, texts, strict=False)]
    if all(named):
        texts = [text[name.end() :] or text for name, text in zip(named, texts, strict=True) if name]
    return texts


def gold_letters(record: Record, column: str, answer: Any, options: int, multiple: bool) -> str:
    """The right letters in alphabetical order.

    Raises:
        EvalError: something else, a letter without its option, or more than one where one is asked for.
    """
    letters = folded_letters(answer)
    written = str(answer)
    if not letters or not re.fullmatch(r"[A-Z]+", letters):
        raise record.error(column, f"'{written:.40}' is no letter", f"write letters from A to {LETTERS[options - 1]}")
    beyond = [letter for letter in letters if letter not in LETTERS[:options]]
    if beyond:
        raise record.error(column, f"'{beyond[0]}' of {options} options", "add the option or mend the answer")
    if len(letters) > 1 and not multiple:
        raise record.error(column, f"several letters '{letters}' in a single choice", "use kind: multiple_choice")
    return "".join(sorted(set(letters)))


def folded_letters(answer: Any) -> str:
    """An answer of letters as it is compared: Ａ、ｂ or ["a", "B"] is AB."""
    written = "".join(map(str, answer)) if isinstance(answer, list) else str(answer)
    return re.sub(r"[\s、,;/.。\[\]'\"()]+", "", unicodedata.normalize("NFKC", written)).upper()


def as_list(record: Record, column: str) -> list[str]:
    value = _literal(record, column)
    if not isinstance(value, list):
        raise record.error(column, "not a list", 'write ["…", "…"]')
    return [str(entry).strip() for entry in value]


def as_object(record: Record, column: str) -> dict[str, Any]:
    value = _literal(record, column)
    if not isinstance(value, dict):
        raise record.error(column, "not an object", 'write {"field": "value", …}')
    return value


def _literal(record: Record, column: str) -> Any:
    """A list or object, also where it is written as text, in JSON or with Python's quotes; nothing is ever executed."""
    value = record.cells.get(column)
    if value is None:
        record.text(column)  # raises
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    raise record.error(column, "neither JSON nor a literal list or object", 'write ["…", "…"] or {"A": "…"}')


__all__ = [
    "LETTERS",
    "Columns",
    "Row",
    "Unanswered",
    "as_list",
    "as_object",
    "folded_letters",
    "gold_letters",
    "make_row",
    "option_texts",
]
