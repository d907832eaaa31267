"""The columns of a dataset, once: what the card and the Croissant metadata say of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column. `kind` is a schema.org data type; `parts` are (name, kind) of a structure's members."""

    name: str
    kind: str
    meaning: str
    repeated: bool = False
    parts: tuple[tuple[str, str], ...] = ()


COLUMNS: tuple[Column, ...] = (
    Column("id", "sc:Text", "Name of the row; the same from build to build."),
    Column("task", "sc:Text", "Task of the row, as in the table of tasks."),
    Column("group", "sc:Text", "Customer or document that the row belongs to: the unit of splitting and resampling."),
    Column("split", "sc:Text", "train, validation or test."),
    Column(
        "messages",
        "sc:Text",
        "The conversation: system and user message, and the assistant's answer that is learned.",
        repeated=True,
        parts=(("role", "sc:Text"), ("content", "sc:Text")),
    ),
    Column("weight", "sc:Float", "Factor of the row's loss."),
    Column("fields", "sc:Text", "What the user message was rendered from, as JSON."),
    Column("reference", "sc:Text", "What an answer is scored by, as JSON."),
    Column("surface", "sc:Text", "Skeleton of the informative text; no test row shares one with a training row."),
    Column("sources", "sc:Text", "Ids that lead back to the raw lines.", repeated=True),
    Column("clause_ids", "sc:Text", "Clauses that the answer rests on.", repeated=True),
    Column("practice_ids", "sc:Text", "Practices that the answer follows.", repeated=True),
    Column("licence", "sc:Text", "Licence of the source, as its owner gave it."),
    Column("source", "sc:Text", "Source of the row in the licence ledger."),
    Column("origin", "sc:Text", "Whose wording it is: log (people's), derived (a template's) or teacher (a model's)."),
    Column(
        "tokens",
        "sc:Integer",
        "Length of prompt and answer in tokens of the base model; absent where none was named.",
        parts=(("prompt", "sc:Integer"), ("answer", "sc:Integer")),
    ),
)
