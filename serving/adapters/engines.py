"""What the registry asks of who runs engines: another engine for weights that cannot join a running one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.adapters.state import Kind
from serving.errors import ServeError


@dataclass(frozen=True)
class Weights:
    """What an engine is to serve.

    Attributes:
        engine_name: what requests will call it (`--served-model-name`, or the name of the static adapter).
        folder: of the weights; an adapter goes on the endpoint's own base.
    """

    engine_name: str
    folder: Path
    kind: Kind


class Engines(Protocol):
    """Starts and stops engines, and makes them known to the upstreams as groups."""

    async def start(self, weights: Weights) -> str:
        """Start an engine for `weights`; returns the group that serves them, once it answers.

        Raises:
            TianjingError: it does not start, or there is no room for it; nothing of it is left.
        """
        ...

    async def stop(self, group: str) -> None:
        """Take the group from the upstreams and stop its engines; harmless when there is none. No request is on it."""
        ...


class OneEngine:
    """The engines of an endpoint that has one and may not start others."""

    async def start(self, weights: Weights) -> str:
        raise ServeError(
            f"'{weights.engine_name}' needs an engine of its own, and this endpoint may not start one",
            "start the endpoint with managed engines, or serve a LoRA adapter with runtime_lora: true",
        )

    async def stop(self, group: str) -> None:
        pass
