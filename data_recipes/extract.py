"""`tianjing data extract`: read raw material, clean and redact it, and turn it into knowledge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from data_recipes.clauses import ParsedDocument, parse_clauses, same_law
from data_recipes.config import ExtractConfig, InstructionsSource, RawSource, StatutesSource
from data_recipes.errors import DataError
from data_recipes.knowledge import KIND, DocumentInfo, Instruction, Knowledge, QualityRule, write_knowledge
from data_recipes.practices import cases, mine
from data_recipes.procedures import mine_procedures
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.instructions import read_instructions
from data_recipes.readers.raw import RawMaterial, read_raw
from data_recipes.readers.rules import read_rules
from data_recipes.redaction import redact_cases
from data_recipes.splits import split_customers, split_groups
from tianjing.files import OnError
from tianjing.lineage import Manifest, artefact, read_manifest
from tianjing.records import Customer, Dialogue, Event, Outcome, Split
from tianjing.text import tidy

Progress = Callable[[str], None]


class _Document(NamedTuple):
    """A rule document as read: parsed, and what its source says of it."""

    parsed: ParsedDocument
    strength: str
    licence: str
    file: str
    source: str

    def info(self, split: Split | None) -> DocumentInfo:
        return DocumentInfo(
            document=self.parsed.document,
            file=self.file,
            strength=self.strength,
            version=self.parsed.version,
            articles=self.parsed.articles,
            gaps=self.parsed.gaps,
            split=split,
            licence=self.licence,
            source=self.source,
        )


class _Instruction(NamedTuple):
    """An `Instruction` before the splits are known."""

    id: str
    kind: str
    document: str
    prompt: str
    answer: str
    licence: str
    source: str


@dataclass
class _Gathered:
    """What the sources gave, before splitting and mining."""

    raw: list[RawMaterial] = field(default_factory=list)
    documents: list[_Document] = field(default_factory=list)
    tables: list[QualityRule] = field(default_factory=list)
    instructions: list[_Instruction] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def extract(
    raw: Path,
    out: Path,
    config: ExtractConfig,
    on_error: OnError = "stop",
    progress: Progress = lambda step: None,
) -> Manifest:
    """Write the knowledge artefact `out` from the folder `raw`; returns its manifest.

    Raises:
        DataError: nothing to read, or a bad line (with file, line and reason) unless `on_error` is `skip`.
    """
    raw = Path(raw)
    if not raw.is_dir():
        raise DataError(f"{raw}: no such folder", "give the folder that holds the raw material")
    gathered = _gather(raw, config, on_error, progress)
    knowledge = _knowledge(gathered, config, progress)
    inputs = sorted({(raw / source.path).resolve() for source in config.sources})
    parameters = {"config": config.model_dump(mode="json"), "on_error": on_error}
    progress("writing")
    with artefact(out, KIND, inputs, parameters) as work:
        for name, count in sorted(gathered.read.items()):
            work.count(f"read_{name}", count)
        if gathered.rejected:
            work.count("rejected_lines", len(gathered.rejected))
        for name, count in write_knowledge(work.dir, knowledge).items():
            work.count(f"kept_{name}", count)
        for reason, count in sorted(gathered.dropped.items()):
            work.drop(reason, count)
    return read_manifest(out)


def _gather(raw: Path, config: ExtractConfig, on_error: OnError, progress: Progress) -> _Gathered:
    found = _Gathered()
    for source in config.sources:
        folder = raw / source.path
        if isinstance(source, RawSource):
            material = read_raw(folder, on_error, progress)
            found.raw.append(material)
            found.read.update(material.read)
            found.rejected += material.rejected
            for document in material.rules:
                _add_document(found, document, "internal", source)
        elif isinstance(source, StatutesSource):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder of statutes", "see examples/real.yaml for where to get it")
            progress(f"parsing statutes in {source.path}")
            for document in read_rules(folder, (".md",)):
                found.read["statutes"] += 1
                _add_document(found, document, "law", source)
        elif isinstance(source, InstructionsSource):
            progress(f"reading instructions in {source.path}")
            for kind, name in sorted(source.files.items()):
                for row_id, group, prompt, answer in read_instructions(folder / name, kind, on_error, found.rejected):
                    found.read["instructions"] += 1
                    found.instructions.append(
                        _Instruction(row_id, kind, group, prompt, answer, source.licence, source.path)
                    )
    return found


def _add_document(found: _Gathered, document: RuleDocument, strength: str, source: RawSource | StatutesSource) -> None:
    parsed = parse_clauses(document, strength)
    found.tables += _quality_rules(document)
    if not parsed.articles:
        found.dropped["rule document without articles"] += 1
        return
    new = _Document(parsed, strength, source.licence, document.file, source.path)
    same = next((i for i, other in enumerate(found.documents) if same_law(parsed, other.parsed)), None)
    if same is None:
        found.documents.append(new)
        return
    found.dropped["rule document of which a newer or equal version is here"] += 1
    if parsed.version > found.documents[same].parsed.version:
        found.documents[same] = new


def _quality_rules(document: RuleDocument) -> list[QualityRule]:
    """Rows of tables headed 编号, 名称 and 说明."""
    rules = []
    for table in document.tables:
        header = [re.sub(r"\s", "", cell) for cell in table[0]] if table else []
        named = [[i for i, cell in enumerate(header) if word in cell] for word in ("编号", "名称", "说明")]
        if all(named):
            columns = [found[0] for found in named]
            picked = [[tidy(row[i]) for i in columns if i < len(row)] for row in table[1:]]
            rules += [QualityRule(id=row[0], title=row[1], text=row[2]) for row in picked if len(row) == 3 and row[0]]
    return rules


def _knowledge(found: _Gathered, config: ExtractConfig, progress: Progress) -> Knowledge:
    customers = {customer.customer: customer for raw in found.raw for customer in raw.customers}
    dialogues: list[Dialogue] = []
    events: list[Event] = []
    outcomes: list[Outcome] = []
    progress("cleaning and redacting dialogues")
    for raw in found.raw:
        kept, log = redact_cases(raw, customers, config, found.dropped)
        dialogues += kept
        events += log
        gone = {dialogue.id for dialogue in raw.dialogues} - {dialogue.id for dialogue in kept}
        outcomes += [outcome for outcome in raw.outcomes if outcome.case not in gone]
    splits = split_customers({dialogue.customer for dialogue in dialogues} | set(customers), customers, config.split)
    learned = [dialogue for dialogue in dialogues if splits[dialogue.customer] != "test"]
    progress("mining practices and procedures")
    mined, unusable = cases(learned, events, outcomes, customers, config.practices)
    found.dropped.update(unusable)
    known = {dialogue.id for dialogue in learned}
    law_splits = split_groups([d.parsed.document for d in found.documents if d.strength == "law"], config.split)
    instruction_splits = split_groups({row.document for row in found.instructions}, config.split)
    return Knowledge(
        clauses=[clause for document in found.documents for clause in document.parsed.clauses],
        quality_rules=found.tables,
        practices=mine(mined, config.practices),
        procedures=mine_procedures((e for e in events if e.case in known), config.procedures, config.practices),
        dialogues=dialogues,
        events=events,
        outcomes=outcomes,
        customers=[_strata(name, customers, splits[name], config) for name in sorted(splits)],
        documents=[document.info(law_splits.get(document.parsed.document)) for document in found.documents],
        instructions=[
            Instruction(**row._asdict(), split=instruction_splits[row.document]) for row in found.instructions
        ],
        rejected=found.rejected,
    )


def _strata(name: str, records: Mapping[str, Customer], split: str, config: ExtractConfig) -> Customer:
    record = records.get(name)
    known = {key: record.field(key) for key in config.strata_fields if record and record.field(key) is not None}
    return Customer.model_validate({"customer": name, "split": split, **known})
