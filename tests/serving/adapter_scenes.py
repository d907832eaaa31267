"""Scenes on an open registry, as an operator plays them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.adapters.base import Target
from serving.adapters.registry import Registry
from serving.identity.principal import Principal
from tests.serving.adapter_material import NAME, Bench

CALLER = Principal("acme", "k1")


def play(bench: Bench, scene: Callable[[Registry], Awaitable[Any]], **how: Any) -> Any:
    """Run a scene on an open registry."""

    async def run() -> Any:
        registry = bench.registry(**how)
        await registry.open()
        try:
            return await scene(registry)
        finally:
            await registry.close()

    return asyncio.run(run())


def ask(registry: Registry, customer: str = "c") -> Target:
    target = registry.router.choose(NAME, CALLER, customer)
    registry.router.observe(target, "allow")
    return target


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
