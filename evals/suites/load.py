"""From suite files and published folders to the rows and tasks of an evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.material import Material
from evals.suites.config import BuiltinSuite, ReaderSuite, TableSuite, read_config
from evals.suites.definition import Definition
from evals.suites.entries import Part, table_entries
from evals.suites.readers import READERS, recognise
from evals.suites.repeats import Repeats
from evals.suites.rows import as_object
from evals.suites.tables import Record, records
from evals.suites.tasks import task_of
from tianjing.files import canonical_json
from tianjing.order import order_key
from tianjing.records import Example
from tianjing.tasks import TASKS, Task, conversation

_YAML = (".yaml", ".yml")
_HELD_OUT_SEED = 20260101


@dataclass
class Loaded:
    """One task of a suite as it was read.

    Attributes:
        definition: None for a task of `tianjing.tasks`.
        published: whether the rows are another's, so that what is doubtful about one is noted, not refused.
        blind: rows that the published files hold without an answer; they are not used.
        doubts: what is doubtful about rows of a published set, with file and line.
    """

    task: Task
    definition: Definition | None
    reader: str
    licence: str
    held_out: int
    published: bool = False
    train: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)
    blind: int = 0
    doubts: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    """Row key → file and line, until reading is done."""
    repeats: Repeats = field(default_factory=Repeats)
    """Questions and items, until reading is done."""

    def add(
        self, part: Part, record: Record, key: str, group: str, fields: dict[str, Any], reference: dict[str, Any]
    ) -> None:
        where = f"{record.file}:{record.place}"
        key = f"shots/{key}" if part == "train" else key  # published sets count both from 0
        if key in self.places:
            raise EvalError(f"{where}: id '{key}' stands at {self.places[key]} too", "give every row an id of its own")
        self.places[key] = where
        example = Example(
            id=f"{self.task.id}/{key}",
            task=self.task.id,
            group=group or self.repeats.group_of(fields, f"{self.task.id}/{key}"),
            split=part,
            messages=conversation(self.task, fields, reference),
            fields=fields,
            reference=reference,
            licence=self.licence,
            source=self.reader,
            sources=(f"{record.file.name}:{record.place}",),
        )
        for doubt in self.repeats.doubts(example, where):
            if not self.published:
                raise doubt
            self.doubts.append(doubt.message)
        (self.train if part == "train" else self.test).append(example)

    def hold_out(self) -> None:
        """Without worked examples of its own, a suite gives up a few rows, whole groups of them."""
        self.places.clear()
        self.repeats = Repeats()
        if self.train or not self.test:
            return
        order = sorted({row.group for row in self.test}, key=lambda group: order_key(_HELD_OUT_SEED, group))
        given: set[str] = set()
        while order and sum(row.group in given for row in self.test) < self.held_out:
            given.add(order.pop())
        if not order:
            raise EvalError(
                f"{self.task.id}: {len(self.test)} rows in {len(given)} group(s), too few to hold out {self.held_out}"
                f" worked examples",
                "give 'shots' files, lower 'held_out', or add rows of other groups",
            )
        self.train = [row.model_copy(update={"split": "train"}) for row in self.test if row.group in given]
        self.test = [row for row in self.test if row.group not in given]


def load_suites(paths: Sequence[Path]) -> Material:
    """The material of one or more suites.

    Args:
        paths: YAML files, or published folders and files whose layout is recognised.

    Raises:
        TianjingError: a file or a row is broken, named with its line; two suites have one name.
    """
    return material_of([each for path in paths for each in read_suite(path)])


def material_of(loaded: Sequence[Loaded]) -> Material:
    """The material of suites that were read.

    Raises:
        EvalError: two have one name.
    """
    names = [each.task.id for each in loaded]
    for name in names:
        if names.count(name) > 1:
            raise EvalError(f"two suites are named '{name}'", "give one another 'id', or leave one out")
    train = [row for each in loaded for row in each.train]
    test = [row for each in loaded for row in each.test]
    definitions = [each.definition.model_dump(mode="json") for each in loaded if each.definition is not None]
    digest = hashlib.sha256(canonical_json(definitions).encode())
    for row in (*train, *test):
        digest.update(canonical_json([row.id, row.group, row.split, row.fields, row.reference]).encode())
    return Material(train, test, definitions, digest.hexdigest())


def read_suite(path: Path) -> list[Loaded]:
    """The tasks of one suite, in the order in which its files hold them; raises as `load_suites` does."""
    if path.suffix.lower() not in _YAML:
        return _published(ReaderSuite(reader=recognise(path).name, path=path), path)
    config = read_config(path)
    if isinstance(config, TableSuite):
        return _table(config, path)
    if isinstance(config, BuiltinSuite):
        return _builtin(config, path)
    return _published(config, path.parent / config.path)


def _table(config: TableSuite, path: Path) -> list[Loaded]:
    definition = config.definition
    loaded = Loaded(_task(definition), definition, "table", config.licence, config.held_out)
    for part, file in _files(config.data, config.shots, path):
        for each in table_entries(definition, part, file, config.columns):
            assert each.row is not None
            loaded.add(part, each.row.record, each.row.key, each.row.group, each.row.fields, each.row.reference)
    return _finished([loaded], path)


def _published(config: ReaderSuite, path: Path) -> list[Loaded]:
    reader = READERS[config.reader]
    licence = config.licence or reader.licence
    tasks: dict[str, Loaded] = {}
    for each in reader.read(path):
        name = each.definition.id
        if name not in tasks:
            definition = each.definition.model_copy(
                update={"max_tokens": config.max_tokens or each.definition.max_tokens}
            )
            tasks[name] = Loaded(_task(definition), definition, reader.name, licence, config.held_out, published=True)
        if each.row is None:
            tasks[name].blind += 1
        else:
            # A publisher's number of a document means nothing in another set.
            group = each.row.group and f"{name}/{each.row.group}"
            tasks[name].add(each.part, each.row.record, each.row.key, group, each.row.fields, each.row.reference)
    return _finished(list(tasks.values()), path)


def _builtin(config: BuiltinSuite, path: Path) -> list[Loaded]:
    task = TASKS[config.task]
    loaded = Loaded(task, None, "task", config.licence, config.held_out)
    for part, file in _files(config.data, config.shots, path):
        for number, record in enumerate(records(file), start=1):
            fields, reference = as_object(record, "fields"), as_object(record, "reference")
            key = f"{file.stem}/{record.optional('id') or number}"
            try:
                task.render(fields)
                reading = task.read(task.target(reference), fields)
                task.score(reading, reference, fields)
            except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
                raise record.error(
                    "fields",
                    f"not what the task '{task.id}' needs: {error!r:.80}",
                    f"see the task's docstring: {_first_line(task)}",
                ) from None
            loaded.add(part, record, key, record.optional("group"), fields, reference)
    return _finished([loaded], path)


def _first_line(task: Task) -> str:
    return " ".join((type(task).__doc__ or "").split())[:200]


def _files(data: Sequence[Path], shots: Sequence[Path], config: Path) -> Iterator[tuple[Part, Path]]:
    for file in shots:
        yield "train", config.parent / file
    for file in data:
        yield "test", config.parent / file


def _task(definition: Definition) -> Task:
    if definition.id in TASKS:
        raise EvalError(f"suite id '{definition.id}' is a task of tianjing.tasks", "choose another id")
    return task_of(definition)


def _finished(loaded: list[Loaded], path: Path) -> list[Loaded]:
    for each in loaded:
        each.hold_out()
    kept = [each for each in loaded if each.test]
    if not kept:
        raise EvalError(f"{path}: no rows to test", "check that the files hold rows with answers")
    return kept
