"""The keyring: a JSON Lines file with one API key a line, as a keyed digest with what the key may do."""

from __future__ import annotations

import hmac
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field

from serving.errors import ServeError
from serving.identity.digests import bearer, cache_salt, key_digest, unknown_key
from serving.identity.principal import Principal, Quota, Role
from tianjing.config import StrictModel
from tianjing.files import parse_line

PEPPER_SUFFIX = ".pepper"
MAX_FILE_BYTES = 32 << 20
MIN_PEPPER_BYTES = 32
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_Limit = Annotated[int, Field(ge=1)] | None


class QuotaEntry(StrictModel):
    """What one key may use; absent is no limit. See `serving.identity.Quota`."""

    requests_per_minute: _Limit = None
    tokens_per_minute: _Limit = None
    concurrency: _Limit = None
    budget_tokens: _Limit = None
    budget_days: int = Field(default=30, ge=1, le=366)


class KeyEntry(StrictModel):
    """One line of the file."""

    id: str = Field(pattern=NAME)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    tenant: str = Field(pattern=NAME)
    role: Role
    created: AwareDatetime
    models: tuple[str, ...] | None = None
    quota: QuotaEntry = QuotaEntry()
    not_before: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    counted_as: str = ""

    def status(self, now: datetime) -> str:
        """ "valid", "revoked", "expired" or "not yet"."""
        if self.revoked is not None:
            return "revoked"
        if self.expires is not None and now >= self.expires:
            return "expired"
        return "not yet" if self.not_before is not None and now < self.not_before else "valid"


class _Known:
    """A key as it is compared: from `begins` until `ends`, in seconds since 1970."""

    def __init__(self, entry: KeyEntry, pepper: bytes):
        self.digest = entry.digest
        self.begins = entry.not_before.timestamp() if entry.not_before else -math.inf
        self.ends = entry.expires.timestamp() if entry.expires else math.inf
        if entry.revoked is not None:
            self.ends = -math.inf
        self.principal = Principal(
            tenant=entry.tenant,
            key_id=entry.id,
            role=entry.role,
            models=None if entry.models is None else frozenset(entry.models),
            quota=Quota(**entry.quota.model_dump()),
            counted_as=entry.counted_as or entry.id,
            cache_salt=cache_salt(pepper, entry.tenant),
        )


class Keyring:
    """Keys that are known now.

    Args:
        entries: ids and digests are unique.
        pepper: the secret of their digests.
    """

    def __init__(self, entries: Sequence[KeyEntry], pepper: bytes):
        self._pepper = pepper
        self._known = {entry.digest: _Known(entry, pepper) for entry in entries}
        nobody = KeyEntry(id="nobody", digest="0" * 64, tenant="nobody", role="monitor", created=_EPOCH, revoked=_EPOCH)
        self._nobody = _Known(nobody, pepper)

    def identify(self, authorization: str | None, now: float) -> Principal:
        """Who sends this header at `now` (seconds since 1970).

        A key is looked up by its keyed digest, which nobody outside can steer, and an unknown one is compared as a
        known one is: the time taken tells nothing about which keys exist.

        Raises:
            ApiError: 401; the same for a missing, wrong, early, expired or revoked key.
        """
        digest = key_digest(self._pepper, bearer(authorization))
        known = self._known.get(digest, self._nobody)
        same = hmac.compare_digest(digest, known.digest)
        if not (same & (known.begins <= now) & (now < known.ends)):
            raise unknown_key()
        return known.principal


def read_entries(path: Path) -> list[KeyEntry]:
    """The lines of a keyring.

    Raises:
        ServeError: missing, too open or broken, with file, line and field.
    """
    entries: list[KeyEntry] = []
    lines: dict[str, int] = {}
    for number, raw in enumerate(_private_bytes(path, MAX_FILE_BYTES).splitlines(), start=1):
        if not raw.strip():
            continue
        try:
            entry = parse_line(raw, KeyEntry)
        except ValueError as error:
            raise ServeError(f"{path}:{number}: {error}", "mend the line; the last good keyring stays in use") from None
        for name in (entry.id, entry.digest):
            if name in lines:
                raise ServeError(f"{path}:{number}: the key of line {lines[name]} again", "delete one of the two lines")
            lines[name] = number
        entries.append(entry)
    return entries


def write_line(entry: KeyEntry) -> str:
    """An entry as a line of the file."""
    return entry.model_dump_json(exclude_none=True) + "\n"


def read_pepper(path: Path) -> bytes:
    """The secret of a keyring's digests.

    Raises:
        ServeError: missing, too open, or too short.
    """
    pepper = _private_bytes(path, 4096).strip()
    if len(pepper) < MIN_PEPPER_BYTES:
        raise ServeError(f"{path}: fewer than {MIN_PEPPER_BYTES} bytes", "give the file that was made with the keyring")
    return pepper


def pepper_path(keyring: Path, given: Path | None) -> Path:
    """Where the pepper of a keyring lies."""
    return given or keyring.with_name(keyring.name + PEPPER_SUFFIX)


def quota_text(entry: QuotaEntry) -> str:
    """A quota in a few words, for a table."""
    short = {"requests_per_minute": "req/min", "tokens_per_minute": "tok/min", "concurrency": "at once"}
    values = asdict(Quota(**entry.model_dump()))
    words = [f"{values[name]:,} {unit}" for name, unit in short.items() if values[name] is not None]
    if entry.budget_tokens is not None:
        words.append(f"{entry.budget_tokens:,} tok/{entry.budget_days} d")
    return ", ".join(words) or "no limit"


def _private_bytes(path: Path, limit: int) -> bytes:
    """The file, read only when nobody else may write it and no stranger may read it."""
    try:
        with open(path, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            # Group may read: that is how a cluster hands a secret to a user without privileges.
            if mode & 0o037:
                raise ServeError(f"{path}: mode {mode:04o} lets others at the keys", f"chmod 600 {path}")
            data = stream.read(limit + 1)
    except OSError as error:
        raise ServeError(
            f"{path}: cannot be read: {error.strerror}", "make a key with: tianjing serve keys new KEYRING --tenant …"
        ) from None
    if len(data) > limit:
        raise ServeError(f"{path}: more than {limit:,} bytes", "take out the keys that have expired")
    return data


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
