"""The registry's state: one JSON file, replaced whole under a lock, that every gateway of the endpoint reads.

A gateway that is killed at any moment leaves the old state or the new one. Weights are placed before the state names
them, and the state forgets them only after they are gone, so what is named can be served.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from serving.adapters.names import MODEL_PATTERN, VERSION_PATTERN
from serving.errors import ServeError
from tianjing.config import StrictModel
from tianjing.files import atomic_write, flush, validate_row
from tianjing.lineage.manifest import SHA256_PATTERN

FORMAT = 1
Kind = Literal["merged", "adapter"]


class Override(StrictModel):
    """Weights that are served knowingly without what a release would prove."""

    who: str
    why: str
    at: float


class Version(StrictModel):
    """Weights that may be served under a model's name. Times are seconds since 1970, UTC."""

    kind: Kind
    folder: str
    """Where the checked bytes lie: in the registry's own store, or the folder that the endpoint was started with."""
    digest: str = Field(pattern=SHA256_PATTERN)
    """Of the weights, as `tianjing.lineage.artefact_digest`."""
    release: str | None = None
    """SHA-256 of the release.json, kept in the store; None without one."""
    expires: float | None = None
    """When the release ends; None without one."""
    temperature: float | None = None
    """Largest sampling temperature that the release covers; None without one."""
    override: Override | None = None
    added_at: float = 0.0
    cooldown_until: float = 0.0
    """Until then this version may not be a canary: it was rolled back automatically."""

    def served_at(self, now: float) -> bool:
        """Whether new requests may get these weights: under a release in its term, or an override."""
        return self.override is not None or (self.expires is not None and now < self.expires)


class Canary(StrictModel):
    """A version that some customers get. `id` names this trial: its evidence is counted apart."""

    id: str
    version: str
    share: float = Field(gt=0, lt=1)
    since: float


class Move(StrictModel):
    """The last thing that happened to a model, for who looks at the list; the audit log has all."""

    at: float
    what: str
    version: str
    why: str = ""


class Model(StrictModel):
    """A name that callers give, its versions, and which of them answer."""

    versions: dict[str, Version] = Field(default_factory=dict)
    stable: str | None = None
    canary: Canary | None = None
    previous: str | None = None
    """Stable before the last promotion: where a rollback goes."""
    moved: Move | None = None


class Placement(StrictModel):
    """One load of a version in an engine, under a name that is used once."""

    model: str = Field(pattern=MODEL_PATTERN)
    version: str = Field(pattern=VERSION_PATTERN)
    kind: Kind
    group: str = ""
    status: Literal["loading", "ready", "draining"] = "loading"
    since: float
    """When it took this status."""
    drain_at: float | None = None
    """Ready, and no longer needed from then on."""


class State(StrictModel):
    """All of it."""

    format: int = FORMAT
    revision: int = 0
    key: str = Field(default_factory=lambda: secrets.token_hex(32), pattern=SHA256_PATTERN)
    """Secret of the assignment of customers to arms: who does not know it cannot choose an arm."""
    models: dict[str, Model] = Field(default_factory=dict)
    placements: dict[str, Placement] = Field(default_factory=dict)
    """By the name that the engine knows the load by."""

    def placed(self, model: str, version: str) -> str | None:
        """Engine name of a ready load of this version."""
        for name, placement in self.placements.items():
            if (placement.model, placement.version, placement.status) == (model, version, "ready"):
                return name
        return None

    def in_use(self, model: str) -> set[str]:
        """Versions of the model that must stay."""
        entry = self.models[model]
        used = {entry.stable, entry.previous, entry.canary.version if entry.canary else None}
        placed = {place.version for place in self.placements.values() if place.model == model}
        return placed | {version for version in used if version is not None}

    def with_model(self, name: str, model: Model) -> State:
        """The state with `model` under `name`."""
        return self.model_copy(update={"models": {**self.models, name: model}})

    def with_placement(self, name: str, placement: Placement | None) -> State:
        """The state with this load, or without it."""
        others = {key: value for key, value in self.placements.items() if key != name}
        return self.model_copy(update={"placements": others if placement is None else {**others, name: placement}})


class StateFile:
    """`registry.json` in a folder that only this user may enter. Methods block: call them outside an event loop.

    Args:
        folder: made, with mode 0700, where it is not there.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "registry.json"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the file is replaced."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def read(self) -> State:
        """The state; a fresh one where there is none.

        Raises:
            ServeError: the file is not one of this version.
        """
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(value, dict) and value.get("format") != FORMAT:
                raise ValueError(f"format {value.get('format')!r}; this version reads {FORMAT}")
            return validate_row(value, State)
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            raise ServeError(
                f"{self.path}: not a registry's state: {error}",
                "restore it from a backup; or move it away, and add the versions again",
            ) from None

    def change(self, step: Callable[[State], State]) -> State:
        """Replace the state by what `step` makes of it; durable on return. What `step` raises leaves it as it was."""
        with locked(self.folder / "lock"):
            state = self.read()
            changed = step(state)
            if changed is not state:
                changed = changed.model_copy(update={"revision": state.revision + 1})
                atomic_write(self.path, changed.model_dump_json(indent=1) + "\n")
                flush(self.folder)
            return changed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock among processes and threads; a killed holder lets it go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def own(folder: Path) -> int:
    """Become the one process that loads and unloads for this folder; closing the descriptor gives it up.

    Raises:
        ServeError: another process is.
    """
    descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ServeError(
            f"{folder}: another endpoint manages the adapters here",
            "stop it, or give this one a state folder of its own",
        ) from None
    return descriptor
