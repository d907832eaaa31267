"""Which weights may be served: those that a valid, signed, promoting release names, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from serving.errors import ServeError
from tianjing.errors import EXIT_NOT_RELEASED, TianjingError
from tianjing.lineage import artefact_digest, is_artefact, verify, verify_release

UNRELEASED = "none"


def require_release(model: Path, release_file: Path | None, temperature: float, trusted: Path | None = None) -> str:
    """Digest of the weights in `model` when `release_file` promotes them.

    Args:
        temperature: the largest sampling temperature that will be served.
        trusted: `.pub` file or folder of the signers to trust; None trusts this user's own key.

    Raises:
        ServeError: with the reason, and exit status 3.
    """
    if release_file is None:
        raise _refused("no release is given", "--release FILE")
    try:
        release = verify_release(release_file, trusted, now=datetime.now(UTC))
    except TianjingError as error:
        raise _refused(error.message, error.remedy) from None
    if release.verdict != "promote":
        reasons = f": {'; '.join(release.reasons)}" if release.reasons else ""
        raise _refused(f"{release_file}: the verdict is '{release.verdict}'{reasons}", "tune again, or evaluate again")
    digest = artefact_digest(model)
    if digest != release.merged:
        raise _refused(
            f"{model}: these are not the released weights: digest {digest[:16]}…, released {release.merged[:16]}…",
            "serve the folder that was evaluated, or evaluate this one",
        )
    if temperature > release.temperature:
        raise _refused(
            f"stability was measured up to temperature {release.temperature:g}, not at {temperature:g}",
            f"set serve.temperature to {release.temperature:g}, or evaluate with evaluate.temperature {temperature:g}",
        )
    # An artefact's digest is that of its manifest; the weights themselves must still be what it says.
    if is_artefact(model) and (differences := verify(model)):
        raise _refused(f"the weights were changed after the release: {differences[0]}", "merge and evaluate again")
    return digest


def _refused(reason: str, remedy: str) -> ServeError:
    return ServeError(
        f"not released: {reason}",
        f"{remedy}; or serve knowingly without a release: --allow-unreleased",
        exit_code=EXIT_NOT_RELEASED,
    )
