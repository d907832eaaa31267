"""Settings of who may call."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tianjing.config import StrictModel


class IdentitySettings(StrictModel):
    """The `identity` section of ServeConfig."""

    keyring: Path | None = None
    """File of API keys (JSON Lines, made by `tianjing serve keys new`), read again whenever it changes. None: the one
    key of TIANJING_API_KEY, or of the first start, is the only one."""

    pepper: Path | None = None
    """File of the secret that the keys' digests are made with. None: beside the keyring, with the suffix `.pepper`;
    elsewhere, one stolen file is not enough to try keys against."""

    wrong_keys: int = Field(default=20, ge=1)
    """Wrong keys from one address within `wrong_keys_window_s` after which it is refused with 429. A client with an
    old key makes some; 256-bit keys are not found by trying, so this keeps the log and the processor quiet."""

    wrong_keys_window_s: float = Field(default=60, gt=0)
    """Seconds in which wrong keys are counted together, and for which an address is then refused."""

    remembered_addresses: int = Field(default=10_000, ge=1)
    """Addresses whose wrong keys are remembered, about 200 bytes each; past that the oldest is forgotten."""
