"""What the sources of an extraction give: cleaned dialogues, rule documents as clauses, open instructions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from data_recipes.clauses import ParsedDocument, parse_clauses, same_law
from data_recipes.cleaning.executors import ExecutorConfig
from data_recipes.cleaning.run import CleanedMaterial, clean_material
from data_recipes.cleaning.segment import uncut
from data_recipes.config import ExtractConfig, InstructionsSource, RawSource, StatutesSource
from data_recipes.errors import DataError
from data_recipes.knowledge import DocumentInfo, QualityRule, Term, Trail
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.instructions import read_instructions
from data_recipes.readers.raw import RawMaterial, read_raw, table_paths
from data_recipes.readers.rules import read_rules
from data_recipes.readers.shards import plan_shards, read_shard
from tianjing.files import OnError
from tianjing.records import Dialogue, Split
from tianjing.text import tidy

Progress = Callable[[str], None]


class SourceDocument(NamedTuple):
    """A rule document as read: parsed, and what its source says of it."""

    parsed: ParsedDocument
    strength: str
    source: str
    licence: str

    def info(self, split: Split | None) -> DocumentInfo:
        """Its row in the knowledge."""
        parsed = self.parsed
        return DocumentInfo(
            document=parsed.document,
            file=parsed.file,
            strength=self.strength,
            version=parsed.version,
            articles=parsed.articles,
            gaps=parsed.gaps,
            orphans=parsed.orphans,
            repeals=parsed.repeals,
            split=split,
            source=self.source,
            licence=self.licence,
        )

    def terms(self) -> list[Term]:
        """The terms it defines."""
        return [
            Term(document=self.parsed.document, term=definition.term, meaning=definition.meaning, clause=clause.id)
            for clause in self.parsed.clauses
            for definition in clause.definitions
        ]


class SourceInstruction(NamedTuple):
    """An open instruction before the splits are known."""

    id: str
    kind: str
    document: str
    prompt: str
    answer: str
    source: str
    licence: str


@dataclass
class Gathered:
    """What the sources gave, before splitting and mining. Raw material and what was cleaned of it stand in pairs."""

    raw: list[tuple[str, RawMaterial, CleanedMaterial]] = field(default_factory=list)
    documents: list[SourceDocument] = field(default_factory=list)
    tables: list[QualityRule] = field(default_factory=list)
    instructions: list[SourceInstruction] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class SpokenDialogues:
    """The dialogues of a trail as they were said, read again from below `raw` each time; once each, however many
    sessions are left of one."""

    def __init__(self, raw: Path, trail: Iterable[Trail], max_line_bytes: int):
        self._raw, self._max_line_bytes = raw, max_line_bytes
        self._ids: dict[str, dict[int, set[str]]] = {}
        for row in trail:
            spoken = uncut(row.id) if row.first_turn else row.id
            self._ids.setdefault(row.source, {}).setdefault(row.offset, set()).add(spoken)

    def __iter__(self) -> Iterator[Dialogue]:
        for source, ids in self._ids.items():
            path = table_paths(self._raw / source)["dialogues"]
            for shard in plan_shards(path, path.name):
                for row in read_shard(shard, True, self._max_line_bytes):
                    # By its place and not by its id: a bad row may have the same one.
                    if row.offset in ids and row.value["id"] in ids[row.offset]:
                        yield Dialogue.model_validate(row.value)


def gather(
    raw: Path, work: Path, config: ExtractConfig, on_error: OnError, executor: ExecutorConfig, progress: Progress
) -> Gathered:
    """Read all sources.

    Args:
        raw: folder that the sources' paths are relative to.
        work: folder beside the artefact in which dialogues are cleaned.

    Raises:
        DataError: a source is missing or empty, or (`on_error="stop"`) a row or document is bad.
    """
    found = Gathered()
    for number, source in enumerate(config.sources):
        folder = raw / source.path
        if isinstance(source, RawSource):
            _gather_raw(found, source, folder, work / str(number), config, on_error, executor, progress)
        elif isinstance(source, StatutesSource):
            if not folder.is_dir():
                raise DataError(f"{folder}: no such folder of statutes", "see examples/real.yaml for where to get it")
            progress(f"parsing statutes in {source.path}")
            for document in read_rules(folder, (".md",), on_error=on_error, rejected=found.rejected):
                found.read["statutes"] += 1
                _add_document(found, document, "law", source)
        elif isinstance(source, InstructionsSource):
            progress(f"reading instructions in {source.path}")
            for kind, name in sorted(source.files.items()):
                for row_id, group, prompt, answer in read_instructions(folder / name, kind, on_error, found.rejected):
                    found.read["instructions"] += 1
                    row = SourceInstruction(row_id, kind, group, prompt, answer, source.path, source.licence)
                    found.instructions.append(row)
    return found


def _gather_raw(
    found: Gathered,
    source: RawSource,
    folder: Path,
    work: Path,
    config: ExtractConfig,
    on_error: OnError,
    executor: ExecutorConfig,
    progress: Progress,
) -> None:
    material = read_raw(folder, on_error, progress, streamed=("dialogues", "events", "outcomes"))
    cleaned = clean_material(folder, work, config.clean, config.identity_fields, on_error, executor, progress)
    found.raw.append((source.path, material, cleaned))
    found.read.update(material.read)
    found.read.update(cleaned.read)
    found.rejected += [*material.rejected, *cleaned.rejected]
    found.dropped.update(cleaned.dropped)
    for document in material.rules:
        _add_document(found, document, "internal", source)


def _add_document(found: Gathered, document: RuleDocument, strength: str, source: RawSource | StatutesSource) -> None:
    parsed = parse_clauses(document, strength)
    found.tables += _quality_rules(document)
    if not parsed.clauses:
        found.dropped["rule document without provisions"] += 1
        return
    new = SourceDocument(parsed, strength, source.path, source.licence)
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
        header = [re.sub(r"\s", "", cell) for cell in table.rows[0]] if table.rows else []
        named = [[i for i, cell in enumerate(header) if word in cell] for word in ("编号", "名称", "说明")]
        if all(named):
            columns = [found[0] for found in named]
            picked = [[tidy(row[i]) for i in columns if i < len(row)] for row in table.rows[1:]]
            rules += [QualityRule(id=row[0], title=row[1], text=row[2]) for row in picked if len(row) == 3 and row[0]]
    return rules
