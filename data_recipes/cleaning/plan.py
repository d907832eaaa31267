"""What a chain is to do: the shards of the material and the configuration, kept in the workspace for every worker."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.workspace import Workspace
from data_recipes.readers.raw import table_paths
from data_recipes.readers.shards import Shard, plan_shards
from tianjing import __version__
from tianjing.config import parse
from tianjing.files import OnError, sha256_file

# Files that dialogues are joined with, and the field that joins them.
JOINED = {"customers": "customer", "events": "case", "outcomes": "case"}


@dataclass(frozen=True)
class Plan:
    """`joined` is (kind, shard); the number of a task is the place of its shard."""

    dialogues: tuple[Shard, ...]
    joined: tuple[tuple[str, Shard], ...]
    config: CleanConfig
    identity_fields: tuple[str, ...]
    on_error: OnError
    root: str
    """The raw folder: paths of evaluation sets are relative to it."""
    digests: tuple[str, ...] = ()
    """SHA-256 of every evaluation set and then of every rule pack, in the order of the configuration."""

    @property
    def max_line_bytes(self) -> int:
        return self.config.max_line_mib << 20

    @staticmethod
    def of(work: Workspace) -> Plan:
        """The plan kept in the workspace, read once in each process."""
        return _read(str(work.root), work.kept_at())

    def kept(self) -> dict[str, Any]:
        """As JSON, with what tells whether the files are still the same ones."""
        shards = [*self.dialogues, *(shard for _, shard in self.joined)]
        stats = {shard.path: Path(shard.path).stat() for shard in shards}
        return {
            "dialogues": [asdict(shard) for shard in self.dialogues],
            "joined": [[kind, asdict(shard)] for kind, shard in self.joined],
            "config": self.config.model_dump(mode="json"),
            "identity_fields": self.identity_fields,
            "on_error": self.on_error,
            "root": self.root,
            "digests": self.digests,
            "version": __version__,
            "files": {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()},
        }


def make_plan(folder: Path, config: CleanConfig, identity_fields: tuple[str, ...], on_error: OnError) -> Plan:
    """Cut the material of a raw folder into shards; it depends on the files and the configuration alone."""
    beside = [*(folder / source.path for source in config.decontaminate.sets), *config.rulebook.packs]
    found = table_paths(folder)
    shards = {
        name: plan_shards(found[name].absolute(), found[name].name, config.shard_mib << 20)
        for name in ("dialogues", *JOINED)
        if name in found
    }
    return Plan(
        dialogues=tuple(shards.get("dialogues", ())),
        joined=tuple((name, shard) for name in JOINED for shard in shards.get(name, ())),
        config=config,
        identity_fields=identity_fields,
        on_error=on_error,
        root=str(folder.absolute()),
        digests=tuple(map(_digest, beside)),
    )


def _digest(path: Path) -> str:
    """Empty for a file that cannot be read: the step that needs it says so."""
    try:
        return sha256_file(path)
    except OSError:
        return ""


@functools.lru_cache(maxsize=4)
def _read(root: str, kept_at: int) -> Plan:
    value = Workspace(Path(root)).plan()
    return Plan(
        dialogues=tuple(_shard(row) for row in value["dialogues"]),
        joined=tuple((kind, _shard(row)) for kind, row in value["joined"]),
        config=parse(CleanConfig, value["config"], root),
        identity_fields=tuple(value["identity_fields"]),
        on_error=value["on_error"],
        root=value["root"],
        digests=tuple(value["digests"]),
    )


def _shard(row: dict[str, Any]) -> Shard:
    return Shard(**{**row, "header": tuple(row["header"])})
