"""A seeded order of rows that does not depend on what else is there."""

from __future__ import annotations

import hashlib


def order_key(seed: int, value: str) -> str:
    """A shuffle that does not depend on what else is there."""
    return hashlib.sha256(f"{seed}:{value}".encode()).hexdigest()
