"""All who watch a request, as one observer."""

from __future__ import annotations

from serving.observe.base import Watched
from serving.observe.logs import RequestLog
from serving.observe.metrics import Metrics
from serving.observe.settings import ObserveSettings
from serving.observe.traces import Traces, Untraced


class Watch:
    """Metrics, traces and the request log."""

    def __init__(self, settings: ObserveSettings):
        self.metrics = Metrics()
        self._traces: Traces | Untraced = Traces(settings) if settings.traces_endpoint else Untraced()
        self._log = RequestLog()

    def began(self, seen: Watched) -> None:
        self.metrics.began(seen)
        self._traces.began(seen)

    def ended(self, seen: Watched) -> None:
        self.metrics.ended(seen)
        self._traces.ended(seen)
        self._log.ended(seen)

    def shut_down(self) -> None:
        """Send the spans that are left."""
        self._traces.shut_down()
