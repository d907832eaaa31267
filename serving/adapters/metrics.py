"""The registry as Prometheus metrics: what is loaded, shared out, counted and expired."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.adapters.registry import Registry


class AdapterCollector(Collector):
    """Register it once with the gateway's own CollectorRegistry."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        registry, state = self._registry, self._registry.state
        by_version = ["model", "version"]
        share = GaugeMetricFamily(
            "tianjing_adapter_share", "Share of the customers that a version has, 0 to 1.", labels=by_version
        )
        ends = GaugeMetricFamily(
            "tianjing_adapter_release_expires_seconds",
            "When the release of a version in use ends, in seconds since 1970.",
            labels=by_version,
        )
        served = GaugeMetricFamily(
            "tianjing_adapter_served", "1 while new requests may get a version in use, else 0.", labels=by_version
        )
        for name, model in state.models.items():
            canary = model.canary
            shares = {model.stable: 1.0}
            if canary is not None:
                shares = {model.stable: 1.0 - canary.share, canary.version: canary.share}
            for version, part in shares.items():
                if version is None:
                    continue
                weights = model.versions[version]
                share.add_metric([name, version], part)
                served.add_metric([name, version], float(weights.served_at(registry.now())))
                if weights.expires is not None:
                    ends.add_metric([name, version], weights.expires)
        yield from (share, ends, served, self._loads(), self._canaries(), self._refused())

    def _loads(self) -> Metric:
        loads = GaugeMetricFamily(
            "tianjing_adapter_loads", "Loads of weights in the engines.", labels=["model", "version", "status"]
        )
        for place in self._registry.state.placements.values():
            loads.add_metric([place.model, place.version, place.status], 1)
        return loads

    def _canaries(self) -> Metric:
        counted = GaugeMetricFamily(
            "tianjing_adapter_canary_requests",
            "Requests counted for the running canary by all gateways.",
            labels=["model", "rate", "arm", "bad"],
        )
        for name, model in self._registry.state.models.items():
            evidence = self._registry.router.evidence.get(model.canary.id) if model.canary is not None else None
            for rate in evidence.counts if evidence is not None else ():
                assert evidence is not None
                total = evidence.total(rate)
                for arm, all_of, bad in (
                    ("stable", total.stable, total.stable_bad),
                    ("canary", total.canary, total.canary_bad),
                ):
                    counted.add_metric([name, rate, arm, "no"], all_of - bad)
                    counted.add_metric([name, rate, arm, "yes"], bad)
        return counted

    def _refused(self) -> Metric:
        refused = CounterMetricFamily(
            "tianjing_adapter_expired_requests",
            "Requests that did not get a version because its release has expired.",
            labels=["model", "version"],
        )
        for (name, version), count in self._registry.router.refused.items():
            refused.add_metric([name, version], count)
        return refused
