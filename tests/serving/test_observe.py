"""What operators see of requests: numbers that add up, traces that reach the engine, logs without personal data."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from serving.adapters.base import Target
from serving.observe import metrics as metrics_module
from serving.observe.base import Watched
from serving.observe.logs import RequestLog, set_up
from serving.observe.metrics import Metrics
from serving.observe.metrics import doors as metrics_doors
from serving.observe.settings import ObserveSettings
from serving.observe.traces import Traces, Untraced
from serving.observe.watch import Watch
from tests.serving.conftest import KEY, Served

MOBILE = "13812345678"
DEPLOY = Path(__file__).parents[2] / "deploy"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seen(**more: Any) -> Watched:
    began = time.perf_counter()
    row = Watched("r1", "bank", "/v1/chat/completions", began, "tianjing", Target("tj-v2", arm="canary"))
    row.status, row.outcome, row.stream = 200, "mask", True
    row.first, row.ended = began + 0.1, began + 0.7
    row.prompt_tokens, row.completion_tokens, row.reasons = 30, 20, ("pii_input",)
    for name, value in more.items():
        setattr(row, name, value)
    return row


def values(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def total(metrics: Metrics, name: str, **labels: str) -> float:
    return sum(
        value
        for (sample, pairs), value in values(metrics).items()
        if sample == name and labels.items() <= dict(pairs).items()
    )


def watched(metrics: Metrics, row: Watched) -> None:
    metrics.began(row)
    metrics.ended(row)


def test_requests_are_counted_by_model_adapter_tenant_and_verdict() -> None:
    metrics = Metrics()
    watched(metrics, seen())
    watched(metrics, seen(outcome="handoff", reasons=("complaint",), tenant="shop", stream=False))
    assert total(metrics, "tianjing_requests_total", adapter="tj-v2", arm="canary", tenant="bank", verdict="mask") == 1
    assert total(metrics, "tianjing_requests_total", verdict="handoff", tenant="shop") == 1
    assert total(metrics, "tianjing_tokens_total", kind="prompt") == 60
    assert total(metrics, "tianjing_first_text_seconds_count") == 1
    assert total(metrics, "tianjing_request_seconds_count") == 2
    assert total(metrics, "tianjing_guard_reasons_total", reason="complaint") == 1
    assert total(metrics, "tianjing_requests_in_progress") == 0


def test_a_model_that_nobody_serves_makes_no_label() -> None:
    metrics = Metrics()
    watched(metrics, seen(model="../outside", target=None, status=404, outcome="refused"))
    assert "outside" not in metrics.text().decode()
    assert total(metrics, "tianjing_requests_total", model="none", status="404") == 1


def test_the_number_of_reasons_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MAX_REASONS", 3)
    metrics = Metrics()
    for number in range(10):
        watched(metrics, seen(reasons=(f"rule:{number}",)))
    assert total(metrics, "tianjing_guard_reasons_total", reason="other") == 7


def test_other_parts_are_asked_when_the_metrics_are_read() -> None:
    metrics, up = Metrics(), {"engine-0": 1.0}
    metrics.read("tianjing_upstream_up", "Whether an engine answers.", lambda: up, "upstream")
    metrics.read("tianjing_audit_pending", "Records waiting.", lambda: 7)
    up["engine-1"] = 0.0
    assert total(metrics, "tianjing_upstream_up", upstream="engine-1") == 0
    assert len([name for name, _ in values(metrics) if name == "tianjing_upstream_up"]) == 2
    assert total(metrics, "tianjing_audit_pending") == 7


def test_the_gateway_counts_what_it_answers(start: Any) -> None:
    watch = Watch(ObserveSettings())
    served: Served = start(observer=watch)
    served.ask(f"我的手机是{MOBILE}")
    served.stream("你好")
    served.ask("我要投诉你们")
    assert total(watch.metrics, "tianjing_requests_total", verdict="mask", status="200") == 1
    assert total(watch.metrics, "tianjing_requests_total", verdict="allow") == 1
    assert total(watch.metrics, "tianjing_requests_total", verdict="handoff") == 1
    assert total(watch.metrics, "tianjing_tokens_total", kind="completion") == 14
    assert total(watch.metrics, "tianjing_requests_in_progress") == 0
    assert MOBILE not in watch.metrics.text().decode()


@pytest.mark.parametrize(
    "given", ["", "00-x", PARENT + "-more", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT.upper()]
)
def test_without_tracing_only_a_well_formed_context_is_passed_on(given: str) -> None:
    row = seen(traceparent=given)
    Untraced().began(row)
    assert row.traceparent == ""
    row = seen(traceparent=PARENT)
    Untraced().began(row)
    assert row.traceparent == PARENT


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced(spans: InMemorySpanExporter, row: Watched) -> Any:
    traces = Traces(ObserveSettings(traces_endpoint="http://127.0.0.1:1/v1/traces"), spans)
    traces.began(row)
    traces.ended(row)
    traces.shut_down()
    return spans.get_finished_spans()[-1]


def test_a_span_joins_the_callers_trace_and_the_engines_joins_it(spans: InMemorySpanExporter) -> None:
    row = seen(traceparent=PARENT)
    span = traced(spans, row)
    assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
    assert row.traceparent.split("-")[2] == f"{span.context.span_id:016x}"
    assert span.attributes["gen_ai.usage.output_tokens"] == 20
    assert span.attributes["tianjing.verdict"] == "mask" and span.attributes["gen_ai.response.model"] == "tj-v2"


def test_a_broken_context_begins_a_new_trace_and_failures_are_marked(spans: InMemorySpanExporter) -> None:
    row = seen(traceparent="00-evil", status=502, outcome="engine_error")
    span = traced(spans, row)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", row.traceparent)
    assert span.parent is None and not span.status.is_ok


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_logs_hold_no_personal_data_not_even_that_of_an_exception(written: io.StringIO, log_format: Any) -> None:
    set_up(ObserveSettings(log_format=log_format), written)
    logging.getLogger("some.library").warning("cannot read %s\nnext line", MOBILE)
    try:
        int(f"{MOBILE}x")
    except ValueError:
        logging.getLogger("serving").exception("failed")
    text = written.getvalue()
    assert MOBILE not in text and "ValueError" in text and "test_observe.py" in text
    assert len(text.splitlines()) == 2, "a message with a line break would forge a second record"


def test_a_request_is_one_line_of_json(written: io.StringIO) -> None:
    set_up(ObserveSettings(log_format="json"), written)
    RequestLog().ended(seen(traceparent=PARENT))
    row = json.loads(written.getvalue())
    assert row["request"] == "r1" and row["outcome"] == "mask" and row["completion_tokens"] == 20
    assert row["trace"] == PARENT.split("-")[1] and 99 < row["first_ms"] < 101


def test_metrics_need_a_key_that_may_watch(start: Any) -> None:
    (door,) = metrics_doors(Metrics())
    assert (door.method, door.path, door.needs) == ("GET", "/metrics", "watch")
    assert KEY  # the doors themselves are tried by test_edge


def test_dashboard_and_alerts_name_only_metrics_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana" / "tianjing.json").read_text())
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expressions += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    used = {name for expr in expressions for name in re.findall(r"tianjing_\w+", expr)}
    metrics = Metrics()
    watched(metrics, seen())
    metrics.response("/health", 200)
    known = {name for name, _ in values(metrics)} | set(READINGS)
    assert used <= known, used - known
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


# Registered where the parts are put together: serving/launch/readings.py.
READINGS = (
    "tianjing_upstream_up",
    "tianjing_audit_pending",
    "tianjing_audit_refusing",
    "tianjing_audit_anchor_failures",
    "tianjing_interventions",
)
