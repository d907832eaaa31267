"""Keys are made, rotated and revoked: a keyring's file is replaced whole, one change after another."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serving.errors import ServeError
from serving.identity.digests import key_digest
from serving.identity.keyring import KeyEntry, QuotaEntry, pepper_path, read_entries, read_pepper, write_line
from serving.identity.principal import Role
from tianjing.files import atomic_write, require_target

KEY_BYTES = 32
PREFIX = "tj-"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class KeyringFile:
    """A keyring as its operator changes it.

    Args:
        path: the keyring; made with the first key.
        pepper: its secret, None for the file beside it; made with the first key.
    """

    def __init__(self, path: Path, pepper: Path | None = None):
        self.path = path
        self.pepper = pepper_path(path, pepper)

    def entries(self) -> list[KeyEntry]:
        """Every key, valid or not; raises ServeError."""
        return read_entries(self.path)

    def new(
        self,
        tenant: str,
        role: Role,
        now: datetime,
        *,
        models: tuple[str, ...] | None = None,
        quota: QuotaEntry | None = None,
        not_before: datetime | None = None,
        expires: datetime | None = None,
    ) -> tuple[KeyEntry, str]:
        """Make a key.

        Returns:
            Its entry, and the key itself, which is stored nowhere.

        Raises:
            ServeError: the keyring is broken, or its pepper is missing.
            pydantic.ValidationError: a value that an entry may not have.
        """
        with self._changing() as (entries, pepper):
            key, made = _fresh(pepper)
            entry = KeyEntry(
                **made,
                tenant=tenant,
                role=role,
                created=now,
                models=models,
                quota=quota or QuotaEntry(),
                not_before=not_before,
                expires=expires,
            )
            entries.append(entry)
        return entry, key

    def rotate(self, key_id: str, overlap: timedelta, now: datetime) -> tuple[KeyEntry, str]:
        """A new key with all that the old one may do; the old one ends after `overlap`. Both share one quota.

        The new key lives as long as the old one was meant to.

        Raises:
            ServeError: no such key, or one that is no longer valid.
        """
        with self._changing() as (entries, pepper):
            position = self._position(entries, key_id)
            old = entries[position]
            if old.status(now) in ("revoked", "expired"):
                raise ServeError(f"{self.path}: the key '{key_id}' is {old.status(now)}", "make a new key instead")
            key, made = _fresh(pepper)
            life = old.expires - old.created if old.expires else None
            entry = old.model_copy(
                update={
                    **made,
                    "created": now,
                    "not_before": None,
                    "expires": now + life if life else None,
                    "counted_as": old.counted_as or old.id,
                }
            )
            end = now + overlap
            entries[position] = old.model_copy(update={"expires": min(end, old.expires) if old.expires else end})
            entries.append(entry)
        return entry, key

    def revoke(self, key_id: str, now: datetime) -> KeyEntry:
        """End a key at once, for good.

        Raises:
            ServeError: no such key.
        """
        with self._changing() as (entries, _):
            position = self._position(entries, key_id)
            if entries[position].revoked is None:
                entries[position] = entries[position].model_copy(update={"revoked": now})
            return entries[position]

    def _position(self, entries: list[KeyEntry], key_id: str) -> int:
        for position, entry in enumerate(entries):
            if entry.id == key_id:
                return position
        raise ServeError(f"{self.path}: no key '{key_id}'", f"see: tianjing serve keys list {self.path}")

    @contextmanager
    def _changing(self) -> Iterator[tuple[list[KeyEntry], bytes]]:
        """The entries, to be changed in place, and the pepper; two operators at once wait for one another."""
        require_target(self.path, self.pepper)
        self._make_pepper()
        # The pepper's file is never replaced, so that a lock on it is a lock on the keyring.
        with open(self.pepper, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            entries = read_entries(self.path) if self.path.exists() else []
            yield entries, read_pepper(self.pepper)
            mask = os.umask(0o077)
            try:
                atomic_write(self.path, "".join(map(write_line, entries)))
            finally:
                os.umask(mask)

    def _make_pepper(self) -> None:
        if self.pepper.exists():
            return
        if self.path.exists():
            raise ServeError(
                f"{self.pepper}: missing, and without it no key of {self.path} can be recognised",
                "put the file back, or name it with --pepper",
            )
        self.pepper.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.pepper, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def moment(given: str, now: datetime) -> datetime:
    """ "90d", "12h", "30m" from now; or a date, or a date with time, in ISO 8601 (UTC unless it says otherwise).

    Raises:
        ServeError: neither.
    """
    if length := _length(given):
        return now + length
    try:
        value = datetime.fromisoformat(given)
    except ValueError:
        raise ServeError(f"'{given}' is neither a time nor a duration", "write 90d, 12h, 30m or 2027-01-31") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def duration(given: str) -> timedelta:
    """ "7d", "12h", "30m", "0d"; raises ServeError for anything else."""
    if (length := _length(given)) is None:
        raise ServeError(f"'{given}' is not a duration", "write 7d, 12h or 30m")
    return length


def _length(given: str) -> timedelta | None:
    found = re.fullmatch(r"([0-9]{1,5})([mhd])", given)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def _fresh(pepper: bytes) -> tuple[str, dict[str, str]]:
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    return key, {"id": f"k{secrets.token_hex(4)}", "digest": key_digest(pepper, key)}
