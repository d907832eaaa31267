"""The endpoint's API key: only its hash is stored, and it is compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ServeError
from serving.identity.digests import bearer, cache_salt, unknown_key
from serving.identity.principal import Principal
from tianjing.files import atomic_write

VARIABLE = "TIANJING_API_KEY"
FILE_NAME = "api_key.sha256"
MIN_CHARS = 16
TENANT = "default"


@dataclass(frozen=True)
class ApiKey:
    """The key's hash, where the key comes from, and the key itself only when it has just been made."""

    digest: str
    hint: str
    fresh: str | None = None
    trouble: str = ""

    def identify(self, authorization: str | None) -> Principal:
        """The operator; raises ApiError 401 for anyone else."""
        if not self.accepts(authorization):
            raise unknown_key()
        return Principal(TENANT, self.digest[:8], cache_salt=cache_salt(self.digest.encode(), TENANT))

    def accepts(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries the key."""
        return hmac.compare_digest(_digest(bearer(authorization)), self.digest)


def key_from(given: str) -> ApiKey:
    """A key the operator chose.

    Raises:
        ServeError: it is too short to resist guessing.
    """
    if len(given) < MIN_CHARS:
        raise ServeError(
            f"the API key in {VARIABLE} has {len(given)} characters, at least {MIN_CHARS} are needed",
            "let one be made by leaving it unset, or take the output of: openssl rand -base64 24",
        )
    return ApiKey(_digest(given), f"the key in {VARIABLE}")


def own_key(state: Path, keyring: Path | None) -> ApiKey | None:
    """The endpoint's own key: with a keyring only where TIANJING_API_KEY names one, for others are known there."""
    return None if keyring is not None and not os.environ.get(VARIABLE) else load_or_make(state)


def load_or_make(state: Path) -> ApiKey:
    """The key of TIANJING_API_KEY, else the stored one, else a new one whose hash is stored in `state`."""
    given = os.environ.get(VARIABLE)
    if given:
        return key_from(given)
    path = state / FILE_NAME
    if path.exists():
        digest = path.read_text(encoding="ascii", errors="replace").strip()
        if len(digest) != 64:
            raise ServeError(f"{path}: not the hash of an API key", "delete the file to have a new key made")
        return ApiKey(digest, f"the key shown at the first start (delete {path} for a new one)")
    fresh = f"tj-{secrets.token_urlsafe(24)}"
    atomic_write(path, _digest(fresh) + "\n")
    path.chmod(0o600)
    return ApiKey(_digest(fresh), "the key below; it is shown this once, only its hash is stored", fresh)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()
