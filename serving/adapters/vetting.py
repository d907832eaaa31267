"""Takes weights into the store: copied, checked as copies, and named by what was checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.adapters.placing import Placer
from serving.adapters.release import released
from serving.adapters.state import Kind, Override, Version
from serving.adapters.store import require_digest
from serving.adapters.weights import kind_of, require_servable
from serving.errors import ServeError
from tianjing.lineage import artefact_digest, is_artefact, read_manifest

_OVERRIDE = "add it knowingly without a release: --override-reason TEXT"


@dataclass(frozen=True)
class Vetting:
    """What weights are held against.

    Attributes:
        temperature: the largest sampling temperature that is served.
        trusted: whose releases count, see `serving.adapters.release.require_release`.
    """

    placer: Placer
    temperature: float
    trusted: Path | None = None

    def take(self, folder: Path, release: Path | None, override: Override | None, now: float) -> Version:
        """The checked version, its weights and release in the store. Blocks while it copies.

        Raises:
            TianjingError: not below an allowed root, not servable, or not released and not overridden.
        """
        store = self.placer.store
        with store.incoming(folder) as copy:
            kind = kind_of(copy)
            require_servable(copy, kind, self.placer.max_rank)
            if override is None:
                kept = store.take_release(release) if release is not None else None
                weights = self._released(copy, kind, kept, now)
            else:
                weights = self._overridden(copy, kind, override, now)
            place = store.keep(copy, weights.digest)
        return weights.model_copy(update={"folder": str(place)})

    def renewed(self, weights: Version) -> None:
        """Check a version's own release once more, before it is loaded.

        Raises:
            ServeError: it no longer allows the version, for instance because its signer is trusted no more.
        """
        if weights.release is not None and weights.override is None:
            path = self.placer.store.release(weights.release)
            released(Path(weights.folder), weights.kind, path, self.temperature, self.trusted, override=_OVERRIDE)

    def _released(self, copy: Path, kind: Kind, release_file: Path | None, now: float) -> Version:
        digest, release = released(copy, kind, release_file, self.temperature, self.trusted, override=_OVERRIDE)
        if kind == "adapter":
            self.placer.require_base(release.base)
        return Version(
            kind=kind,
            folder="",
            digest=digest,
            release=release_file.stem if release_file is not None else None,
            expires=release.expires.timestamp(),
            temperature=release.temperature,
            added_at=now,
        )

    def _overridden(self, copy: Path, kind: Kind, override: Override, now: float) -> Version:
        """Without a release: an adapter of ours still says by its manifest which base it was tuned on."""
        if kind == "adapter":
            if self.placer.base is None:
                raise ServeError("no base that takes adapters is served here", "add the merged weights")
            if is_artefact(copy):
                inputs = [record.sha256 for record in read_manifest(copy).inputs]
                if self.placer.base not in inputs:
                    raise ServeError(
                        f"the adapter's manifest does not name the base {self.placer.base[:16]}… that is served here",
                        "serve its base, or add the merged weights",
                    )
        digest = artefact_digest(copy)
        require_digest(copy, digest)
        return Version(kind=kind, folder="", digest=digest, override=override, added_at=now)
