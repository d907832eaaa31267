"""What a page shows of an artefact: tables, lengths, and tabs of entries; and the even sample of a large table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tianjing.order import order_key
from tianjing.records import Split

Record = TypeVar("Record")
Cell = tuple[str, ...]
SEED = 0
_LONGEST_TEXT_CHARS = 20_000


@dataclass(frozen=True)
class Selection:
    """Which rows are shown. `limit` holds for each tab; `where` is text that a row must contain, in any case."""

    limit: int = 2000
    split: Split | None = None
    task: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as text; a column of figures stands to the right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Source:
    """What an entry rests on. `lines` are (speaker or "", text, whether just this line is cited)."""

    id: str
    title: str = ""
    lines: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One row. `messages` are (role, text), `facts` (name, value); every one of `marks` is highlighted in the texts."""

    id: str
    title: str = ""
    split: str = ""
    task: str = ""
    source: str = ""
    rule: str = ""
    reason: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Tab:
    """Entries of one kind: `matched` of `total` fit the selection, and an even sample of those stands here."""

    name: str
    title: str
    total: int
    matched: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Lengths:
    """Lengths of all rows of the artefact, for a histogram."""

    title: str
    unit: str
    values: Sequence[int]


@dataclass(frozen=True)
class Drawing:
    """A drawing as SVG markup, safe to stand in a page."""

    title: str
    svg: str


@dataclass(frozen=True)
class View:
    """Everything that is shown of an artefact. `notes` say what is missing, and why."""

    kind: str
    folder: str
    digest: str
    created: str
    selection: Selection
    tables: tuple[Table, ...]
    lengths: tuple[Lengths, ...]
    tabs: tuple[Tab, ...]
    notes: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    card: str = ""
    config: str = ""


@dataclass
class Sample(Generic[Record]):
    """A bounded sample of a stream, as even over its cells as they allow; the same stream gives the same rows."""

    limit: int
    total: int = 0
    matched: int = 0
    _cells: dict[Cell, list[tuple[str, int, Record]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, cell: Cell, name: str, record: Record) -> None:
        """Offer a row that fits the selection."""
        self.matched += 1
        rows = self._cells[cell]
        rows.append((order_key(SEED, name), self.matched, record))
        if len(rows) > self.limit + self.limit // 4 + 16:
            self._cells[cell] = self._first(rows, self.limit)

    def chosen(self) -> list[Record]:
        """The sample, cell by cell and in the order of the stream."""
        quotas = even({cell: len(rows) for cell, rows in self._cells.items()}, self.limit)
        found = []
        for cell in sorted(self._cells):
            rows = self._first(self._cells[cell], quotas[cell])
            found += [record for *_, record in sorted(rows, key=lambda row: row[1])]
        return found

    @staticmethod
    def _first(rows: list[tuple[str, int, Record]], count: int) -> list[tuple[str, int, Record]]:
        return sorted(rows, key=lambda row: row[:2])[:count]


def even(sizes: Mapping[Cell, int], limit: int) -> dict[Cell, int]:
    """How many of each cell, `limit` together: what a small cell does not need goes to the larger ones."""
    quotas: dict[Cell, int] = {}
    for place, cell in enumerate(sorted(sizes, key=lambda cell: (sizes[cell], cell))):
        share = (limit - sum(quotas.values())) // (len(sizes) - place)
        quotas[cell] = min(sizes[cell], share)
    return quotas


def strings(value: Any) -> Iterator[str]:
    """Every text in a parsed record, without the names of its fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, Iterable):
        for part in value:
            yield from strings(part)


def contains(record: Any, where: str) -> bool:
    """Whether a parsed record holds `where` in one of its texts, in any case."""
    return not where or any(where.casefold() in text.casefold() for text in strings(record))


def shown(text: str) -> str:
    """A text of any length, cut where no person reads on."""
    if len(text) <= _LONGEST_TEXT_CHARS:
        return text
    return f"{text[:_LONGEST_TEXT_CHARS]}……（另有 {len(text) - _LONGEST_TEXT_CHARS} 字 characters more）"
