"""Prometheus metrics. Labels come from configuration, never from what a caller wrote, so their number is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from serving.edge.routing import Doc, Door
from serving.identity.principal import Principal
from serving.observe.base import Watched

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FIRST_TEXT_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30.0)
_REQUEST_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 300.0)
# Reasons are ids of rules, entity kinds and signals; past this many different ones the rest count as "other".
MAX_REASONS: Final = 500
OTHER: Final = "other"

# name -> value, or label value -> value, asked when the metrics are read
Reading = Callable[[], float | Mapping[str, float]]


class Metrics:
    """Counts what the gateway tells it, and asks the other parts for their state when it is read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reasons: set[str] = set()
        self._readings = _Readings()
        self.registry.register(self._readings)
        by_weights = ("model", "adapter", "arm")
        self._requests = Counter(
            "tianjing_requests",
            "Requests that a known caller made, by how they ended.",
            (*by_weights, "tenant", "verdict", "status"),
            registry=self.registry,
        )
        self._responses = Counter(
            "tianjing_http_responses", "Responses by route and status.", ("route", "status"), registry=self.registry
        )
        self._progress = Gauge(
            "tianjing_requests_in_progress", "Requests being answered.", ("tenant",), registry=self.registry
        )
        self._seconds = Histogram(
            "tianjing_request_seconds",
            "From the request to the end of its answer.",
            by_weights,
            buckets=_REQUEST_S,
            registry=self.registry,
        )
        self._first = Histogram(
            "tianjing_first_text_seconds",
            "From the request to the first released text of a stream.",
            by_weights,
            buckets=_FIRST_TEXT_S,
            registry=self.registry,
        )
        self._tokens = Counter(
            "tianjing_tokens", "Tokens by use.", (*by_weights, "tenant", "kind"), registry=self.registry
        )
        self._guard = Counter(
            "tianjing_guard_reasons",
            "Requests by what the guard or the desk found in them.",
            ("adapter", "verdict", "reason"),
            registry=self.registry,
        )

    def began(self, seen: Watched) -> None:
        self._progress.labels(seen.tenant).inc()

    def ended(self, seen: Watched) -> None:
        """Count a request that is over."""
        self._progress.labels(seen.tenant).dec()
        weights = _weights(seen)
        self._requests.labels(*weights, seen.tenant, seen.outcome, str(seen.status)).inc()
        if seen.ended is not None and seen.status == 200:
            self._seconds.labels(*weights).observe(seen.ended - seen.began)
        if seen.stream and seen.first is not None:
            self._first.labels(*weights).observe(seen.first - seen.began)
        if seen.prompt_tokens or seen.completion_tokens:
            self._tokens.labels(*weights, seen.tenant, "prompt").inc(seen.prompt_tokens)
            self._tokens.labels(*weights, seen.tenant, "completion").inc(seen.completion_tokens)
        for reason in seen.reasons:
            self._guard.labels(weights[1], seen.outcome, self._bounded(reason)).inc()

    def response(self, route: str, status: int) -> None:
        """Count a response; `route` is the pattern of the route, or "unknown"."""
        self._responses.labels(route, str(status)).inc()

    def read(self, name: str, help_text: str, reading: Reading, label: str = "") -> None:
        """Ask another part for a value whenever the metrics are read.

        Args:
            reading: gives a number, or numbers by the value of `label`.
        """
        self._readings.add(name, help_text, reading, label)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _bounded(self, reason: str) -> str:
        if reason in self._reasons:
            return reason
        if len(self._reasons) >= MAX_REASONS:
            return OTHER
        self._reasons.add(reason)
        return reason


class _Readings(Collector):
    def __init__(self) -> None:
        self._entries: list[tuple[str, str, Reading, str]] = []

    def add(self, name: str, help_text: str, reading: Reading, label: str) -> None:
        self._entries.append((name, help_text, reading, label))

    def collect(self) -> Iterable[Metric]:
        for name, help_text, reading, label in self._entries:
            family = GaugeMetricFamily(name, help_text, labels=[label] if label else [])
            value = reading()
            for key, number in value.items() if isinstance(value, Mapping) else [("", value)]:
                family.add_metric([key] if label else [], number)
            yield family


def _weights(seen: Watched) -> tuple[str, str, str]:
    """Names of the registry; a model that nobody serves is "none", whatever the caller called it."""
    if seen.target is None:
        return "none", "none", "none"
    return seen.model, seen.target.model, seen.target.arm


def doors(metrics: Metrics) -> tuple[Door, ...]:
    """GET /metrics."""

    async def shown(request: Request, caller: Principal) -> ASGIApp:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    doc = Doc("Metrics in Prometheus' format.", answers={200: {"text/plain": {"type": "string"}}})
    return (Door("GET", "/metrics", "watch", shown, doc),)
