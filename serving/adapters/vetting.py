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
        """Check once more, before it is loaded, that a version may be served here, and that its bytes are the same.

        Raises:
            ServeError: they are not; its signer is trusted no more, say; or another base is served than the one it
                was tuned on.
        """
        folder = Path(weights.folder)
        if weights.override is not None:
            require_digest(folder, weights.digest)
            if weights.kind == "adapter":
                self._require_own_base(folder)
        elif weights.release is not None:
            release_file = self.placer.store.release(weights.release)
            _, release = released(
                folder, weights.kind, release_file, self.temperature, self.trusted, override=_OVERRIDE
            )
            if weights.kind == "adapter":
                self.placer.require_base(release.base)

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
        if kind == "adapter":
            self._require_own_base(copy)
        digest = artefact_digest(copy)
        require_digest(copy, digest)
        return Version(kind=kind, folder="", digest=digest, override=override, added_at=now)

    def _require_own_base(self, folder: Path) -> None:
        """Without a release, an adapter of ours still says by its manifest which base it was tuned on."""
        base = self.placer.base
        if base is None:
            raise ServeError("no base that takes adapters is served here", "add the merged weights")
        if is_artefact(folder) and base not in [record.sha256 for record in read_manifest(folder).inputs]:
            raise ServeError(
                f"the adapter's manifest does not name the base {base[:16]}… that is served here",
                "serve its base, or add the merged weights",
            )
