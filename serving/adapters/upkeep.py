"""What the registry does by itself: restore at a start, and then drain, expire, share counts and reload."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from serving.adapters import moves
from serving.adapters.configured import Configured, adopted
from serving.adapters.state import Placement, State, Version
from serving.errors import ApiError
from tianjing.errors import TianjingError

if TYPE_CHECKING:
    from serving.adapters.registry import Registry

_log = logging.getLogger(__name__)
# Polls between questions to the engine whether it still knows what was loaded.
_ASK_EVERY = 5


class Upkeep:
    """Looks after one registry."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._drains: dict[str, float] = {}
        """By load: when it was first seen to drain, by the steady clock; a jump of the other must not cut answers."""
        self._draining = asyncio.Lock()  # between the poll and an operator who waits for room

    async def run(self) -> None:
        """Until cancelled. A failure is logged, and tried again at the next poll."""
        turn = 0
        while True:
            await asyncio.sleep(self._registry.settings.poll_s)
            turn += 1
            try:
                await self._registry.refresh()
                await self._exchange()
                self._expire()
                if self._registry.placer is not None:
                    await self.drain()
                    if turn % _ASK_EVERY == 0:
                        await self._registry.reload()
            except (ApiError, TianjingError, OSError, ValueError) as error:
                _log.warning("upkeep of the adapters, tried again: %s", error)

    async def restore(self, configured: Configured | None) -> None:
        """After a start: forget the loads of the last run, take in the configured weights, load what is served.

        Raises:
            ServeError: the configured model's name has a form that the registry cannot keep.
        """
        registry, placer = self._registry, self._registry.placer
        assert placer is not None
        await self._forget()
        if configured is not None:
            if configured.release_file is not None:
                data = await asyncio.to_thread(configured.release_file.read_bytes)
                await asyncio.to_thread(placer.store.keep_release, data)
            await registry.change(lambda state: adopted(state, configured, registry.now()))
            stable = registry.state.models[configured.model].stable
            if stable != configured.version:
                _log.warning(
                    "'%s' is served by '%s', which was promoted; promote '%s' to serve the configured weights",
                    configured.model,
                    stable,
                    configured.version,
                )
        for name, model in registry.state.models.items():
            for version in filter(None, (model.stable, model.canary.version if model.canary else None)):
                if registry.state.placed(name, version) is None:
                    await self.place_again(name, version)

    async def drain(self) -> None:
        """Begin to drain what is no longer kept, and take out what no request is on any more."""
        async with self._draining:
            registry, now = self._registry, self._registry.now()
            if moves.settled(registry.state, now) is not registry.state:
                await registry.change(lambda state: moves.settled(state, now))
            for name, placement in list(registry.state.placements.items()):
                if placement.status == "draining" and self._drained(name):
                    await self._remove(name, placement)
                    del self._drains[name]

    async def make_room(self, weights: Version) -> None:
        """See that the engine can take one more adapter; what is only kept for a rollback makes place.

        Raises:
            ApiError: 409 when it cannot.
        """
        registry, placer = self._registry, self._registry.placer
        assert placer is not None
        if not placer.full(registry.state, weights):
            return
        await registry.change(lambda state: _not_kept(state, registry.now()))
        polls = int(registry.settings.settle_s / registry.settings.poll_s) + 2
        for _ in range(polls):
            await self.drain()
            if not placer.full(registry.state, weights):
                return
            await asyncio.sleep(registry.settings.poll_s)
        held = sorted(place.version for place in registry.state.placements.values() if place.kind == "adapter")
        message = f"the engine has no room for one more adapter; it holds {', '.join(held)}"
        raise ApiError(409, message, code="no_room", retry_after_s=registry.settings.settle_s)

    def _drained(self, name: str) -> bool:
        settings, steady = self._registry.settings, self._registry.steady()
        waited = steady - self._drains.setdefault(name, steady)
        return waited >= settings.settle_s and (self._registry.router.busy(name) == 0 or waited >= settings.drain_s)

    async def _remove(self, name: str, placement: Placement) -> None:
        registry, placer = self._registry, self._registry.placer
        assert placer is not None
        await placer.remove(name, placement, registry.state)
        await registry.change(lambda state: state.with_placement(name, None))

    async def _exchange(self) -> None:
        router, sharing = self._registry.router, self._registry.sharing
        running = dict(router.evidence)
        for trial, evidence in running.items():
            await asyncio.to_thread(sharing.exchange, trial, evidence)
            if why := evidence.verdict():
                for name, model in self._registry.state.models.items():
                    if model.canary is not None and model.canary.id == trial:
                        router.give_up(name, trial, why)
        await asyncio.to_thread(sharing.forget, running)

    def _expire(self) -> None:
        registry, now = self._registry, self._registry.now()
        for name, model in registry.state.models.items():
            if model.canary is not None and not model.versions[model.canary.version].served_at(now):
                registry.router.give_up(name, model.canary.id, "its release has expired")

    async def _forget(self) -> None:
        """Engines of the last run are gone with it; one that goes on still has our adapters, which are taken out."""
        registry, placer = self._registry, self._registry.placer
        assert placer is not None
        for name, placement in registry.state.placements.items():
            try:
                if placement.kind == "adapter":
                    await placer.remove(name, placement, registry.state)
            except TianjingError as error:
                _log.warning("'%s' of the last run cannot be taken out: %s", name, error)
        await registry.change(lambda state: state.model_copy(update={"placements": {}}))

    async def place_again(self, model: str, version: str) -> None:
        """Load what is served; what cannot be loaded is told, and a canary among it ended."""
        registry = self._registry
        try:
            name = await registry.place(model, version)
        except (ApiError, TianjingError) as error:
            _log.error("'%s' of '%s' is not served: %s", version, model, error)
            entry = registry.state.models[model]
            if entry.canary is not None and entry.canary.version == version:
                await registry.end_canary(model, entry.canary.id, "it could not be loaded again at the start")
            return
        group = registry.state.placements[name].group
        await registry.change(lambda state: moves.loaded(state, name, group, registry.now()))


def _not_kept(state: State, now: float) -> State:
    """What waits only for a rollback begins to drain."""
    for name, placement in state.placements.items():
        if placement.status == "ready" and placement.drain_at is not None and placement.kind == "adapter":
            state = state.with_placement(name, placement.model_copy(update={"drain_at": now}))
    return moves.settled(state, now)
