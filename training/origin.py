"""What weights were made from, as manifests say: the dataset, the base model, and what they were made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.errors import TianjingError
from tianjing.lineage import InputRecord, Manifest, artefact_digest, is_artefact, read_manifest, verify
from tianjing.lineage.verification import locate
from training import adapter as adapters
from training import full
from training.errors import TrainingError

# The order in which training and merging name their inputs; behind them, what training goes on from and replays.
_DATASET, _BASE = 0, 1
_ADAPTER = 0


@dataclass(frozen=True)
class Source:
    """One input, and what it was made from in turn, as far as that is on this machine."""

    name: str
    """Of its file or folder."""
    sha256: str
    """As it was when it was read."""
    path: Path
    """Where it should stand."""
    manifest: Manifest | None
    """None for raw files, and for what is not here or is no longer what was read."""
    sources: tuple[Source, ...] = ()

    def walk(self) -> list[Source]:
        """This and everything below it."""
        return [self, *(found for source in self.sources for found in source.walk())]

    def as_json(self) -> dict[str, Any]:
        """For `lineage.json`: names and digests, no paths of this machine."""
        found: dict[str, Any] = {"name": self.name, "sha256": self.sha256}
        if self.manifest is not None:
            found["kind"] = self.manifest.kind
        return found | ({"sources": [source.as_json() for source in self.sources]} if self.sources else {})


@dataclass(frozen=True)
class Origin:
    """Where the weights in `directory` come from."""

    directory: Path
    manifest: Manifest
    """Of the weights: kind adapter, merged or full."""
    run_directory: Path
    run: Manifest
    """Of what the training run wrote: the adapter, or the same manifest for weights that were tuned in full."""
    dataset: Source
    base: Source
    earlier: tuple[Source, ...] = ()
    """The adapter that training went on from, and the older dataset that it replayed, where there were such."""

    @property
    def is_whole(self) -> bool:
        """Whether the weights are a model by themselves, not an adapter beside one."""
        return self.manifest.kind != adapters.KIND

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter was trained, be it merged since."""
        return self.run.kind == adapters.KIND


def read_origin(directory: Path) -> Origin:
    """Walk from an adapter, from merged weights, or from a model tuned in full, to the dataset and the base.

    Raises:
        TrainingError: it is none of them; or the adapter that was merged is not here any more, or is another one.
        LineageError: there is no manifest.
    """
    manifest = read_manifest(directory)
    run_directory, run = directory, manifest
    if manifest.kind == "merged":
        record = manifest.inputs[_ADAPTER]
        run_directory = locate(directory, record)
        if not is_artefact(run_directory) or artefact_digest(run_directory) != record.sha256:
            raise TrainingError(
                f"{directory}: the adapter that was merged (sha256 {record.sha256[:16]}…) is not at {run_directory}",
                "put it back, or merge again: what the weights learned from stands in the adapter's manifest",
            )
        run = read_manifest(run_directory)
    if run.kind not in (adapters.KIND, full.KIND) or len(run.inputs) <= _BASE:
        raise TrainingError(
            f"{directory}: an artefact of kind '{manifest.kind}', not an adapter, merged weights or a model tuned in "
            "full",
            "give the folder that `tianjing train run` or `tianjing train merge` wrote",
        )
    dataset, base = (_source(run_directory, run.inputs[place]) for place in (_DATASET, _BASE))
    earlier = tuple(_source(run_directory, record) for record in run.inputs[_BASE + 1 :])
    return Origin(directory, manifest, run_directory, run, dataset, base, earlier)


def require_unchanged_files(weights: Path) -> None:
    """Whether every file of an artefact is as it was written.

    Raises:
        TrainingError: one was changed since, is missing, or is new. LineageError: there is no manifest.
    """
    differences = verify(weights)
    if differences:
        raise TrainingError(
            f"{weights}: is not what was written: {differences[0]}" + (" …" if len(differences) > 1 else ""),
            "train or merge again, and leave the folder as it is",
        )


def _source(directory: Path, record: InputRecord, above: frozenset[Path] = frozenset()) -> Source:
    path = locate(directory, record)
    manifest: Manifest | None = None
    if path not in above and is_artefact(path):
        try:
            found = read_manifest(path)
        except TianjingError:
            found = None
        manifest = found if found is not None and found.digest == record.sha256 else None
    below = tuple(_source(path, inner, above | {path}) for inner in manifest.inputs) if manifest else ()
    return Source(path.name, record.sha256, path, manifest, below)
