"""Which weights answer a request, and what their answers tell of a canary. No file is touched on the way.

A customer's arm is drawn once: a keyed hash of the model, the version and the customer's key, read as a number in
[0, 1), is below the canary's share or not. So every gateway draws alike, a larger share only adds customers, and who
does not know the key cannot choose an arm.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from serving.adapters.base import Outcome, Target
from serving.adapters.evidence import Evidence
from serving.adapters.release import UNRELEASED
from serving.adapters.settings import CanarySettings
from serving.adapters.state import State, Version
from serving.errors import ApiError
from serving.identity.principal import Principal

_log = logging.getLogger(__name__)
_BITS = 64
NOT_LOADED_RETRY_S = 5


@dataclass(frozen=True)
class Assigned(Target):
    """A target that remembers for which canary, and which customer of it, it was chosen."""

    served: str = ""
    version: str = ""
    trial: str = ""
    customer: int = 0


@dataclass(frozen=True)
class _Way:
    """One placed version."""

    version: str
    weights: Version
    engine_name: str
    group: str


@dataclass(frozen=True)
class _Entry:
    """One model: its ways, and from which number on a customer stays with stable."""

    stable: _Way | None
    canary: _Way | None
    trial: str
    bound: int


class CanaryRouter:
    """Implements `Router` over a state that `show` replaces.

    Args:
        on_bad: told (model, canary id, why) once when a canary must go; it has already been taken out here.
    """

    def __init__(
        self,
        settings: CanarySettings,
        on_bad: Callable[[str, str, str], None],
        clock: Callable[[], float] = time.time,
    ):
        self._settings = settings
        self._on_bad = on_bad
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._key = b""
        self._busy: Counter[str] = Counter()
        self._given_up: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self.evidence: dict[str, Evidence] = {}
        """By canary id."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Requests that found (model, version) expired."""

    def show(self, state: State) -> None:
        """Route by `state` from now on."""
        self._key = bytes.fromhex(state.key)
        self._told.clear()
        self._entries = {name: self._entry(state, name) for name in state.models}
        running = {entry.trial for entry in self._entries.values() if entry.trial}
        self._given_up &= {model.canary.id for model in state.models.values() if model.canary}
        self.evidence = {trial: self.evidence.get(trial) or Evidence(self._settings) for trial in running}

    def busy(self, engine_name: str) -> int:
        """Requests of this process that are on a load."""
        return self._busy[engine_name]

    def listed(self, caller: Principal) -> list[str]:
        now = self._clock()
        return [
            name
            for name, entry in self._entries.items()
            if _may(caller, name) and entry.stable is not None and entry.stable.weights.served_at(now)
        ]

    def choose(self, model: str, caller: Principal, sticky: str) -> Target:
        """As `Router.choose`.

        Raises:
            ApiError: 404 for a model that this caller may not ask for; 503 while its weights are not loaded, or once
                their release has expired.
        """
        entry = self._entries.get(model)
        if entry is None or not _may(caller, model):
            known = ", ".join(f"'{name}'" for name in self.listed(caller)) or "none"
            message = f"the model '{model[:100]}' does not exist; served here: {known}"
            raise ApiError(404, message, param="model", code="model_not_found")
        now, customer = self._clock(), 0
        way, arm = entry.stable, False
        if entry.canary is not None:
            customer = draw(self._key, model, entry.canary.version, sticky)
            arm = customer < entry.bound and self._in_term(model, entry.canary, now)
            way = entry.canary if arm else way
        if way is None:
            raise ApiError(
                503, f"the model '{model}' is not loaded yet", code="not_loaded", retry_after_s=NOT_LOADED_RETRY_S
            )
        if not arm and not self._in_term(model, way, now):
            raise ApiError(
                503, f"the release of '{model}' has expired; it is served again when renewed", code="expired"
            )
        self._busy[way.engine_name] += 1
        return Assigned(
            way.engine_name,
            way.group,
            UNRELEASED if way.weights.release is None else way.weights.digest,
            "canary" if arm else "stable",
            served=model,
            version=way.version,
            trial=entry.trial,
            customer=customer,
        )

    def observe(self, target: Target, outcome: Outcome) -> None:
        if not isinstance(target, Assigned):
            return
        self._busy[target.model] -= 1
        if self._busy[target.model] <= 0:
            del self._busy[target.model]
        evidence = self.evidence.get(target.trial)
        if evidence is None:
            return
        if why := evidence.note(target.arm, target.customer, outcome):
            self.give_up(target.served, target.trial, why)

    def give_up(self, model: str, trial: str, why: str) -> None:
        """Take a canary out at once, and tell once."""
        if trial in self._given_up:
            return
        self._given_up.add(trial)
        entry = self._entries.get(model)
        if entry is not None and entry.trial == trial:
            self._entries[model] = _Entry(entry.stable, None, "", 0)
        self._on_bad(model, trial, why)

    def _entry(self, state: State, name: str) -> _Entry:
        model = state.models[name]
        stable = self._way(state, name, model.stable)
        canary = model.canary
        if canary is None or canary.id in self._given_up or stable is None:
            return _Entry(stable, None, "", 0)
        way = self._way(state, name, canary.version)
        return _Entry(stable, way, canary.id if way else "", bound_of(canary.share))

    def _way(self, state: State, model: str, version: str | None) -> _Way | None:
        engine_name = state.placed(model, version) if version is not None else None
        if version is None or engine_name is None:
            return None
        return _Way(version, state.models[model].versions[version], engine_name, state.placements[engine_name].group)

    def _in_term(self, model: str, way: _Way, now: float) -> bool:
        if way.weights.served_at(now):
            return True
        self.refused[model, way.version] += 1
        if (model, way.version) not in self._told:
            self._told.add((model, way.version))
            _log.error("the release of version '%s' of '%s' has expired: it is no longer served", way.version, model)
        return False


def draw(key: bytes, model: str, version: str, sticky: str) -> int:
    """The customer's number, uniform in [0, 2^64)."""
    parts = "\0".join((model, version, sticky)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(parts, key=key, digest_size=_BITS // 8).digest(), "big")


def bound_of(share: float) -> int:
    """Numbers below it are the canary's."""
    return int(share * (1 << _BITS))


def _may(caller: Principal, model: str) -> bool:
    return caller.models is None or model in caller.models
