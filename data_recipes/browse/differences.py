"""What differs between two things of one kind: changes with the texts before and after, grouped and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_recipes.clauses.compare import Edit, edits
from tianjing.files import canonical_json

Kind = Literal["added", "removed", "changed", "moved", "renumbered", "split", "merged"]
# Above, a character diff takes longer than a person would look at it.
_LONGEST_COMPARED_CHARS = 3000

Run = tuple[Literal["same", "removed", "added"], str]


@dataclass(frozen=True)
class TextChange:
    """One text before and after. `name` is the field; empty for the text itself."""

    name: str
    old: str
    new: str

    def runs(self) -> Iterator[Run]:
        """The old and the new text laid over each other, character by character."""
        first = _shared_chars(self.old, self.new)
        last = _shared_chars(self.old[first:][::-1], self.new[first:][::-1])
        if first:
            yield "same", self.old[:first]
        yield from _runs(self.old[first : len(self.old) - last], self.new[first : len(self.new) - last])
        if last:
            yield "same", self.old[len(self.old) - last :]


def _shared_chars(one: str, other: str) -> int:
    """How many characters both begin with."""
    unlike = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(unlike, min(len(one), len(other)))


def _runs(old: str, new: str) -> Iterator[Run]:
    compared = max(len(old), len(new)) <= _LONGEST_COMPARED_CHARS
    at = 0
    for edit in edits(old, new) if compared else (Edit(old, new, 0, 0),):
        if old[at : edit.old_start]:
            yield "same", old[at : edit.old_start]
        if edit.old:
            yield "removed", edit.old
        if edit.new:
            yield "added", edit.new
        at = edit.old_start + len(edit.old)
    if old[at:]:
        yield "same", old[at:]


@dataclass(frozen=True)
class Change:
    """What became of one row, clause, practice or setting. `notes` say what the texts do not; `parts` lie below it."""

    kind: Kind
    name: str
    texts: tuple[TextChange, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Section:
    """Changes of one kind of record. `counts` covers all; `changes` may hold only the first of them."""

    title: str
    counts: Mapping[str, int]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class CountRow:
    """A figure before and after."""

    name: str
    old: int
    new: int


@dataclass(frozen=True)
class Difference:
    """All that differs from `old` to `new`. `counts` are figures of both, whether they differ or not."""

    kind: str
    old: str
    new: str
    counts: tuple[CountRow, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(section.counts for section in self.sections)


def section(title: str, changes: list[Change]) -> Section:
    """A section that holds all its changes."""
    return Section(title, dict(sorted(Counter(change.kind for change in changes).items())), tuple(changes))


def changed_texts(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    """A change of the record `name` with every field that differs."""
    fields = [field for field in {**old, **new} if old.get(field, "") != new.get(field, "")]
    return Change("changed", name, tuple(TextChange(field, old.get(field, ""), new.get(field, "")) for field in fields))


def text_of(value: Any) -> str:
    """A field's value as text: as it is, empty for none, JSON for what has parts."""
    return value if isinstance(value, str) else "" if value is None else canonical_json(value)


def settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Section:
    """Two configurations, setting by setting."""
    before, after = dict(_flat(old)), dict(_flat(new))
    changes = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            changes.append(Change("removed", name, (TextChange("", before[name], ""),)))
        elif name not in before:
            changes.append(Change("added", name, (TextChange("", "", after[name]),)))
        elif before[name] != after[name]:
            changes.append(Change("changed", name, (TextChange("", before[name], after[name]),)))
    return section("配置 configuration", changes)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(part, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _flat(part, f"{prefix}[{number}]")
    else:
        yield prefix, repr(value) if not isinstance(value, str) else value
