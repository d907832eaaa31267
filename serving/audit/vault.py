"""Raw texts, encrypted, under a key for each customer; destroying that key makes the texts unreadable.

Everything is AES-256-GCM. A customer's data key is random and stored wrapped by the master key; every text is bound to
tenant, customer, request and name, so that it cannot be passed off as another's. Customer ids are stored as keyed
digests. The log of requests holds no text, so forgetting a customer leaves it as it is.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED
from tianjing.files import canonical_json

FILE_NAME = "vault.sqlite"
_NONCE_BYTES = 12
_BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, customer)
);
CREATE TABLE IF NOT EXISTS texts (
    request TEXT NOT NULL,
    tenant TEXT NOT NULL,
    customer TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS texts_request ON texts (request);
CREATE INDEX IF NOT EXISTS texts_customer ON texts (tenant, customer);
CREATE INDEX IF NOT EXISTS texts_at ON texts (at);
"""


@dataclass(frozen=True)
class RawText:
    """One text as it was said; `name` is "prompt.0" or "answer.0" and so on, `at` seconds since 1970."""

    tenant: str
    customer: str
    request: str
    name: str
    text: str
    at: float


@dataclass(frozen=True)
class Revealed:
    """One text, decrypted; `customer` is the digest that the vault knows the customer by."""

    tenant: str
    customer: str
    name: str
    at: float
    text: str


class VaultFile:
    """One SQLite file; every call opens it anew, so it may be used from any thread and by several processes.

    Args:
        master: 32 bytes that every customer's key is wrapped by.
    """

    def __init__(self, path: Path, master: bytes):
        self.path = Path(path)
        self._master = AESGCM(master)
        self._index = hmac.digest(master, b"tianjing vault customers", "sha256")

    def create(self) -> None:
        """Make the file, readable by its owner only, if there is none.

        Raises:
            ServeError: it cannot be made or opened.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._open() as database:
                database.execute("PRAGMA journal_mode=WAL")
                database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ServeError(
                f"{self.path}: the vault cannot be opened: {error}",
                "give a folder this process may write to",
                exit_code=EXIT_STAGE_FAILED,
            ) from None

    def put(self, texts: Sequence[RawText]) -> None:
        """Encrypt and store texts, all or none.

        Raises:
            sqlite3.Error: they are not stored.
            ServeError: a customer's key was wrapped by another master key.
        """
        with self._open() as database:
            # Keys are looked up each time: one that was destroyed in the meantime must not be written under again.
            database.execute("BEGIN IMMEDIATE")
            keys: dict[tuple[str, str], AESGCM] = {}
            for text in texts:
                owner = (text.tenant, self.customer_digest(text.tenant, text.customer))
                if owner not in keys:
                    keys[owner] = self._key(database, owner) or self._new_key(database, owner)
                bound = _bound(*owner, text.request, text.name)
                sealed = _seal(keys[owner], text.text.encode("utf-8", errors="surrogatepass"), bound)
                row = (text.request, *owner, text.name, text.at, sealed)
                database.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?)", row)

    def reveal(self, request: str) -> list[Revealed]:
        """The texts of a request, oldest first; none when they were never kept, have expired or were forgotten.

        Raises:
            ServeError: a text does not decrypt: it was altered, or the master key is another one.
        """
        with self._open() as database:
            query = "SELECT tenant, customer, name, at, sealed FROM texts WHERE request = ? ORDER BY at, rowid"
            found = []
            for tenant, customer, name, at, sealed in database.execute(query, (request,)).fetchall():
                key = self._key(database, (tenant, customer))
                if key is None:
                    continue
                try:
                    text = _unseal(key, sealed, _bound(tenant, customer, request, name))
                except InvalidTag:
                    raise self._unreadable(f"text '{name}' of request {request} was altered") from None
                found.append(Revealed(tenant, customer, name, at, text.decode("utf-8", errors="surrogatepass")))
            return found

    def forget(self, tenant: str, customer: str) -> int | None:
        """Destroy a customer's key and texts; the number of texts, None when the vault does not know the customer."""
        owner = (tenant, self.customer_digest(tenant, customer))
        with self._open() as database:
            known = database.execute("DELETE FROM customers WHERE tenant = ? AND customer = ?", owner).rowcount
            texts = database.execute("DELETE FROM texts WHERE tenant = ? AND customer = ?", owner).rowcount
        self._scrub()
        return texts if known else None

    def expire(self, before: float) -> int:
        """Delete texts from before a time, and keys that no text is under any more; the number of texts."""
        with self._open() as database:
            gone = database.execute("DELETE FROM texts WHERE at < ?", (before,)).rowcount
            database.execute(
                "DELETE FROM customers WHERE NOT EXISTS (SELECT 1 FROM texts WHERE texts.tenant = customers.tenant"
                " AND texts.customer = customers.customer)"
            )
        if gone:
            self._scrub()
        return gone

    def customer_digest(self, tenant: str, customer: str) -> str:
        """What the vault knows a customer by."""
        return hmac.digest(self._index, _bound(tenant, customer), "sha256").hex()

    def _scrub(self) -> None:
        """Empty the write-ahead log too, where a destroyed key would still stand."""
        with self._open() as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _key(self, database: sqlite3.Connection, owner: tuple[str, str]) -> AESGCM | None:
        query = "SELECT wrapped FROM customers WHERE tenant = ? AND customer = ?"
        row = database.execute(query, owner).fetchone()
        if row is None:
            return None
        try:
            return AESGCM(_unseal(self._master, row[0], _bound(*owner)))
        except InvalidTag:
            raise self._unreadable("its keys are wrapped by another master key") from None

    def _new_key(self, database: sqlite3.Connection, owner: tuple[str, str]) -> AESGCM:
        key = AESGCM.generate_key(256)
        wrapped = _seal(self._master, key, _bound(*owner))
        database.execute("INSERT INTO customers VALUES (?, ?, ?)", (*owner, wrapped))
        return AESGCM(key)

    def _unreadable(self, reason: str) -> ServeError:
        return ServeError(f"{self.path}: {reason}", "give the master key that the vault was made with")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_S)) as database, database:
            database.execute("PRAGMA secure_delete=ON")
            yield database


def seconds_ago(days: float) -> float:
    """The time `days` before now, in seconds since 1970."""
    return time.time() - days * 86_400


def _seal(key: AESGCM, text: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, text, bound)


def _unseal(key: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)


def _bound(*names: str) -> bytes:
    return canonical_json(names).encode("utf-8", errors="surrogatepass")
