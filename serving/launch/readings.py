"""What the metrics ask of the gateway's parts when they are read."""

from __future__ import annotations

from serving.audit.base import Audit
from serving.audit.log import AuditLog
from serving.guard.factory import GuardFactory
from serving.handoff.local import LocalDesk
from serving.observe.metrics import Metrics
from serving.upstreams.pool import Pool


def add_readings(metrics: Metrics, pool: Pool, desk: LocalDesk, audit: Audit, guards: GuardFactory) -> None:
    """Make the state of these parts readable."""
    metrics.read(
        "tianjing_upstream_up",
        "1 while an engine takes requests, else 0.",
        lambda: {one.name: float(one.state == "up" and not one.draining) for one in pool.snapshot()},
        "upstream",
    )
    metrics.read(
        "tianjing_upstream_in_progress",
        "Requests that an engine is answering.",
        lambda: {one.name: float(one.in_progress) for one in pool.snapshot()},
        "upstream",
    )
    metrics.read(
        "tianjing_interventions",
        "Requests since the start: answered by the model, opened a case, continued one, or refused a case.",
        lambda: {who: float(getattr(desk.counts(), who)) for who in ("answered", "opened", "continued", "refused")},
        "who",
    )
    metrics.read(
        "tianjing_guard_faults",
        "Failures of the guard since the start, by rail and kind of error; each was refused.",
        lambda: {name: float(count) for name, count in guards.faults.items()},
        "fault",
    )
    metrics.read(
        "tianjing_rule_packs_stale", "1 while the packs on disk are wrong.", lambda: float(bool(guards.problem))
    )
    if isinstance(audit, AuditLog):
        metrics.read("tianjing_audit_pending", "Records that wait for the disk.", lambda: float(audit.counts().waiting))
        metrics.read(
            "tianjing_audit_refusing",
            "1 while requests are refused, for they cannot be accounted for.",
            lambda: float(audit.counts().refusing),
        )
        metrics.read(
            "tianjing_audit_anchor_failures",
            "Checkpoints that could not be kept elsewhere, since the start.",
            lambda: float(audit.counts().anchor_failures),
        )
