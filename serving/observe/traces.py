"""OpenTelemetry traces from the caller through the gateway to the engine, without any text.

Attributes follow the semantic conventions for generative AI (`gen_ai.*`); what they do not name is `tianjing.*`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from serving.errors import ServeError
from serving.observe.base import Watched
from serving.observe.settings import ObserveSettings

SERVICE: Final = "tianjing-gateway"
# W3C Trace Context, version 00: what does not look like this is not passed on.
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Untraced:
    """Sends no spans; a caller's well-formed trace context still reaches the engine."""

    def began(self, seen: Watched) -> None:
        if not _TRACEPARENT.fullmatch(seen.traceparent):
            seen.traceparent = ""

    def ended(self, seen: Watched) -> None:
        pass

    def shut_down(self) -> None:
        pass


class Traces:
    """A server span for each request; its context goes to the engine, whose spans become children.

    Raises:
        ServeError: OpenTelemetry is not installed.
    """

    def __init__(self, settings: ObserveSettings, exporter: Any = None):
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise ServeError("OpenTelemetry is not installed", "install this project's extra 'otel'") from None
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": SERVICE}),
            sampler=ParentBased(TraceIdRatioBased(settings.trace_share)),
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter or _otlp(settings)))
        self._tracer = self._provider.get_tracer(SERVICE)
        self._context = TraceContextTextMapPropagator()

    def began(self, seen: Watched) -> None:
        """Open the span; a context that is not well-formed begins a new trace."""
        from opentelemetry import trace

        parent = {"traceparent": seen.traceparent} if _TRACEPARENT.fullmatch(seen.traceparent) else {}
        span = self._tracer.start_span(
            seen.path,
            context=self._context.extract(parent),
            kind=trace.SpanKind.SERVER,
            attributes={"tianjing.request": seen.request, "tianjing.tenant": seen.tenant},
        )
        carrier: dict[str, str] = {}
        self._context.inject(carrier, trace.set_span_in_context(span))
        seen.span, seen.traceparent = span, carrier.get("traceparent", "")

    def ended(self, seen: Watched) -> None:
        """Close the span."""
        from opentelemetry.trace import Status, StatusCode

        span: Any = seen.span
        if seen.target is not None:
            span.set_attribute("gen_ai.request.model", seen.model)
            span.set_attribute("gen_ai.response.model", seen.target.model)
            span.set_attribute("tianjing.arm", seen.target.arm)
            span.set_attribute("tianjing.release", seen.target.release)
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": seen.prompt_tokens,
                "gen_ai.usage.output_tokens": seen.completion_tokens,
                "http.response.status_code": seen.status,
                "tianjing.verdict": seen.outcome,
                "tianjing.reasons": list(seen.reasons),
                "tianjing.upstream": seen.upstream,
            }
        )
        if seen.first is not None:
            span.set_attribute("tianjing.first_text_ms", round((seen.first - seen.began) * 1000, 2))
        if seen.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def shut_down(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _otlp(settings: ObserveSettings) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=settings.traces_endpoint)
