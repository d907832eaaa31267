"""Settings of the engines behind the gateway."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from serving.errors import ServeError
from serving.upstreams.address import parse_address
from tianjing.config import StrictModel


class UpstreamSettings(StrictModel):
    """One engine."""

    url: str
    """`http://host:port`, `https://host:port` or `unix:/path/of/socket`; a trailing `/v1` may stand or not."""

    name: str = ""
    """Name in metrics, logs and the audit; "" takes the address."""

    group: str = Field(default="default", min_length=1)
    """Engines of one group serve the same weights and stand in for one another."""

    weight: float = Field(default=1.0, gt=0)
    """Share of the requests beside the other engines of the group: 2 for a machine twice as fast."""

    key_env: str | None = None
    """Environment variable that holds the engine's secret."""

    key_file: Path | None = None
    """File that holds the engine's secret, as Kubernetes and systemd mount them."""

    ca_file: Path | None = None
    """Certificates (PEM) to verify an https engine against; without it the system's."""

    health_path: str = Field(default="/health", pattern=r"^/[A-Za-z0-9_./-]*$")
    """Path that answers 200 while requests may come. vllm-router's is /readiness: its /health fails as soon as one of
    the engines behind it does."""

    max_connections: int = Field(default=4096, ge=1)
    """Requests in progress at this engine; over it, another engine or 503. A stream takes one connection (and one file
    descriptor) as long as it lasts."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parse_address(url)
        return url

    @model_validator(mode="after")
    def _one_key(self) -> UpstreamSettings:
        if self.key_env and self.key_file:
            raise ValueError("give the engine's secret by key_env or by key_file, not by both")
        return self

    @property
    def label(self) -> str:
        """The name, or the address where none is given."""
        return self.name or self.url

    def secret(self) -> str:
        """The engine's secret, "" where none is configured.

        Raises:
            ServeError: the variable or the file is missing or empty.
        """
        if self.key_env:
            secret, where = os.environ.get(self.key_env, ""), f"the environment variable {self.key_env}"
        elif self.key_file:
            where = str(self.key_file)
            try:
                secret = self.key_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                secret = ""
        else:
            return ""
        if not secret or not secret.isascii() or not secret.isprintable():
            raise ServeError(
                f"upstream {self.label}: no usable secret in {where}", "set it to the key that the engine was given"
            )
        return secret


class PoolSettings(StrictModel):
    """How engines are reached and watched."""

    connect_timeout_s: float = Field(default=5, gt=0)
    """Seconds to open a connection; after that another engine is tried."""

    keep_alive_s: float = Field(default=4, gt=0)
    """Seconds that an idle connection is kept; less than the engine's own 5, so that the engine never closes one just
    as a request is sent on it."""

    health_interval_s: float = Field(default=1, gt=0)
    """Seconds between two health checks of an engine."""

    health_timeout_s: float = Field(default=5, gt=0)
    """Seconds after which a health check has failed; a busy engine answers late, a dead one not at all."""

    rise: int = Field(default=2, ge=1)
    """Health checks in a row that an engine must pass to come back."""

    fall: int = Field(default=3, ge=1)
    """Health checks in a row that an engine must fail to be taken out."""

    eject_after: int = Field(default=5, ge=1)
    """Requests in a row that fail at an engine (not reached, broken off, silent) before it is left alone for a while;
    the last engine of a group is never ejected, health checks alone take it out."""

    eject_s: float = Field(default=5, gt=0)
    """Seconds of the first ejection, doubled with each in a row; then one request at a time tries."""

    eject_most_s: float = Field(default=60, gt=0)
    """Seconds of the longest ejection."""

    max_answer_bytes: int = Field(default=16 << 20, ge=1024)
    """Largest whole answer that is read from an engine; streams pass through and are not kept."""
