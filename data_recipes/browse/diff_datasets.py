"""Two datasets compared: rows and preference pairs by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_recipes.browse.differences import Change, CountRow, Section, TextChange, changed_texts, text_of
from tianjing.dataset import SPLITS, preference_file, read_preferences, stream_examples
from tianjing.files import canonical_json, sha256_bytes
from tianjing.records import Example, Preference

SHOWN_ROWS = 2000
"""Changed rows of a dataset whose texts are kept: the counts cover all of them."""
# What has a section of its own makes no row changed.
_APART = {"split", "licence"}

Record = Example | Preference


@dataclass(frozen=True)
class _Table:
    """One kind of record of a dataset: what it is called, how its counts are named, and how it is read."""

    noun: str
    title: str
    count: str
    stream: Callable[[Path], Iterator[Record]]


def _examples(folder: Path) -> Iterator[Record]:
    for split in SPLITS:
        yield from stream_examples(folder / f"{split}.parquet")


def _pairs(folder: Path) -> Iterator[Record]:
    for split in SPLITS:
        path = folder / preference_file(split)
        yield from read_preferences(path) if path.is_file() else ()


_TABLES = (
    _Table("rows", "", "{task}/{split}", _examples),
    _Table("pairs", "偏好对", "preferences {task}/{split}", _pairs),
)


def diff_datasets(old: Path, new: Path) -> tuple[list[CountRow], list[Section]]:
    """Counts by task and split, and what moved, changed, came and went, first of the rows, then of the pairs."""
    counts: list[CountRow] = []
    sections: list[Section] = []
    for table in _TABLES:
        own_counts, own_sections = _compare(table, old, new)
        counts += own_counts
        sections += own_sections
    return counts, sections


class _Row(NamedTuple):
    """What is kept of each record while two datasets are compared."""

    digest: bytes
    split: str
    licence: str


def _compare(table: _Table, old: Path, new: Path) -> tuple[list[CountRow], list[Section]]:
    before, old_counts = _read(table, old)
    after, new_counts = _read(table, new)
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    common = sorted(before.keys() & after.keys())
    moved = [name for name in common if before[name].split != after[name].split]
    relicensed = [name for name in common if before[name].licence != after[name].licence]
    changed = [name for name in common if before[name].digest != after[name].digest]
    shown = {name for names in (added, removed, changed) for name in names[:SHOWN_ROWS]}
    olds, news = _texts(table, old, shown), _texts(table, new, shown)
    counts = [
        CountRow(table.count.format(task=task, split=split), old_counts[task, split], new_counts[task, split])
        for task, split in sorted(old_counts.keys() | new_counts.keys())
    ]
    noun, title = table.noun, table.title
    sections = [
        _section(
            f"{title}移动 {noun} moved between splits",
            "moved",
            moved,
            lambda n: Change("moved", n, notes=(f"{before[n].split} → {after[n].split}",)),
        ),
        _section(
            f"{title}许可变化 licences of {noun} changed",
            "changed",
            relicensed,
            lambda n: Change("changed", n, (TextChange("licence", before[n].licence, after[n].licence),)),
        ),
        _section(f"{title}内容变化 {noun} changed", "changed", changed, lambda n: changed_texts(n, olds[n], news[n])),
        _section(f"{title}新增 {noun} added", "added", added, lambda n: _one_sided("added", n, news[n])),
        _section(f"{title}移除 {noun} removed", "removed", removed, lambda n: _one_sided("removed", n, olds[n])),
    ]
    return counts, sections


def _read(table: _Table, folder: Path) -> tuple[dict[str, _Row], Counter[tuple[str, str]]]:
    rows: dict[str, _Row] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for row in table.stream(folder):
        counts[row.task, row.split] += 1
        content = row.model_dump(mode="json", exclude=_APART)
        rows[row.id] = _Row(bytes.fromhex(sha256_bytes(canonical_json(content).encode())), row.split, row.licence)
    return rows, counts


def _texts(table: _Table, folder: Path, names: set[str]) -> dict[str, dict[str, str]]:
    """The fields of the named records as text, each message a field of its own."""
    found = {}
    for row in table.stream(folder) if names else ():
        if row.id in names:
            said = dict(_messages(row))
            values = row.model_dump(mode="json", exclude={"id", *_APART, "messages", "prompt", "chosen", "rejected"})
            found[row.id] = said | {name: text_of(value) for name, value in values.items()}
    return found


def _messages(row: Record) -> Iterator[tuple[str, str]]:
    if isinstance(row, Example):
        for number, message in enumerate(row.messages):
            yield f"messages.{number}.{message.role}", message.content
        return
    for number, message in enumerate(row.prompt):
        yield f"messages.{number}.{message.role}", message.content
    yield "messages.chosen", row.chosen[-1].content
    yield "messages.rejected", row.rejected[-1].content


def _section(title: str, kind: str, names: list[str], change: Callable[[str], Change]) -> Section:
    return Section(title, {kind: len(names)} if names else {}, tuple(map(change, names[:SHOWN_ROWS])))


def _one_sided(kind: Any, name: str, texts: Mapping[str, str]) -> Change:
    shown = [
        (field, text)
        for field, text in texts.items()
        if field.startswith("messages.") and not field.endswith(".system")
    ]
    if kind == "added":
        return Change(kind, name, tuple(TextChange(field, "", text) for field, text in shown))
    return Change(kind, name, tuple(TextChange(field, text, "") for field, text in shown))
