"""Puts raw texts into the vault from a thread of its own: a request never waits for it and never fails with it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serving.audit.keys import load_or_make_master
from serving.audit.settings import VaultSettings
from serving.audit.vault import FILE_NAME, RawText, VaultFile, seconds_ago
from serving.errors import ServeError

VARIABLE = "TIANJING_VAULT_KEY"
KEY_FILE = "vault.key"
_EXPIRE_EVERY_S = 3600.0
_LONGEST_STOP_S = 30.0
_log = logging.getLogger(__name__)

Note = Callable[[str, Mapping[str, Any]], None]


class TextVault:
    """The vault as the gateway has it.

    Args:
        state: the endpoint's state folder, where the vault lies.
        note: puts an event on record without waiting; `AuditLog.note`.
    """

    def __init__(self, settings: VaultSettings, state: Path, note: Note):
        self.stored = 0
        self.failed = 0
        """Texts that were not kept."""
        self._settings = settings
        self._state = state
        self._note = note
        self._texts: list[RawText] = []
        self._bytes = 0
        self._overflow = 0
        self._closing = False
        self._changed = threading.Condition()
        self._file: VaultFile | None = None
        self._thread = threading.Thread(target=self._run, name="vault", daemon=True)

    async def open(self) -> None:
        """Raises ServeError when the vault or its master key cannot be used."""
        await asyncio.to_thread(self._start)

    async def close(self) -> None:
        """Write what waits."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, _LONGEST_STOP_S)

    def store(self, tenant: str, customer: str, request: str, texts: Mapping[str, str]) -> None:
        """Keep raw texts, soon."""
        now = time.time()
        size = sum(map(len, texts.values())) * 3
        with self._changed:
            if self._bytes + size > self._settings.max_waiting_mib * (1 << 20):
                self._overflow += len(texts)
                return
            self._bytes += size
            self._texts += [RawText(tenant, customer, request, name, text, now) for name, text in texts.items()]
            self._changed.notify()

    def _start(self) -> None:
        master = load_or_make_master(self._settings.key_file or self._state / KEY_FILE, VARIABLE)
        self._file = VaultFile(self._state / FILE_NAME, master)
        self._file.create()
        self._thread.start()

    def _run(self) -> None:
        assert self._file is not None
        expire_at = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts or self._closing, max(0.0, expire_at - time.monotonic()))
                texts, self._texts, self._bytes = self._texts, [], 0
                overflow, self._overflow = self._overflow, 0
                closing = self._closing
            if overflow:
                self._fail(overflow, "too many texts wait for the disk")
            if texts:
                self._put(self._file, texts)
            if time.monotonic() >= expire_at:
                self._expire(self._file)
                expire_at = time.monotonic() + _EXPIRE_EVERY_S
            if closing and not texts:
                return

    def _put(self, file: VaultFile, texts: list[RawText]) -> None:
        try:
            file.put(texts)
        except (sqlite3.Error, ServeError) as error:
            self._fail(len(texts), str(error))
        else:
            self.stored += len(texts)

    def _expire(self, file: VaultFile) -> None:
        try:
            gone = file.expire(seconds_ago(self._settings.retention_days))
        except sqlite3.Error as error:
            _log.error("old texts are not removed from the vault: %s", error)
            return
        if gone:
            self._note("vault_expired", {"texts": gone})

    def _fail(self, texts: int, reason: str) -> None:
        self.failed += texts
        _log.error("%d texts are not in the vault: %s", texts, reason)
        self._note("vault_failed", {"texts": texts, "reason": reason})
