"""The knowledge artefact: what `extract` writes and `build` reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from data_recipes.errors import DataError
from tianjing.config import StrictModel
from tianjing.files import read_jsonl, write_jsonl
from tianjing.lineage import is_artefact, read_manifest
from tianjing.records import Clause, Customer, Dialogue, Event, Outcome, Practice, Procedure, Split

KIND = "knowledge"
Record = TypeVar("Record", bound=BaseModel)


class QualityRule(StrictModel):
    """One item of quality inspection (质检项)."""

    id: str
    title: str
    text: str


class DocumentInfo(StrictModel):
    """A rule document. `split` is set where documents are held out; a company's own rules are known to all splits.

    `source` is the path of its source in the configuration: its name in the licence ledger.
    """

    document: str
    file: str
    strength: str
    version: str
    articles: int
    gaps: tuple[str, ...]
    split: Split | None = None
    licence: str = ""
    source: str = ""


class Instruction(StrictModel):
    """One open instruction with the document it is split by, and the path of its source in the configuration."""

    id: str
    kind: str
    document: str
    prompt: str
    answer: str
    split: Split
    licence: str = ""
    source: str = ""


@dataclass
class Knowledge:
    """All records of the artefact, by file. `customers` hold strata and split only; nothing personal."""

    clauses: Sequence[Clause] = ()
    quality_rules: Sequence[QualityRule] = ()
    practices: Sequence[Practice] = ()
    procedures: Sequence[Procedure] = ()
    dialogues: Sequence[Dialogue] = ()
    events: Sequence[Event] = ()
    outcomes: Sequence[Outcome] = ()
    customers: Sequence[Customer] = ()
    documents: Sequence[DocumentInfo] = ()
    instructions: Sequence[Instruction] = ()
    rejected: Sequence[dict[str, Any]] = field(default_factory=list)


_MODELS: dict[str, type[BaseModel]] = {
    "clauses": Clause,
    "quality_rules": QualityRule,
    "practices": Practice,
    "procedures": Procedure,
    "dialogues": Dialogue,
    "events": Event,
    "outcomes": Outcome,
    "customers": Customer,
    "documents": DocumentInfo,
    "instructions": Instruction,
}


def write_knowledge(folder: Path, knowledge: Knowledge) -> dict[str, int]:
    """Write every file, also the empty ones; returns rows by name."""
    rows = {name: write_jsonl(folder / f"{name}.jsonl", getattr(knowledge, name)) for name in _MODELS}
    write_jsonl(folder / "rejected.jsonl", knowledge.rejected)
    return rows


def read_knowledge(folder: Path) -> Knowledge:
    """Read a knowledge artefact.

    Raises:
        DataError: it is none.
    """
    remedy = "extract it first: tianjing data extract RAW --out KNOWLEDGE"
    if not is_artefact(folder):
        raise DataError(f"{folder}: no knowledge artefact (manifest.json is missing)", remedy)
    kind = read_manifest(folder).kind
    if kind != KIND:
        raise DataError(f"{folder}: an artefact of kind '{kind}', not '{KIND}'", remedy)
    values = {name: list(read_jsonl(folder / f"{name}.jsonl", model)) for name, model in _MODELS.items()}
    return Knowledge(**values)  # type: ignore[arg-type]


def leaves(clauses: Iterable[Clause]) -> list[Clause]:
    """The finest provisions: an article that has 款 or 项 of its own gives way to them."""
    found = list(clauses)
    parents = {clause.id.rpartition(":")[0] for clause in found} | {
        article_id(clause) for clause in found if is_part(clause)
    }
    return [clause for clause in found if clause.id not in parents]


def is_part(clause: Clause) -> bool:
    """Whether this is a 款 or 项 of an article that stands as a clause of its own."""
    return clause.path[-1] != clause.article


def article_id(clause: Clause) -> str:
    return f"{clause.document}:{clause.article}"
