"""Keyed digests of keys and tenants, and the one answer to every key that does not count."""

from __future__ import annotations

import hashlib
import hmac

from serving.errors import ApiError


def bearer(authorization: str | None) -> str:
    """The key in an Authorization header; "" when there is none."""
    scheme, _, given = (authorization or "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def key_digest(pepper: bytes, key: str) -> str:
    """HMAC-SHA256 of a key, 64 hex digits. Keys hold 256 random bits, so that no slow hash is needed."""
    return hmac.new(pepper, b"key\0" + key.encode("utf-8", errors="surrogateescape"), hashlib.sha256).hexdigest()


def cache_salt(pepper: bytes, tenant: str) -> str:
    """The engine's `cache_salt` of a tenant, 64 hex digits; nobody tells the tenant from it without the pepper."""
    return hmac.new(pepper, b"cache_salt\0" + tenant.encode(), hashlib.sha256).hexdigest()


def unknown_key() -> ApiError:
    """The same for a missing, wrong, expired and revoked key."""
    return ApiError(401, "missing or wrong API key: send Authorization: Bearer KEY", code="invalid_api_key")
