"""Where weights are put: an adapter into the running engine, everything else into an engine of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from serving.adapters.engines import Engines, OneEngine, Weights
from serving.adapters.loader import Loader
from serving.adapters.state import Placement, State, Version
from serving.adapters.store import Store
from serving.errors import ServeError
from tianjing.lora import MAX_SERVED_RANK


@dataclass(frozen=True)
class Placer:
    """Puts weights into engines and takes them out.

    Attributes:
        loader: the way to an engine that loads adapters at run time; None where there is none.
        base: digest of the base weights under every adapter; None where no adapter can be served.
    """

    store: Store
    engines: Engines = field(default_factory=OneEngine)
    loader: Loader | None = None
    base: str | None = None

    @property
    def max_rank(self) -> int:
        """Largest rank of an adapter that can be served."""
        return self.loader.max_rank if self.loader is not None else MAX_SERVED_RANK

    def full(self, state: State, version: Version) -> bool:
        """Whether the running engine has no room for one more adapter."""
        if version.kind != "adapter" or self.loader is None:
            return False
        held = [place for place in state.placements.values() if place.kind == "adapter"]
        return len(held) >= self.loader.max_loras

    async def place(self, engine_name: str, version: Version) -> str:
        """Serve `version`, which was just checked, under a new name; returns the group that does.

        Raises:
            TianjingError: the engine refuses it; nothing of it is left.
        """
        folder = Path(version.folder)
        if version.kind == "merged" or self.loader is None:
            return await self.engines.start(Weights(engine_name, folder, version.kind))
        path = await asyncio.to_thread(self.store.link, folder, engine_name)
        try:
            await self.loader.load(engine_name, path)
        except BaseException:
            self.store.unlink(engine_name)
            raise
        return self.loader.group

    async def remove(self, engine_name: str, placement: Placement, state: State) -> None:
        """Take a load out of its engine, or stop an engine that serves nothing else.

        Raises:
            TianjingError: the engine does not do it.
        """
        if placement.kind == "adapter" and self.loader is not None:
            await asyncio.to_thread(self.store.unlink, engine_name)
            await self.loader.unload(engine_name)
            return
        others = [place for name, place in state.placements.items() if name != engine_name]
        shared = any(place.group == placement.group for place in others)
        # The engine that adapters are loaded into stays, for the next one.
        if placement.group and not shared and not (self.loader and self.loader.group == placement.group):
            await self.engines.stop(placement.group)

    async def lost(self, state: State) -> list[str]:
        """Loads that the running engine no longer knows: it has been started again.

        Raises:
            ServeError: it does not answer.
        """
        if self.loader is None:
            return []
        ready = [
            name
            for name, place in state.placements.items()
            if place.kind == "adapter" and place.status == "ready" and place.group == self.loader.group
        ]
        if not ready:
            return []
        there = await self.loader.loaded()
        return [name for name in ready if name not in there]

    def require_base(self, base: str) -> None:
        """Raises ServeError unless an adapter that was tuned on `base` fits the running engine."""
        if base != self.base:
            shown = f"{self.base[:16]}…" if self.base else "none that takes adapters"
            raise ServeError(
                f"the adapter was tuned on the base {base[:16]}…, served here is {shown}",
                "serve that base, or add the merged weights",
            )
