"""The registry of weights: what may be served, what is, and every move between the two, each in the audit log.

Gateways in several processes share the state's folder. One of them, which can place weights, owns it: it loads and
unloads. The others route by the state, read it again when it changes, and may end a canary.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.adapters import moves
from serving.adapters.configured import Configured
from serving.adapters.listing import listing
from serving.adapters.names import MODEL_PATTERN, load_name, require_name
from serving.adapters.placing import Placer
from serving.adapters.release import UNRELEASED
from serving.adapters.router import CanaryRouter
from serving.adapters.settings import AdapterSettings
from serving.adapters.sharing import Sharing
from serving.adapters.state import Model, Override, State, StateFile, Version, own
from serving.adapters.upkeep import Upkeep
from serving.adapters.vetting import Vetting
from serving.audit.base import Audit
from serving.errors import ApiError
from tianjing.errors import EXIT_NOT_RELEASED, TianjingError

_log = logging.getLogger(__name__)
Step = Callable[[State], State]


class Registry:
    """The operations behind the doors. `router` is what the gateway asks.

    Args:
        folder: of the state, on a local disk; every gateway of the endpoint has the same.
        vetting: adds and loads weights; None in a gateway that does not own the folder.
        configured: what the endpoint was started with, in the gateway that owns the folder.
        clock, steady: seconds since 1970, and seconds that no change of the clock disturbs.
    """

    def __init__(
        self,
        folder: Path,
        settings: AdapterSettings,
        audit: Audit,
        vetting: Vetting | None = None,
        configured: Configured | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ):
        self.settings, self.steady = settings, steady
        self.router = CanaryRouter(settings.canary, self._gone_bad, clock)
        self._file = StateFile(folder)
        self.sharing = Sharing(folder / "evidence")
        self._audit, self._vetting, self._configured, self._clock = audit, vetting, configured, clock
        self._state = State()
        self._stamp = (0, 0)
        self._operating = asyncio.Lock()
        self._owner: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._upkeep = Upkeep(self)

    @property
    def state(self) -> State:
        """As this process last read it."""
        return self._state

    @property
    def placer(self) -> Placer | None:
        return self._vetting.placer if self._vetting is not None else None

    def now(self) -> float:
        return self._clock()

    async def open(self) -> None:
        """Read the state, load what it says is served, and begin to look after it.

        Weights that cannot be loaded do not keep the endpoint from starting: requests for them get 503.

        Raises:
            ServeError: the state cannot be read, or another endpoint owns the folder.
        """
        if self._vetting is not None:
            self._owner = own(self._file.folder)
        try:
            if self._vetting is not None:
                await asyncio.to_thread(self._vetting.placer.store.prepare)
            await self.change(lambda state: state if state.revision else state.model_copy())
            if self._vetting is not None:
                await self._upkeep.restore(self._configured)
                await self._sweep()
        except BaseException:
            await self.close()
            raise
        self._keep(self._upkeep.run())

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    async def add(
        self, model: str, version: str, folder: Path, release: Path | None, override: str | None, who: str
    ) -> Version:
        """Take weights into the registry. Nobody gets them yet.

        Args:
            override: why they are served without a release; None asks for one.
            who: the operator, for the audit log.

        Raises:
            ApiError: 400 with the reason and the remedy; 409 when the version's name is taken.
        """
        require_name(model, "name", MODEL_PATTERN)
        require_name(version, "version")
        vetting, now = self._owning(), self.now()
        knowingly = Override(who=who, why=override, at=now) if override is not None else None
        async with self._operating:
            try:
                weights = await asyncio.to_thread(vetting.take, folder, release, knowingly, now)
            except TianjingError as error:
                code = "not_released" if error.exit_code == EXIT_NOT_RELEASED else "not_servable"
                raise ApiError(400, str(error), code=code) from None
            details = {"release": weights.release or UNRELEASED, "digest": weights.digest, "kind": weights.kind}
            if knowingly is not None:
                details["override_reason"] = knowingly.why
            kind = "adapter_added" if knowingly is None else "adapter_added_with_override"
            await self._move(
                kind,
                {"who": who, "model": model, "version": version, **details},
                lambda state: moves.added(state, model, version, weights, self.settings.keep_versions),
            )
            await self._sweep()
            if self._state.models[model].stable == version and self._state.placed(model, version) is None:
                await self._upkeep.place_again(model, version)  # it was kept from serving until it had this release
        return self._state.models[model].versions[version]

    async def canary(self, model: str, version: str, share: float, who: str) -> Model:
        """Give `version` to a share of the customers, or change the share of the running canary.

        Raises:
            ApiError: as `moves.canary_set`; 502 when it cannot be loaded.
        """
        async with self._operating:
            moves.require_canary(self._state, model, version, self.now())
            details = {"who": who, "model": model, "version": version, "share": share}
            await self._placed_move(
                "adapter_canary",
                details,
                version,
                lambda state: moves.canary_set(state, model, version, share, self.now()),
            )
        return self._state.models[model]

    async def promote(self, model: str, version: str | None, who: str) -> Model:
        """Give everybody the canary, or `version`; what they had stays loaded for a while.

        Raises:
            ApiError: as `moves.promoted`; 409 without a canary and a version; 502 when it cannot be loaded.
        """
        async with self._operating:
            entry = moves.known_model(self._state, model)
            version = version or (entry.canary.version if entry.canary else None)
            if version is None:
                raise ApiError(409, f"'{model}' has no canary; name the version to promote", param="version")
            chosen, keep_s = version, self.settings.keep_previous_s
            moves.promoted(self._state, model, chosen, self.now(), keep_s)
            details = {"who": who, "model": model, "version": chosen}
            await self._placed_move(
                "adapter_promoted",
                details,
                chosen,
                lambda state: moves.promoted(state, model, chosen, self.now(), keep_s),
            )
        return self._state.models[model]

    async def rollback(self, model: str, why: str, who: str) -> Model:
        """End the canary; without one, give everybody what they got before the last promotion.

        Raises:
            ApiError: as `moves.gone_back`; 502 when what it was before cannot be loaded.
        """
        details = {"who": who, "model": model, "why": why, "automatic": False}
        entry = moves.known_model(self._state, model)
        if entry.canary is not None:  # not behind other operations: it must be over now
            details["version"] = entry.canary.version
            await self._move(
                "adapter_rolled_back", details, lambda state: moves.canary_ended(state, model, self.now(), why)
            )
            return self._state.models[model]
        async with self._operating:
            back = moves.gone_back(self._state, model, self.now(), why).models[model].stable
            assert back is not None
            details |= {"version": self._state.models[model].stable, "to": back}
            await self._placed_move(
                "adapter_rolled_back", details, back, lambda state: moves.gone_back(state, model, self.now(), why)
            )
        return self._state.models[model]

    async def reload(self) -> None:
        """Load again, under new names, what a restarted engine has forgotten. For who restarts it, and for upkeep.

        Raises:
            TianjingError: the engine does not answer, or refuses.
        """
        placer = self.placer
        if placer is None:
            return
        async with self._operating:
            for name in await placer.lost(self._state):
                old = self._state.placements[name]
                fresh = await self.place(old.model, old.version)
                # One step: there is no moment at which the version is not placed.
                await self.change(
                    lambda state, name=name, fresh=fresh, group=old.group: moves.loaded(  # type: ignore[misc]
                        state.with_placement(name, None), fresh, group, self.now()
                    )
                )
                await asyncio.to_thread(placer.store.unlink, name)
                _log.warning("'%s' of '%s' loaded again: the engine had forgotten it", old.version, old.model)

    async def place(self, model: str, version: str) -> str:
        """Load a version; returns the load's name, which the state has as `loading` until a move makes it `ready`.

        Raises:
            ApiError: 409 without room. TianjingError: it cannot be loaded; nothing is left of it.
        """
        vetting = self._owning()
        weights = moves.known_version(self._state, model, version)
        await asyncio.to_thread(vetting.renewed, weights)
        await self._upkeep.make_room(weights)
        name = load_name(version)
        await self.change(lambda state: moves.loading(state, name, model, version, self.now()))
        try:
            group = await vetting.placer.place(name, weights)
        except BaseException:
            await self.change(lambda state: state.with_placement(name, None))
            raise
        placed = self._state.placements[name].model_copy(update={"group": group})
        await self.change(lambda state: state.with_placement(name, placed))
        return name

    async def change(self, step: Step) -> None:
        """Change the shared state, and route by it."""
        state = await asyncio.to_thread(self._file.change, step)
        self._show(state)

    async def refresh(self) -> None:
        """Read the state where another process has changed it."""
        stamp = await asyncio.to_thread(self._file.stamp)
        if stamp != self._stamp:
            state = await asyncio.to_thread(self._file.read)
            self._stamp = stamp
            self._show(state)

    async def end_canary(self, model: str, trial: str, why: str) -> None:
        """The automatic rollback: first done, then accounted for, and tried again until both are."""
        cooldown_s = self.settings.canary.cooldown_s
        ended: list[str] = []

        def step(state: State) -> State:
            entry = state.models[model]
            if entry.canary is not None and entry.canary.id == trial:
                ended.append(entry.canary.version)
            return moves.canary_ended(state, model, self.now(), why, trial, cooldown_s)

        while True:
            try:
                await self.change(step)
                # Where another gateway was first, it is that one's to tell.
                if ended:
                    _log.error("canary '%s' of '%s' rolled back: %s", ended[0], model, why)
                    details = {"who": "gateway", "model": model, "version": ended[0], "why": why, "automatic": True}
                    await self._audit.event("adapter_rolled_back", details)
                return
            except (ApiError, TianjingError, OSError) as error:
                _log.error("the rollback of the canary of '%s' is not written down yet: %s", model, error)
                await asyncio.sleep(self.settings.poll_s)

    def listing(self) -> list[dict[str, Any]]:
        """See `serving.adapters.listing`."""
        return listing(self._state, self.router, self.now())

    async def _placed_move(self, kind: str, details: dict[str, Any], version: str, step: Step) -> None:
        """A move to `version`, which is loaded first where it is not."""
        model = details["model"]
        fresh: str | None = None
        if self._state.placed(model, version) is None:
            try:
                fresh = await self.place(model, version)
            except TianjingError as error:
                raise ApiError(502, f"'{version}' cannot be loaded: {error}", code="not_loaded") from None

        def made_ready(state: State) -> State:
            if fresh is not None:
                state = moves.loaded(state, fresh, state.placements[fresh].group, self.now())
            return step(state)

        try:
            await self._move(kind, details, made_ready)
        except BaseException:
            if fresh is not None:
                await self.change(lambda state: _draining(state, fresh, self.now()))
            raise

    async def _move(self, kind: str, details: dict[str, Any], step: Step) -> None:
        """Accounted for before it happens; a move that cannot be accounted for does not happen."""
        await self._audit.event(kind, details)
        try:
            await self.change(step)
        except ApiError as error:
            await self._audit.event("adapter_move_failed", {**details, "move": kind, "reason": error.message})
            raise

    def _gone_bad(self, model: str, trial: str, why: str) -> None:
        self._keep(self.end_canary(model, trial, why))

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show(self, state: State) -> None:
        # Two changes may come back in the other order than they were made.
        if state.revision >= self._state.revision:
            self._state = state
            self.router.show(state)

    def _owning(self) -> Vetting:
        if self._vetting is None:
            raise ApiError(409, "this gateway does not manage the engines; ask the one that does", code="not_owner")
        return self._vetting

    async def _sweep(self) -> None:
        placer, state = self.placer, self._state
        assert placer is not None
        versions = [version for model in state.models.values() for version in model.versions.values()]
        digests = {version.digest for version in versions}
        releases = {version.release for version in versions if version.release is not None}
        await asyncio.to_thread(placer.store.sweep, digests, releases, set(state.placements))


def _draining(state: State, name: str, now: float) -> State:
    placement = state.placements.get(name)
    if placement is None:
        return state
    return state.with_placement(name, placement.model_copy(update={"status": "draining", "since": now}))
