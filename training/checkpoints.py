"""Checkpoints of a run: whole or not there, checked by digest before they are trusted, the newest few kept.

A checkpoint is written under a temporary name. Then `seal` notes the digest of each of its files, what run it belongs
to and how many processes wrote it, flushes all of it to disk, and renames the folder into place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tianjing.config import StrictModel
from tianjing.files import (
    atomic_write,
    canonical_json,
    flush,
    flush_folder,
    sha256_bytes,
    sha256_file,
    validate_row,
)
from training.errors import TrainingError

RECORD = "digests.json"
# Names that transformers gives the files of a checkpoint.
STATE, OPTIMISER, SCHEDULE = "trainer_state.json", "optimizer.pt", "scheduler.pt"
_FOLDER = re.compile(r"checkpoint-(\d+)")


class CheckpointRecord(StrictModel):
    """digests.json of a checkpoint."""

    step: int
    """Optimiser steps done."""
    world_size: int
    """Processes that wrote it."""
    run: str
    """Digest of dataset, base model and configuration: a checkpoint of another run does not fit."""
    files: dict[str, str]
    """SHA-256 of every other file, by name."""
    digest: str = ""
    """SHA-256 of the fields above, so that a changed record is seen too."""

    def own_digest(self) -> str:
        """What `digest` should be."""
        return sha256_bytes(canonical_json(self.model_dump(exclude={"digest"})).encode())


@dataclass(frozen=True)
class Checkpoint:
    """A sound checkpoint on disk."""

    path: Path
    record: CheckpointRecord


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run, in its work folder."""

    folder: Path
    run: str
    """Digest of the run, see CheckpointRecord."""
    keep: int = 2
    """Newest ones that `retain` leaves."""

    @property
    def staging(self) -> Path:
        """Where a checkpoint is written until it is whole."""
        return self.folder / ".saving"

    def path(self, step: int) -> Path:
        """Folder of the checkpoint of `step`."""
        return self.folder / f"checkpoint-{step}"

    def seal(self, step: int, world_size: int) -> Path:
        """Make what stands in `staging / checkpoint-STEP` the checkpoint of that step; returns its folder.

        Raises:
            TrainingError: it lacks what a run needs to go on, as where another process cleared the folder.
        """
        written = self.staging / f"checkpoint-{step}"
        names = sorted(str(path.relative_to(written)) for path in written.rglob("*") if path.is_file())
        if (lacking := _lacking(names)) is not None:
            raise TrainingError(
                f"{self.path(step)}: is not kept: {lacking} is missing from what was written for it",
                "see that nothing else clears this folder, then give the same command again",
            )
        files = {name: sha256_file(written / name) for name in names}
        record = CheckpointRecord(step=step, world_size=world_size, run=self.run, files=files)
        record = record.model_copy(update={"digest": record.own_digest()})
        atomic_write(written / RECORD, record.model_dump_json(indent=2))
        flush_folder(written)
        place = self.path(step)
        if place.exists():  # one that was not used, or the same step saved twice
            shutil.rmtree(place)
        os.rename(written, place)
        flush(self.folder)
        shutil.rmtree(self.staging)
        return place

    def discard_unfinished(self) -> None:
        """Remove what a kill left half written."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint, unread."""
        return max(self._steps(), default=None)

    def newest(self, tell: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole and of this run. Newer ones that are not are removed; `tell` says why.

        Every file is read: as long as it takes to load it. What a kill left half written goes first.
        """
        self.discard_unfinished()
        for step in sorted(self._steps(), reverse=True):
            path = self.path(step)
            found = self.read(step)
            if isinstance(found, Checkpoint):
                return found
            tell(f"{path.name} is not used and removed: {found}")
            shutil.rmtree(path)
        return None

    def read(self, step: int) -> Checkpoint | str:
        """The checkpoint of `step`, or what is wrong with it."""
        path = self.path(step)
        try:
            record = validate_row(json.loads((path / RECORD).read_text(encoding="utf-8")), CheckpointRecord)
        except FileNotFoundError:
            return f"damaged, {RECORD} is missing"
        except (OSError, ValueError) as error:
            return f"damaged, {RECORD} cannot be read ({str(error).splitlines()[0]})"
        if record.own_digest() != record.digest or record.step != step:
            return f"damaged, {RECORD} was changed after it was written"
        if record.run != self.run:
            return "it belongs to another dataset, base model or configuration"
        if (lacking := _lacking(record.files)) is not None:
            return f"damaged, it was written without {lacking}"
        for name, digest in record.files.items():
            try:
                if sha256_file(path / name) != digest:
                    return f"damaged, {name} is not what was written"
            except FileNotFoundError:
                return f"damaged, {name} is missing"
            except OSError as error:
                return f"damaged, {name} cannot be read ({error.strerror})"
        return Checkpoint(path, record)

    def retain(self, best: int | None = None) -> None:
        """Remove all but the newest `keep` and that of step `best`."""
        steps = sorted(self._steps(), reverse=True)
        for step in steps[self.keep :]:
            if step != best:
                shutil.rmtree(self.path(step))

    def _steps(self) -> Iterator[int]:
        for path in self.folder.glob("checkpoint-*"):
            match = _FOLDER.fullmatch(path.name)
            if match:
                yield int(match[1])


def _lacking(names: Collection[str]) -> str | None:
    """What a checkpoint of these files lacks to go on from; None where it is complete.

    transformers takes up what it finds and says nothing of the rest: without the optimiser's state a run would go on
    with fresh moments, without the weights with those of the base.
    """
    if not any(name.endswith(".safetensors") for name in names):
        return "the file of the weights"
    return next((name for name in (STATE, OPTIMISER, SCHEDULE) if name not in names), None)
