"""Ed25519 key pairs: the private key signs releases, the public key says whose releases are trusted."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tianjing.files import require_above
from tianjing.lineage.errors import LineageError


def default_key_path() -> Path:
    """This user's own release key, `keys/release.pem` in the cache folder."""
    from tianjing.models import cache_dir  # here, because models writes its cache through this package

    return cache_dir() / "keys" / "release.pem"


def public_path(private: Path) -> Path:
    """Where the public half of a private key stands: `release.pem` and `release.pub`."""
    return private.with_suffix(".pub") if private.suffix == ".pem" else private.with_name(private.name + ".pub")


def keygen(path: Path) -> Path:
    """Write a new private key (PEM, readable by its owner only) and its public key; returns the public key's path.

    Raises:
        LineageError: either file exists (a lost private key cannot be had back), or cannot be written.
    """
    path = Path(path)
    public = public_path(path)
    for existing in (path, public):
        if existing.exists():
            raise LineageError(f"{existing}: exists and is not overwritten", "give another path, or move it away first")
    require_above(path)
    key = Ed25519PrivateKey.generate()
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, private_pem, 0o600)
        _create(public, public_pem, 0o644)
    except FileExistsError:
        raise LineageError(f"{path}: another process has just written it", "use that key, or another path") from None
    except OSError as error:
        raise LineageError(f"{path}: cannot be written: {error}", "give a path you may write to") from None
    return public


def load_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        LineageError: missing, unreadable, or not an Ed25519 private key.
    """
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    except OSError as error:
        raise LineageError(
            f"{path}: the private key cannot be read: {error.strerror}", f"make one: tianjing lineage keygen {path}"
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise LineageError(f"{path}: not a private key in PEM form: {error}", "give the .pem of a key pair") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LineageError(f"{path}: not an Ed25519 key", "make one: tianjing lineage keygen PATH")
    return key


def load_or_create_default() -> Ed25519PrivateKey:
    """This user's own release key, made on first use; of two processes that make it at once, one wins."""
    path = default_key_path()
    if not path.exists():
        # A public key without its private half is what a kill between the two leaves; it has signed nothing.
        public_path(path).unlink(missing_ok=True)
        try:
            keygen(path)
        except LineageError:
            if not path.exists():
                raise
    return load_private(path)


def public_hex(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """The raw public key as 64 hex digits, the form it has in a release."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes_raw().hex()


def trusted_keys(source: Path | None) -> dict[str, Path]:
    """Public keys that may sign, by hex: one `.pub` file, every `.pub` of a folder, or this user's own by default.

    Raises:
        LineageError: `source` is missing, holds no key, or a file in it is not an Ed25519 public key.
    """
    if source is None:
        private = default_key_path()
        return {public_hex(load_private(private)): private} if private.exists() else {}
    source = Path(source)
    files = sorted(source.glob("*.pub")) if source.is_dir() else [source]
    if not files:
        raise LineageError(f"{source}: holds no public key (*.pub)", "put the signer's .pub file there")
    return {public_hex(_load_public(file)): file for file in files}


def _load_public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise LineageError(
            f"{path}: the public key cannot be read: {error.strerror}", "give the signer's .pub file"
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LineageError(f"{path}: not a public key in PEM form: {error}", "give the signer's .pub file") from None
    if not isinstance(key, Ed25519PublicKey):
        raise LineageError(f"{path}: not an Ed25519 public key", "give the signer's .pub file")
    return key


def _create(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet; it appears under its name complete, with its mode."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
