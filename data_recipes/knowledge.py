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
from tianjing.records import Account, Clause, Conclusion, Customer, Dialogue, Event, Outcome, Practice, Procedure, Split

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
    """Article numbers that did not follow on the one before."""
    orphans: tuple[str, ...] = ()
    """Lines that belong to no clause, such as a heading with nothing below it."""
    repeals: tuple[str, ...] = ()
    """Titles of the documents that this one repeals."""
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


class Term(StrictModel):
    """A term that a document defines, with the clause that does."""

    document: str
    term: str
    meaning: str
    clause: str


class Trail(StrictModel):
    """Where a dialogue comes from, and how its cleaned turns lie on the raw ones.

    `offset` and `bytes` are those of the record in `file` (of Parquet: rows). `edits` holds, for each turn that
    changed, triples (characters kept, raw characters taken, characters put), see `cleaning.alignment`; `turns` the raw
    turns of each turn, where some were joined; `relabelled` counts turns that were given to the other speaker. Of a
    session that was cut off a longer dialogue (`d1#2`) the raw turns count from `first_turn` of that dialogue on;
    `events_in_no_session` counts entries of the log that stand with it although they are far from every session.
    """

    id: str
    source: str = "."
    file: str
    line: int
    offset: int
    bytes: int
    language: str
    quality: float
    edits: dict[str, tuple[int, ...]] = {}
    turns: tuple[tuple[int, ...], ...] = ()
    relabelled: int = 0
    first_turn: int = 0
    events_in_no_session: int = 0
    personal_data: dict[str, int] = {}


class Quarantined(StrictModel):
    """An agent's turn that breaks a rule: it stays in its dialogue and is never taught."""

    dialogue: str
    turn: int
    rule: str
    severity: str
    action: str
    evidence: str


class InferredSituation(StrictModel):
    """The situation that a dialogue's words tell, in which customer turn, how probable it is, and the next probable."""

    dialogue: str
    situation: str
    turn: int
    probability: float
    otherwise: str = ""


class Duplicate(StrictModel):
    """A dialogue and the first of its near duplicates."""

    id: str
    first: str


@dataclass
class Knowledge:
    """All records of the artefact, by file. `customers` hold strata and split only; nothing personal."""

    clauses: Sequence[Clause] = ()
    quality_rules: Sequence[QualityRule] = ()
    practices: Sequence[Practice] = ()
    conclusions: Sequence[Conclusion] = ()
    situations: Sequence[InferredSituation] = ()
    procedures: Sequence[Procedure] = ()
    dialogues: Sequence[Dialogue] = ()
    events: Sequence[Event] = ()
    outcomes: Sequence[Outcome] = ()
    customers: Sequence[Customer] = ()
    accounts: Sequence[Account] = ()
    documents: Sequence[DocumentInfo] = ()
    instructions: Sequence[Instruction] = ()
    terms: Sequence[Term] = ()
    trail: Sequence[Trail] = ()
    quarantine: Sequence[Quarantined] = ()
    duplicates: Sequence[Duplicate] = ()
    dropped: Sequence[dict[str, Any]] = field(default_factory=list)
    rejected: Sequence[dict[str, Any]] = field(default_factory=list)


_MODELS: dict[str, type[BaseModel]] = {
    "clauses": Clause,
    "quality_rules": QualityRule,
    "practices": Practice,
    "conclusions": Conclusion,
    "situations": InferredSituation,
    "procedures": Procedure,
    "dialogues": Dialogue,
    "events": Event,
    "outcomes": Outcome,
    "customers": Customer,
    "accounts": Account,
    "documents": DocumentInfo,
    "instructions": Instruction,
    "terms": Term,
    "trail": Trail,
    "quarantine": Quarantined,
    "duplicates": Duplicate,
}


def write_knowledge(folder: Path, knowledge: Knowledge) -> dict[str, int]:
    """Write every file, also the empty ones; returns rows by name."""
    rows = {name: write_jsonl(folder / f"{name}.jsonl", getattr(knowledge, name)) for name in _MODELS}
    write_jsonl(folder / "dropped.jsonl", knowledge.dropped)
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
