"""The weights that the endpoint was started with, as one version of the registry."""

from __future__ import annotations

from dataclasses import dataclass

from serving.adapters.names import MODEL_PATTERN, require_name
from serving.adapters.state import Model, Move, Placement, State, Version
from serving.errors import ApiError, ServeError


@dataclass(frozen=True)
class Configured:
    """The weights that the endpoint was started with: they are in an engine already.

    Attributes:
        model: the name callers give.
        engine_name: what the engine knows them by.
        weights: where they lie and why they may be served.
    """

    model: str
    engine_name: str
    weights: Version
    group: str = "default"

    @property
    def version(self) -> str:
        """Their name in the registry; other weights have another one."""
        return f"configured-{self.weights.digest[:12]}"


def adopted(state: State, configured: Configured, now: float) -> State:
    """The weights that the endpoint was started with, placed; stable unless a version of the registry was promoted.

    Raises:
        ServeError: the model's name has a form that the registry cannot keep.
    """
    try:
        model = require_name(configured.model, "served_name", MODEL_PATTERN)
    except ApiError as error:
        raise ServeError(error.message, "choose another served_name") from None
    version = configured.version
    entry = state.models.get(model) or Model()
    versions = {**entry.versions, version: configured.weights}
    update: dict[str, object] = {"versions": versions}
    if entry.stable != version and (entry.stable is None or entry.stable.startswith("configured-")):
        moved = Move(at=now, what="configured", version=version)
        update |= {"stable": version, "previous": None, "canary": None, "moved": moved}
    placement = Placement(
        model=model, version=version, kind=configured.weights.kind, group=configured.group, status="ready", since=now
    )
    state = state.with_model(model, entry.model_copy(update=update))
    return state.with_placement(configured.engine_name, placement)
