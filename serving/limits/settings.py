"""Settings of how much callers may use, and of how much is let in at all."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tianjing.config import StrictModel


class LimitSettings(StrictModel):
    """The `limits` section of ServeConfig."""

    redis: str | None = None
    """Redis that several gateways count in: redis://HOST:PORT/DB, rediss:// (TLS) or unix:///PATH. None counts in this
    process: right for one gateway, and a budget begins anew when it restarts."""

    redis_password_file: Path | None = None
    """File with the password of Redis, so that it stands in no configuration."""

    redis_prefix: str = Field(default="tianjing", pattern=r"^[A-Za-z0-9:_-]{1,64}$")
    """What the names of all keys in Redis begin with; gateways that share quotas share it."""

    redis_timeout_s: float = Field(default=0.5, gt=0, le=10)
    """Seconds until Redis is taken for gone and the request is refused with 503. A count takes well under 1 ms; half a
    second outlasts a fork for saving."""

    lease_s: float = Field(default=30, ge=1, le=3600)
    """Seconds after which the places of a killed gateway are free again. Running ones renew theirs three times as
    often."""

    max_in_progress: int = Field(default=64, ge=1)
    """Requests this gateway answers at the same time, over all tenants. Four times the engine's default `max_num_seqs`:
    the engine always has the next one at hand, and none waits long inside it."""

    max_waiting: int = Field(default=256, ge=0)
    """Requests that wait for their turn; past that the tenant with the most waiting gets 503 at once."""

    max_wait_s: float = Field(default=10, gt=0)
    """Seconds a request waits for its turn before it gets 503: an answer later than that helps nobody who is still
    looking at the screen."""
