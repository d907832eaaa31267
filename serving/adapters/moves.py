"""The moves of a registry as values: each takes a state and gives the next one, or says why it may not be."""

from __future__ import annotations

import secrets

from serving.adapters.state import Canary, Model, Move, Placement, State, Version
from serving.errors import ApiError


def known_model(state: State, model: str) -> Model:
    """Raises ApiError 404 for a model that nobody has added a version of."""
    if model not in state.models:
        raise ApiError(404, f"no model '{model}'; known: {_listed(state.models)}", param="name")
    return state.models[model]


def known_version(state: State, model: str, version: str) -> Version:
    """Raises ApiError 404 for an unknown model or version."""
    versions = known_model(state, model).versions
    if version not in versions:
        message = f"no version '{version}' of '{model}'; known: {_listed(versions)}"
        raise ApiError(404, message, param="version")
    return versions[version]


def added(state: State, model: str, version: str, weights: Version, keep: int) -> State:
    """A version more; or the same one again, under another release.

    Raises:
        ApiError: 409 when the version names other weights: a name in the audit log means one thing.
    """
    entry = state.models.get(model) or Model()
    old = entry.versions.get(version)
    if old is not None and old.digest != weights.digest:
        raise ApiError(
            409, f"version '{version}' of '{model}' is other weights; give these a new name", param="version"
        )
    if old is not None:
        weights = weights.model_copy(update={"folder": old.folder, "cooldown_until": old.cooldown_until})
    entry = entry.model_copy(
        update={
            "versions": {**entry.versions, version: weights},
            "moved": Move(at=weights.added_at, what="added", version=version),
        }
    )
    state = state.with_model(model, entry)
    spare = sorted(entry.versions.keys() - state.in_use(model) - {version}, key=lambda v: entry.versions[v].added_at)
    dropped = set(spare[: max(0, len(spare) - keep)])
    versions = {name: value for name, value in entry.versions.items() if name not in dropped}
    return state.with_model(model, entry.model_copy(update={"versions": versions}))


def require_canary(state: State, model: str, version: str, now: float) -> None:
    """Whether `version` may become, or be, the canary.

    Raises:
        ApiError: 404; 409 while another runs, there is nothing to compare with, it is stable already, its release has
            expired, or it was rolled back automatically a moment ago.
    """
    weights, entry = known_version(state, model, version), state.models[model]
    if entry.stable is None:
        raise ApiError(409, f"'{model}' has no stable version to compare with; promote '{version}'")
    if version == entry.stable:
        raise ApiError(409, f"'{version}' is what everybody gets already", param="version")
    if entry.canary is not None and entry.canary.version != version:
        raise ApiError(409, f"'{entry.canary.version}' is the canary now; promote it or roll it back first")
    require_served(version, weights, now)
    if now < weights.cooldown_until:
        wait = weights.cooldown_until - now
        message = f"'{version}' was rolled back automatically; it may be a canary again in {wait:.0f} s"
        raise ApiError(409, message, code="cooldown", retry_after_s=wait)


def require_served(version: str, weights: Version, now: float) -> None:
    """Raises ApiError 409 when the release has expired."""
    if not weights.served_at(now):
        message = f"the release of '{version}' has expired; add it again with a new one"
        raise ApiError(409, message, param="version", code="expired")


def canary_set(state: State, model: str, version: str, share: float, now: float) -> State:
    """`share` of the customers get `version`; raises as `require_canary`. A running canary keeps its evidence."""
    require_canary(state, model, version, now)
    entry = state.models[model]
    canary = entry.canary or Canary(id=secrets.token_hex(8), version=version, share=share, since=now)
    moved = Move(at=now, what=f"canary at {share:g}", version=version)
    update = {"canary": canary.model_copy(update={"share": share}), "moved": moved}
    return settled(state.with_model(model, entry.model_copy(update=update)), now)


def promoted(state: State, model: str, version: str, now: float, keep_previous_s: float) -> State:
    """Everybody gets `version`; what they got before stays loaded for a while.

    Raises:
        ApiError: 404; 409 while another version is the canary, or the release has expired.
    """
    weights, entry = known_version(state, model, version), state.models[model]
    require_served(version, weights, now)
    if entry.canary is not None and entry.canary.version != version:
        raise ApiError(409, f"'{entry.canary.version}' is the canary now; promote it or roll it back first")
    previous = entry.previous if entry.stable == version else entry.stable
    moved = Move(at=now, what="promoted", version=version)
    update = {"stable": version, "canary": None, "previous": previous, "moved": moved}
    return settled(state.with_model(model, entry.model_copy(update=update)), now, now + keep_previous_s)


def canary_ended(
    state: State, model: str, now: float, why: str, trial: str | None = None, cooldown_s: float = 0.0
) -> State:
    """Nobody gets the canary; unchanged when there is none, or it is another than `trial`."""
    entry = state.models.get(model)
    if entry is None or entry.canary is None or trial not in (None, entry.canary.id):
        return state
    version = entry.canary.version
    weights = entry.versions[version].model_copy(update={"cooldown_until": now + cooldown_s})
    moved = Move(at=now, what="rolled back", version=version, why=why)
    update = {"canary": None, "versions": {**entry.versions, version: weights}, "moved": moved}
    return settled(state.with_model(model, entry.model_copy(update=update)), now)


def gone_back(state: State, model: str, now: float, why: str) -> State:
    """Everybody gets again what they got before the last promotion.

    Raises:
        ApiError: 404; 409 when there is nothing to go back to, or its release has expired.
    """
    entry = known_model(state, model)
    if entry.previous is None:
        raise ApiError(409, f"'{model}' has neither a canary nor a version to go back to")
    require_served(entry.previous, entry.versions[entry.previous], now)
    moved = Move(at=now, what="rolled back", version=entry.stable or "", why=why)
    update = {"stable": entry.previous, "previous": None, "moved": moved}
    return settled(state.with_model(model, entry.model_copy(update=update)), now)


def settled(state: State, now: float, drain_at: float | None = None) -> State:
    """Loads that nobody needs begin to drain.

    Args:
        drain_at: until when a previous version that has just been left stays.
    """
    for name, placement in state.placements.items():
        if placement.status != "ready":
            continue
        model = state.models[placement.model]
        in_use = {model.stable, model.canary.version if model.canary else None}
        changed = placement
        if placement.version in in_use:
            changed = placement.model_copy(update={"drain_at": None})
        elif placement.version == model.previous and placement.drain_at is None and drain_at is not None:
            changed = placement.model_copy(update={"drain_at": drain_at})
        elif placement.version != model.previous or placement.drain_at is None or placement.drain_at <= now:
            changed = placement.model_copy(update={"status": "draining", "since": now, "drain_at": None})
        if changed != placement:
            state = state.with_placement(name, changed)
    return state


def loading(state: State, engine_name: str, model: str, version: str, now: float) -> State:
    """A load has begun: written down first, so that a kill leaves no load that nobody knows of."""
    kind = known_version(state, model, version).kind
    return state.with_placement(engine_name, Placement(model=model, version=version, kind=kind, since=now))


def loaded(state: State, engine_name: str, group: str, now: float) -> State:
    """It is there."""
    placement = state.placements[engine_name]
    ready = placement.model_copy(update={"group": group, "status": "ready", "since": now})
    return state.with_placement(engine_name, ready)


def _listed(names: dict[str, Model] | dict[str, Version]) -> str:
    return ", ".join(sorted(names)) or "none"
