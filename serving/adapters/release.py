"""Which weights may be served: those that a valid, signed, promoting release names, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from serving.errors import ServeError
from tianjing.errors import EXIT_NOT_RELEASED, TianjingError
from tianjing.lineage import Release, artefact_digest, is_artefact, verify, verify_release

UNRELEASED = "none"
_KNOWINGLY = "serve knowingly without a release: --allow-unreleased"


def require_release(model: Path, release_file: Path | None, temperature: float, trusted: Path | None = None) -> str:
    """Digest of the merged weights in `model` when `release_file` promotes them.

    Args:
        temperature: the largest sampling temperature that will be served.
        trusted: `.pub` file or folder of the signers to trust; None trusts this user's own key.

    Raises:
        ServeError: with the reason, and exit status 3.
    """
    return released(model, "merged", release_file, temperature, trusted)[0]


def released(
    weights: Path,
    kind: Literal["merged", "adapter"],
    release_file: Path | None,
    temperature: float,
    trusted: Path | None = None,
    *,
    override: str = _KNOWINGLY,
) -> tuple[str, Release]:
    """Digest of the weights, and the release that promotes them.

    Args:
        kind: whether the folder holds merged weights or an adapter, each has a digest of its own in a release.
        override: how these could be served knowingly without one, for the remedy.

    Raises:
        ServeError: as `require_release`.
    """

    def refused(reason: str, remedy: str) -> ServeError:
        return ServeError(f"not released: {reason}", f"{remedy}; or {override}", exit_code=EXIT_NOT_RELEASED)

    if release_file is None:
        raise refused("no release is given", "--release FILE")
    try:
        release = verify_release(release_file, trusted, now=datetime.now(UTC))
    except TianjingError as error:
        raise refused(error.message, error.remedy) from None
    if release.verdict != "promote":
        reasons = f": {'; '.join(release.reasons)}" if release.reasons else ""
        raise refused(f"{release_file}: the verdict is '{release.verdict}'{reasons}", "tune again, or evaluate again")
    digest = artefact_digest(weights)
    named = release.merged if kind == "merged" else release.adapter
    if digest != named:
        shown = f"{named[:16]}…" if named else "none"
        raise refused(
            f"{weights}: these are not the released weights: digest {digest[:16]}…, released {shown}",
            "serve the folder that was evaluated, or evaluate this one",
        )
    if temperature > release.temperature:
        raise refused(
            f"stability was measured up to temperature {release.temperature:g}, not at {temperature:g}",
            f"set serve.temperature to {release.temperature:g}, or evaluate with evaluate.temperature {temperature:g}",
        )
    # An artefact's digest is that of its manifest; the weights themselves must still be what it says.
    if is_artefact(weights) and (differences := verify(weights)):
        raise refused(f"the weights were changed after the release: {differences[0]}", "merge and evaluate again")
    return digest, release
