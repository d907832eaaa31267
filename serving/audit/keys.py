"""The keys of the account: a ring of symmetric keys for records, and an Ed25519 key for checkpoints."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.errors import ServeError
from tianjing.errors import EXIT_STAGE_FAILED
from tianjing.lineage.keys import keygen, load_private

KEY_BYTES = 32


@dataclass(frozen=True)
class KeyRing:
    """Keys by id, the newest last: records are written with that one, older ones still check what they wrote."""

    keys: dict[str, bytes]

    @property
    def current(self) -> str:
        """Id of the key that is written with."""
        return next(reversed(self.keys))

    def secret(self, key_id: str) -> bytes:
        return self.keys[key_id]


def key_id(key: bytes) -> str:
    """What names a key without giving it away: 16 hexadecimal digits."""
    return hashlib.sha256(b"tianjing audit key " + key).hexdigest()[:16]


def load_ring(path: Path) -> KeyRing:
    """Read a key file: 64 hexadecimal digits a line, the newest key last.

    Raises:
        ServeError: missing, readable by others, or not a key file.
    """
    text = _read_secret(path)
    try:
        keys = [bytes.fromhex(line) for line in text.split()]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise ServeError(f"{path}: not a key file", "it holds 64 hexadecimal digits on each line; restore it")
    return KeyRing({key_id(key): key for key in keys})


def load_or_make_ring(path: Path) -> KeyRing:
    """The ring of a key file, made with one key if there is none.

    Raises:
        ServeError: as `load_ring`; it cannot be written.
    """
    if not path.exists():
        _write_secret(path, secrets.token_hex(KEY_BYTES) + "\n")
    return load_ring(path)


def add_key(path: Path) -> str:
    """Add a key to the ring of a key file and return its id; a running gateway takes it at its next checkpoint."""
    ring = load_ring(path)
    fresh = secrets.token_bytes(KEY_BYTES)
    _write_secret(path, "".join(f"{key.hex()}\n" for key in (*ring.keys.values(), fresh)))
    return key_id(fresh)


def load_or_make_signer(path: Path) -> Ed25519PrivateKey:
    """The key that signs checkpoints, made with its `.pub` if there is none.

    Raises:
        LineageError: it cannot be read or written.
    """
    if not path.exists():
        keygen(path)
    return load_private(path)


def load_master(path: Path, variable: str) -> bytes:
    """A vault's master key: from the variable, else from the file.

    Raises:
        ServeError: neither holds a key.
    """
    given = os.environ.get(variable)
    if given is None:
        ring = load_ring(path)
        return ring.secret(ring.current)
    try:
        key = bytes.fromhex(given.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ServeError(f"{variable}: not a key of 64 hexadecimal digits", "make one: openssl rand -hex 32")
    return key


def load_or_make_master(path: Path, variable: str) -> bytes:
    """As `load_master`; without the variable a missing file is made."""
    if variable not in os.environ:
        load_or_make_ring(path)
    return load_master(path, variable)


def _read_secret(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ServeError(
            f"{path}: the key file cannot be read: {error.strerror}", "give its path, or restore it"
        ) from None
    if mode & 0o077:
        raise ServeError(f"{path}: others may read this key (mode {mode:o})", f"chmod 600 {path}")
    return text


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ServeError(
            f"{path}: the key file cannot be written: {error.strerror}",
            "give a folder you may write to",
            exit_code=EXIT_STAGE_FAILED,
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
