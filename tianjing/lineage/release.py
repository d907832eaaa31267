"""The signed release: which weights, made from which data, passed which gate, and until when.

Evals writes it; serving asks for it. The signature covers the canonical JSON of every other field.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AwareDatetime, Field

from tianjing.config import StrictModel
from tianjing.files import canonical_json, validate_row
from tianjing.lineage.errors import LineageError
from tianjing.lineage.keys import load_or_create_default, load_private, public_hex, trusted_keys
from tianjing.lineage.manifest import SHA256_PATTERN

Verdict = Literal["promote", "block", "inconclusive", "invalid"]


class Release(StrictModel):
    """One gate decision. Digests are those of `artefact_digest`."""

    kind: Literal["release"] = "release"
    schema_version: Literal[1] = 1
    base: str = Field(pattern=SHA256_PATTERN)
    adapter: str | None = Field(None, pattern=SHA256_PATTERN)
    """None where all weights were tuned."""
    merged: str = Field(pattern=SHA256_PATTERN)
    """The model that may be served: base and adapter in one, or tuned in full."""
    dataset: str = Field(pattern=SHA256_PATTERN)
    evaluation: str = Field(pattern=SHA256_PATTERN)
    policy: str = Field(pattern=SHA256_PATTERN)
    """Of the gate policy (canonical JSON) the verdict was reached under."""
    verdict: Verdict
    """Only `promote` may be served; the others say why not in `reasons`."""
    reasons: tuple[str, ...] = ()
    temperature: float = Field(ge=0, le=2)
    """Largest sampling temperature at which stability was measured; 0 where greedy answers alone were."""
    created: AwareDatetime
    expires: AwareDatetime
    """From this moment on the evidence is too old to serve on; evaluate again."""
    public_key: str = Field(pattern=SHA256_PATTERN)
    """The signer's raw Ed25519 public key, 64 hex digits."""
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
    """Ed25519 over the canonical JSON of all other fields, 128 hex digits."""

    def expired(self, now: datetime | None = None) -> bool:
        """Whether the release is past its term at `now` (with time zone; default: the clock)."""
        return (now or datetime.now(UTC)) >= self.expires


def sign_release(body: dict[str, Any], key_path: Path | None = None) -> dict[str, Any]:
    """Return `body` with `public_key` and `signature`, ready to be written as JSON.

    Args:
        body: the other fields of `Release`; times as ISO 8601 strings or datetimes.
        key_path: private key; None takes this user's own (`default_key_path`), made on first use.

    Raises:
        LineageError: a field is missing or wrong, or the key cannot be read.
    """
    key = load_private(key_path) if key_path is not None else load_or_create_default()
    try:
        # Signed in the model's own spelling, so that a reader who parses and dumps finds the same bytes.
        release = validate_row({**body, "public_key": public_hex(key), "signature": "0" * 128}, Release)
    except ValueError as error:
        raise LineageError(f"release: {error}", "give every field of tianjing.lineage.Release") from None
    if release.expires <= release.created:
        raise LineageError("release: field 'expires' is not after 'created'", "give the release a term")
    signed = release.model_dump(mode="json")
    signed["signature"] = key.sign(_message(signed)).hex()
    return signed


def read_release(path: Path) -> Release:
    """Read a release without judging its signature.

    Raises:
        LineageError: missing or not a release.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        return validate_row(value, Release)
    except FileNotFoundError:
        raise LineageError(f"{path}: no such release", "write one: tianjing eval gate") from None
    except (OSError, ValueError) as error:
        raise LineageError(f"{path}: not a signed release: {error}", "write it again: tianjing eval gate") from None


def verify_release(path: Path, trusted: Path | None = None, now: datetime | None = None) -> Release:
    """Read a release whose signature holds and whose signer is trusted.

    Args:
        trusted: a `.pub` file or a folder of them; None trusts this user's own key alone. The key inside the file
            proves nothing by itself: whoever forges a release brings one.
        now: where given, a release past its term is refused too; without it, ask `Release.expired`.

    Raises:
        LineageError: not a release, changed after signing, signed by an unknown key, or expired at `now`.
    """
    release = read_release(path)
    body = release.model_dump(mode="json")
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(release.public_key))
    try:
        public.verify(bytes.fromhex(release.signature), _message(body))
    except InvalidSignature:
        raise LineageError(
            f"{path}: the signature does not match: the file was changed after it was signed",
            "write it again: tianjing eval gate",
        ) from None
    if release.public_key not in trusted_keys(trusted):
        raise LineageError(
            f"{path}: signed by an unknown key {release.public_key[:16]}…",
            "if you trust the signer, put their .pub file in a folder and name it with --trusted",
        )
    if now is not None and release.expired(now):
        raise LineageError(
            f"{path}: expired at {release.expires.isoformat()}", "evaluate again: tianjing eval run, then eval gate"
        )
    return release


def _message(signed: dict[str, Any]) -> bytes:
    return canonical_json({name: value for name, value in signed.items() if name != "signature"}).encode()
