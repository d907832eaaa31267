"""Where an item's text stands: what a customer said or asked, what a document says, what is listed to choose from.

Read off the shape of the fields, so that a task of a suite is varied like a built-in one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tianjing.tasks import Fields, Reference, Task

# spoken: a customer's turn of a talk. answered: an agent's. asked: a customer's question. exam: one that nobody speaks.
# document: the text of a paper, as a scanner reads it.
Kind = Literal["spoken", "answered", "asked", "exam", "document"]
Path = tuple[str | int, ...]

DOCUMENTS = ("document", "context")
# Lists of which the order says nothing, each entry known by its id (practices: by situation and act; labels: itself).
MATERIALS = ("clauses", "rules", "intents", "practices", "labels")


@dataclass(frozen=True)
class Asked:
    """An item as a family of perturbations sees it.

    Attributes:
        pool: clauses of other items, {id, label, text}: irrelevant material.
    """

    task: Task
    fields: Fields
    reference: Reference
    pool: Sequence[Mapping[str, str]] = field(default=())


@dataclass(frozen=True)
class Slot:
    """One text of the fields."""

    path: Path
    kind: Kind
    text: str


def slots(asked: Asked) -> Iterator[Slot]:
    """Every text of the fields that may be worded anew, in order."""
    fields = asked.fields
    for number, turn in enumerate(fields.get("turns", ())):
        if turn["speaker"] != "system":  # what a tool said is scored to the character
            kind: Kind = "spoken" if turn["speaker"] == "customer" else "answered"
            yield from _slot(("turns", number, "text"), kind, turn["text"])
    yield from _slot(("customer",), "spoken", fields.get("customer"))
    yield from _slot(("question",), _question_kind(asked), fields.get("question"))
    # The instruction of a text task holds the text to work on; only a question stays the same when it is worded anew.
    kinds: dict[str, Kind] = {"consulting": "asked", "computing": "exam"}
    if fields.get("kind") in kinds:
        yield from _slot(("instruction",), kinds[fields["kind"]], fields.get("instruction"))
    for name in DOCUMENTS:
        yield from _slot((name,), "document", fields.get(name))


def _question_kind(asked: Asked) -> Kind:
    if "clauses" in asked.fields:
        return "asked"
    # Where fields are to be extracted, the question is the document.
    return "document" if isinstance(asked.reference.get("values"), Mapping) else "exam"


def _slot(path: Path, kind: Kind, text: Any) -> Iterator[Slot]:
    if isinstance(text, str) and text.strip():
        yield Slot(path, kind, text)


def replaced(fields: Fields, texts: Mapping[Path, str]) -> dict[str, Any]:
    """A copy of the fields with other texts at some paths; the fields themselves stay as they are."""
    changed = copy.deepcopy(dict(fields))
    for path, text in texts.items():
        holder: Any = changed
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = text
    return changed


def materials(fields: Fields) -> dict[str, Sequence[Any]]:
    """The lists of the fields whose order says nothing, of two entries or more."""
    return {name: fields[name] for name in MATERIALS if isinstance(fields.get(name), list) and len(fields[name]) > 1}


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from strings(entry)
    elif isinstance(value, Sequence):
        for entry in value:
            yield from strings(entry)


def gold_strings(asked: Asked) -> tuple[str, ...]:
    """Strings of the reference, of two characters or more, that stand word for word in the fields.

    Of fields that are to be extracted the names are among them: a document names what it states.
    """
    shown = "\n".join(strings(asked.fields))
    values = asked.reference.get("values")
    wanted = (*strings(asked.reference), *(values if isinstance(values, Mapping) else ()))
    return tuple(text for text in dict.fromkeys(wanted) if len(text) > 1 and text in shown)
