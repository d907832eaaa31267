"""The weights that the endpoint was started with, as one version of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.adapters.names import MODEL_PATTERN, require_name
from serving.adapters.release import released
from serving.adapters.state import Model, Move, Override, Placement, State, Version
from serving.errors import ApiError, ServeError
from tianjing.files import sha256_file
from tianjing.lineage import artefact_digest


@dataclass(frozen=True)
class Configured:
    """The weights that the endpoint was started with: they are in an engine already.

    Attributes:
        model: the name callers give.
        engine_name: what the engine knows them by.
        weights: where they lie and why they may be served; see `vouched`.
        release_file: their release, when they have one.
    """

    model: str
    engine_name: str
    weights: Version
    group: str = "default"
    release_file: Path | None = None

    @property
    def version(self) -> str:
        """Their name in the registry; other weights have another one."""
        return f"configured-{self.weights.digest[:12]}"


def vouched(
    folder: Path, release_file: Path | None, temperature: float, trusted: Path | None, *, knowingly: bool, now: float
) -> Version:
    """The merged weights in `folder`, under their release, or knowingly without one.

    Raises:
        ServeError: not released, and not `knowingly`; see `serving.adapters.release.require_release`.
    """
    try:
        digest, release = released(folder, "merged", release_file, temperature, trusted)
    except ServeError as error:
        if not knowingly:
            raise
        override = Override(who="operator", why=error.message, at=now)
        digest = artefact_digest(folder)
        return Version(kind="merged", folder=str(folder.resolve()), digest=digest, override=override, added_at=now)
    assert release_file is not None
    return Version(
        kind="merged",
        folder=str(folder.resolve()),
        digest=digest,
        release=sha256_file(release_file),
        expires=release.expires.timestamp(),
        temperature=release.temperature,
        added_at=now,
    )


def adopted(state: State, configured: Configured, now: float) -> State:
    """The weights that the endpoint was started with, placed; stable unless a version of the registry was promoted.

    Raises:
        ServeError: the model's name has a form that the registry cannot keep.
    """
    try:
        model = require_name(configured.model, "served_name", MODEL_PATTERN)
    except ApiError as error:
        raise ServeError(error.message, "choose another served_name") from None
    version = configured.version
    entry = state.models.get(model) or Model()
    versions = {**entry.versions, version: configured.weights}
    update: dict[str, object] = {"versions": versions}
    if entry.stable != version and (entry.stable is None or entry.stable.startswith("configured-")):
        moved = Move(at=now, what="configured", version=version)
        update |= {"stable": version, "previous": None, "canary": None, "moved": moved}
    placement = Placement(
        model=model, version=version, kind=configured.weights.kind, group=configured.group, status="ready", since=now
    )
    state = state.with_model(model, entry.model_copy(update=update))
    return state.with_placement(configured.engine_name, placement)
