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

_ANSWER = (("role", "sc:Text"), ("content", "sc:Text"))
PREFERENCE_COLUMNS: tuple[Column, ...] = (
    Column("id", "sc:Text", "Name of the pair; the same from build to build."),
    Column("task", "sc:Text", "Task whose prompt it has."),
    Column("group", "sc:Text", "Customer that the prompt belongs to."),
    Column("split", "sc:Text", "train, validation or test; that of the row with the same prompt."),
    Column("prompt", "sc:Text", "System and user message.", repeated=True, parts=_ANSWER),
    Column("chosen", "sc:Text", "The answer that follows the practice and worked.", repeated=True, parts=_ANSWER),
    Column("rejected", "sc:Text", "An answer that did not work, or breaks a rule.", repeated=True, parts=_ANSWER),
    Column("weight", "sc:Float", "Evidence for the practice, over its mean."),
    Column("why", "sc:Text", "Why the other is rejected: harmful (worse outcome), other (another act), or breach."),
    Column("rules", "sc:Text", "Rules that the rejected answer breaks; only of a breach.", repeated=True),
    Column("sources", "sc:Text", "Ids of the turns of prompt and chosen answer.", repeated=True),
    Column("rejected_sources", "sc:Text", "Ids of the turn of the rejected answer.", repeated=True),
    Column("practice_ids", "sc:Text", "Practice that the chosen answer follows.", repeated=True),
    Column("rejected_practice_ids", "sc:Text", "Practice with a worse outcome that the other follows.", repeated=True),
    Column("licence", "sc:Text", "Licence of the source, as its owner gave it."),
    Column("source", "sc:Text", "Source in the licence ledger."),
)
