"""Puts a registry together from the endpoint's settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from serving.adapters.configured import Configured
from serving.adapters.engines import Engines
from serving.adapters.loader import Loader
from serving.adapters.placing import Placer
from serving.adapters.registry import Registry
from serving.adapters.settings import AdapterSettings
from serving.adapters.store import Store
from serving.adapters.vetting import Vetting
from serving.audit.base import Audit


def registry_folder(state: Path) -> Path:
    """Where the registry keeps everything, in the endpoint's state folder."""
    return state.resolve() / "adapters"


def adapter_root(state: Path) -> Path:
    """What `EngineConfig.adapter_root` must be for the registry to load adapters."""
    return Store(registry_folder(state)).loads


def owning_registry(
    state: Path,
    settings: AdapterSettings,
    audit: Audit,
    configured: Configured,
    engines: Engines,
    *,
    temperature: float,
    trusted: Path | None = None,
    loader: Loader | None = None,
    base: str | None = None,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> Registry:
    """The registry of the one gateway process that manages the engines.

    Args:
        temperature: the largest sampling temperature that is served.
        trusted: whose releases count; None is this user's own key.
        loader: the way to the engine that loads adapters at run time, if there is one.
        base: digest of the model under every adapter; None where adapters cannot be added.
    """
    folder = registry_folder(state)
    placer = Placer(Store(folder, settings.roots), engines, loader, base)
    return Registry(folder, settings, audit, Vetting(placer, temperature, trusted), configured, clock, steady)


def following_registry(state: Path, settings: AdapterSettings, audit: Audit) -> Registry:
    """The registry of every other gateway process of the endpoint."""
    return Registry(registry_folder(state), settings, audit)
