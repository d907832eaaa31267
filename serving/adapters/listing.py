"""The registry as people and programs read it: one row for each model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from serving.adapters.router import CanaryRouter
from serving.adapters.state import State, Version


def listing(state: State, router: CanaryRouter, now: float) -> list[dict[str, Any]]:
    """Every model with its versions and, while a canary runs, what was counted for it."""
    return [_row(state, name, now, router) for name in sorted(state.models)]


def _row(state: State, name: str, now: float, router: CanaryRouter) -> dict[str, Any]:
    model = state.models[name]

    def version(key: str, value: Version) -> dict[str, Any]:
        engine_name = state.placed(name, key)
        loads = [place for place in state.placements.values() if (place.model, place.version) == (name, key)]
        return {
            "version": key,
            **value.model_dump(mode="json"),
            "served": value.served_at(now),
            "engine_name": engine_name,
            "status": next((load.status for load in loads), "not loaded"),
        }

    canary = None
    if model.canary is not None:
        evidence = router.evidence.get(model.canary.id)
        counts = {rate: asdict(evidence.total(rate)) for rate in evidence.counts} if evidence else {}
        canary = {**model.canary.model_dump(mode="json"), "counts": counts}
    return {
        "name": name,
        "stable": model.stable,
        "previous": model.previous,
        "canary": canary,
        "moved": model.moved.model_dump(mode="json") if model.moved else None,
        "versions": [version(key, value) for key, value in sorted(model.versions.items())],
    }
