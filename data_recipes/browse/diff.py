"""`tianjing data diff`: two datasets, two knowledge artefacts, or two versions of one rule document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from data_recipes.browse.diff_datasets import SHOWN_ROWS, diff_datasets
from data_recipes.browse.differences import (
    Change,
    CountRow,
    Difference,
    Section,
    TextChange,
    changed_texts,
    section,
    settings,
    text_of,
)
from data_recipes.browse.knowledge import records
from data_recipes.browse.pages import asset, render
from data_recipes.clauses.compare import ClauseChange, compare, same_law
from data_recipes.clauses.parse import ParsedDocument, parse_clauses
from data_recipes.errors import DataError
from data_recipes.knowledge import DocumentInfo, QualityRule, Term
from data_recipes.readers.rules import READERS
from tianjing.files import sha256_bytes
from tianjing.lineage import Manifest, read_manifest
from tianjing.records import Clause, Dialogue, Practice, Procedure

Record = TypeVar("Record", bound=BaseModel)
_KNOWN_KINDS = ("dataset", "knowledge")


def diff(old: Path, new: Path) -> Difference:
    """What differs from `old` to `new`: two folders that a data command wrote, or two rule documents.

    Raises:
        DataError: they are not of one kind, or of a kind that is not compared; a document cannot be read.
        TianjingError: an artefact is damaged.
    """
    old, new = Path(old), Path(new)
    for path in (old, new):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder", "check the path")
    if old.is_file() and new.is_file():
        return _documents(old, new)
    if old.is_file() or new.is_file():
        raise DataError(f"{old} and {new}: a file and a folder", "give two documents, or two artefacts of one kind")
    before, after = read_manifest(old), read_manifest(new)
    if before.kind != after.kind or before.kind not in _KNOWN_KINDS:
        raise DataError(
            f"{old} is '{before.kind}' and {new} is '{after.kind}'", "give two datasets, or two knowledge artefacts"
        )
    compared = diff_datasets if before.kind == "dataset" else _knowledge
    counts, sections = compared(old, new)
    return Difference(
        before.kind,
        str(old),
        str(new),
        (*counts, *_dropped(before, after)),
        tuple(one for one in (*sections, settings(before.parameters, after.parameters)) if one.counts),
    )


def diff_page(difference: Difference) -> str:
    """The difference as one HTML page, every change marked by character."""
    return render("diff.html.j2", difference=difference, style=asset("page.css"))


def _dropped(old: Manifest, new: Manifest) -> list[CountRow]:
    before, after = (
        dropped if isinstance(dropped := manifest.counts.get("dropped"), dict) else {} for manifest in (old, new)
    )
    return [
        CountRow(f"dropped: {reason}", before.get(reason, 0), after.get(reason, 0))
        for reason in sorted(before.keys() | after.keys())
    ]


def _knowledge(old: Path, new: Path) -> tuple[list[CountRow], list[Section]]:
    clauses = [_by_document(records(folder, "clauses", Clause)) for folder in (old, new)]
    sections = [_named(old, new, "documents", "规则文件 documents", DocumentInfo, "document")]
    for document in sorted(clauses[0].keys() & clauses[1].keys()):
        changes = _clause_changes(compare(clauses[0][document], clauses[1][document]))
        sections.append(section(f"条款 clauses：《{document}》", changes))
    sections += [
        _named(old, new, "practices", "做法 practices", Practice, "id"),
        _named(old, new, "procedures", "流程 procedures", Procedure, "id"),
        _named(old, new, "quality_rules", "质检项 quality rules", QualityRule, "id"),
        _named(old, new, "terms", "术语 terms", Term, "clause", "term"),
        _dialogues(old, new),
    ]
    before, after = read_manifest(old).counts, read_manifest(new).counts
    counts = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, 0), after.get(name, 0)
        if isinstance(was, int) and isinstance(now, int):
            counts.append(CountRow(name, was, now))
    return counts, sections


def _by_document(clauses: Iterable[Clause]) -> dict[str, list[Clause]]:
    found: dict[str, list[Clause]] = {}
    for clause in clauses:
        found.setdefault(clause.document, []).append(clause)
    return found


def _named(old: Path, new: Path, name: str, title: str, model: type[Record], *key: str) -> Section:
    """Records of one file, matched by the fields `key`."""
    before, after = (
        {
            " ".join(str(getattr(row, part)) for part in key): {
                field: text_of(value) for field, value in row.model_dump(mode="json").items() if field not in key
            }
            for row in records(folder, name, model)
        }
        for folder in (old, new)
    )
    changes = [Change("removed", one, notes=_notes(before[one])) for one in sorted(before.keys() - after.keys())]
    changes += [Change("added", one, notes=_notes(after[one])) for one in sorted(after.keys() - before.keys())]
    changes += [
        changed_texts(one, before[one], after[one])
        for one in sorted(before.keys() & after.keys())
        if before[one] != after[one]
    ]
    return section(title, changes)


def _notes(texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{field}: {text}" for field, text in texts.items() if text not in ("", "[]"))


def _dialogues(old: Path, new: Path) -> Section:
    """Dialogues by id: the texts of those that changed, no more than `SHOWN_ROWS` of them."""
    before, after = (
        {row.id: sha256_bytes(row.model_dump_json().encode()) for row in _read_dialogues(folder)}
        for folder in (old, new)
    )
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    changed = [name for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    counts = {"added": len(added), "changed": len(changed), "removed": len(removed)}
    shown = set(changed[:SHOWN_ROWS])
    olds, news = (
        {row.id: _dialogue_texts(row) for row in (_read_dialogues(folder) if shown else ()) if row.id in shown}
        for folder in (old, new)
    )
    changes = [
        *(changed_texts(name, olds[name], news[name]) for name in changed[:SHOWN_ROWS]),
        *(Change("added", name) for name in added[:SHOWN_ROWS]),
        *(Change("removed", name) for name in removed[:SHOWN_ROWS]),
    ]
    return Section("对话 dialogues", {kind: count for kind, count in counts.items() if count}, tuple(changes))


def _read_dialogues(folder: Path) -> Iterator[Dialogue]:
    return records(folder, "dialogues", Dialogue)


def _dialogue_texts(row: Dialogue) -> dict[str, str]:
    values = row.model_dump(mode="json", exclude={"id", "turns"})
    turns = "\n".join(f"{turn.speaker}: {turn.text}" for turn in row.turns)
    return {name: text_of(value) for name, value in values.items()} | {"turns": turns}


def _documents(old: Path, new: Path) -> Difference:
    before, after = _parsed(old), _parsed(new)
    notes = (
        []
        if same_law(before, after)
        else ["两份文件似乎不是同一文件的两个版本 these do not look like versions of one document"]
    )
    changes = _clause_changes(compare(before.clauses, after.clauses))
    if before.document != after.document:
        notes.append(f"标题 title: {before.document} → {after.document}")
    counts = [CountRow("条款 articles", *(len({clause.article for clause in d.clauses}) for d in (before, after)))]
    sections = (section("条款 clauses", changes),)
    return Difference(
        "rules", str(old), str(new), tuple(counts), tuple(one for one in sections if one.counts), tuple(notes)
    )


def _parsed(path: Path) -> ParsedDocument:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: no rule document in a format that is read", f"one of {', '.join(READERS)}")
    parsed = parse_clauses(reader(path, path.name))
    if not parsed.clauses:
        raise DataError(f"{path}: holds no clause", "give a document with text")
    return parsed


def _clause_changes(changes: Iterable[ClauseChange]) -> list[Change]:
    return [_clause_change(change) for change in changes if change.kind != "same"]


def _clause_change(change: ClauseChange) -> Change:
    assert change.kind != "same"
    old, new = _numbers(change.old), _numbers(change.new)
    notes = [f"相似 similarity {change.similarity:.0%}"] if change.kind in ("changed", "split", "merged") else []
    if change.modality:
        notes.append(f"情态 modality {change.modality[0]} → {change.modality[1]}")
    quantities = (
        ("去掉 gone", change.quantities_removed if change.new else ()),
        ("新增 new", change.quantities_added if change.old else ()),
    )
    notes += [
        f"数量 quantity {word}: {one.text}（{one.comparator} {one.value:g} {one.unit} {one.period}".rstrip() + "）"
        for word, found in quantities
        for one in found
    ]
    whole = TextChange("", _joined(change.old), _joined(change.new))
    return Change(
        kind=change.kind,
        name=f"{old} → {new}" if old and new and old != new else old or new,
        texts=() if change.kind == "renumbered" else (whole,),
        notes=tuple(notes),
        parts=tuple(_clause_change(part) for part in change.parts if not _moved_along(part)),
    )


def _moved_along(part: ClauseChange) -> bool:
    """Whether a part of an article only has a new number because the article has."""
    below = [clause.path[clause.path.index(clause.article) + 1 :] for clause in (*part.old[:1], *part.new[:1])]
    return part.kind == "same" or (part.kind == "renumbered" and below[0] == below[1])


def _numbers(clauses: Iterable[Clause]) -> str:
    return "、".join(" ".join(clause.path[clause.path.index(clause.article) :]) for clause in clauses)


def _joined(clauses: Iterable[Clause]) -> str:
    return "\n".join(clause.text[clause.lead_in_chars :] for clause in clauses)
