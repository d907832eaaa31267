"""Signed statements about a chain: "record SEQ of INSTANCE has hash HASH", and "these segments were removed"."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tianjing.files import canonical_json
from tianjing.lineage.keys import public_hex

CHECKPOINT_KIND = "tianjing audit checkpoint 1"
REMOVED_KIND = "tianjing audit removed 1"


class SignatureError(Exception):
    """A statement that its signer did not make, or a signer nobody trusts."""


def sign(kind: str, fields: Mapping[str, Any], signer: Ed25519PrivateKey) -> dict[str, Any]:
    """`fields` with kind, public key and signature; the signature covers the canonical JSON of all the others."""
    statement = {**fields, "statement": kind, "public_key": public_hex(signer)}
    return {**statement, "signature": signer.sign(canonical_json(statement).encode()).hex()}


def checked(statement: Mapping[str, Any], kind: str, trusted: Collection[str] | None) -> None:
    """Check a statement.

    Args:
        trusted: public keys that may sign, as hexadecimal digits; None accepts any, which is enough only where the
            statement is authenticated otherwise.

    Raises:
        SignatureError: the signature is wrong, the signer is not trusted, or it states something else.
    """
    unsigned = {name: value for name, value in statement.items() if name != "signature"}
    if statement.get("statement") != kind:
        raise SignatureError(f"not a '{kind}'")
    signer = statement.get("public_key")
    if trusted is not None and signer not in trusted:
        raise SignatureError("signed with a key that is not trusted")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(str(signer)))
        key.verify(bytes.fromhex(str(statement.get("signature"))), canonical_json(unsigned).encode())
    except (ValueError, InvalidSignature):
        raise SignatureError("the signature is wrong") from None
