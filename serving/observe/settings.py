"""What is watched, and where it goes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tianjing.config import StrictModel


class ObserveSettings(StrictModel):
    """The `observe` section of an endpoint. Metrics are always there, at GET /metrics."""

    log_format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line for a collector. Personal data is masked in both."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages that are written; `info` has one line for each request."""

    traces_endpoint: str | None = Field(default=None, pattern=r"^https?://")
    """URL of an OpenTelemetry collector that takes OTLP over HTTP, e.g. http://127.0.0.1:4318/v1/traces; none sends
    nothing. Needs the extra `otel`."""

    trace_share: float = Field(default=1.0, ge=0, le=1)
    """Share of requests traced that bring no trace of their own; the decision of one that does is kept."""
