"""A keyring that follows its file: keys are added, rotated and revoked without a restart."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.errors import ApiError, ServeError
from serving.identity.bootstrap import ApiKey
from serving.identity.keyring import KeyEntry, Keyring, pepper_path, read_entries, read_pepper
from serving.identity.principal import Identity, Principal
from serving.identity.settings import IdentitySettings

_log = logging.getLogger(__name__)
Told = Callable[[str, Mapping[str, Any]], None]


class LiveKeyring:
    """Asks the file system at every request (about 2 µs) whether the file is still the one that was read.

    A file that has become broken or unreadable leaves the last good keyring in use; the log and `trouble` say so.

    Args:
        told: is told of each change, as an event and its details; they name keys by their ids.

    Raises:
        ServeError: the file is broken to begin with.
    """

    def __init__(self, path: Path, pepper: Path, clock: Callable[[], float] = time.time, told: Told | None = None):
        self.trouble = ""
        self._told = told
        self._path = path
        self._pepper = pepper
        self._clock = clock
        self._seen = _signature(path)
        self._entries: list[KeyEntry] = []
        self._keyring = self._read()

    def identify(self, authorization: str | None) -> Principal:
        """The caller; raises ApiError 401."""
        self._follow()
        return self._keyring.identify(authorization, self._clock())

    def _follow(self) -> None:
        found = _signature(self._path)
        if found == self._seen:
            return
        # Noted before it is read: a change in between is another change, and a broken file is read once.
        self._seen, before = found, self._entries
        try:
            self._keyring = self._read()
        except ServeError as error:
            self.trouble = f"the keyring as it was before stays in use: {error.message}"
            _log.error("%s", self.trouble)
            self._tell("keys_refused", {"reason": error.message})
        else:
            self.trouble = ""
            _log.info("%s: read again", self._path)
            self._tell("keys_changed", differences(before, self._entries))

    def _read(self) -> Keyring:
        pepper = read_pepper(self._pepper)
        entries = read_entries(self._path)
        self._entries = entries
        return Keyring(entries, pepper)

    def _tell(self, event: str, details: Mapping[str, Any]) -> None:
        if self._told is not None:
            self._told(event, details)


def differences(before: Sequence[KeyEntry], after: Sequence[KeyEntry]) -> dict[str, Any]:
    """Ids of keys that were added and removed, and of those that changed the names of the fields that did."""
    old, new = ({entry.id: entry for entry in entries} for entries in (before, after))
    changed = {
        name: [field for field in KeyEntry.model_fields if getattr(old[name], field) != getattr(entry, field)]
        for name, entry in new.items()
        if name in old and old[name] != entry
    }
    return {"added": sorted(new.keys() - old.keys()), "removed": sorted(old.keys() - new.keys()), "changed": changed}


class BothKeys:
    """The keys of a keyring, and the operator's own one beside them."""

    def __init__(self, keyring: LiveKeyring, own: ApiKey):
        self._keyring = keyring
        self._own = own

    @property
    def trouble(self) -> str:
        return self._keyring.trouble

    def identify(self, authorization: str | None) -> Principal:
        """The caller; raises ApiError 401."""
        own = self._own.accepts(authorization)
        try:
            return self._keyring.identify(authorization)
        except ApiError:
            if not own:
                raise
        return self._own.identify(authorization)


def identity_of(settings: IdentitySettings, own: ApiKey | None, told: Told | None = None) -> Identity:
    """Who may call under these settings; `own` is the key of the environment or of the first start, if there is one.

    Args:
        told: see `LiveKeyring`.

    Raises:
        ServeError: the keyring cannot be used.
    """
    if settings.keyring is None:
        assert own is not None, "without a keyring one key is made"
        return own
    ring = LiveKeyring(settings.keyring, pepper_path(settings.keyring, settings.pepper), told=told)
    return ring if own is None else BothKeys(ring, own)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)
