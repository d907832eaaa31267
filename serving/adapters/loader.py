"""Loads adapters into a running engine, through the two routes that its inner door opens for that.

Only for an engine with one API server: several do not tell one another what is loaded. A load keeps its name and path
for itself. Unloading makes the engine forget the name; its memory is reused when the next adapter needs it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from serving.errors import ServeError

_UNIX = "unix:"


@dataclass(frozen=True)
class Loader:
    """The way to one engine.

    Attributes:
        group: its name among the upstreams.
        url: "http://HOST:PORT", or "unix:/PATH" for a socket.
        secret: of the engine's inner door.
        max_loras: adapters that it holds at once (`--max-loras`).
        max_rank: `--max-lora-rank`.
        timeout_s: seconds that a load may take.
    """

    group: str
    url: str
    secret: str
    max_loras: int
    max_rank: int
    timeout_s: float = 120

    async def load(self, engine_name: str, folder: Path) -> None:
        """Load the adapter in `folder` under a name that was never used.

        Raises:
            ServeError: the engine refuses it, or cannot be reached.
        """
        await self._post("/v1/load_lora_adapter", {"lora_name": engine_name, "lora_path": str(folder)})

    async def unload(self, engine_name: str) -> None:
        """Make the engine forget an adapter; harmless when it does not know it. Requests in progress go on.

        Raises:
            ServeError: the engine refuses, or cannot be reached.
        """
        await self._post("/v1/unload_lora_adapter", {"lora_name": engine_name}, accept=(200, 404))

    async def loaded(self) -> set[str]:
        """Every name that the engine answers to.

        Raises:
            ServeError: it cannot be reached.
        """
        rows = json.loads(await self._call("GET", "/v1/models", None, (200,)))["data"]
        return {row["id"] for row in rows}

    async def _post(self, path: str, body: dict[str, Any], accept: tuple[int, ...] = (200,)) -> None:
        await self._call("POST", path, body, accept)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None, accept: tuple[int, ...]) -> str:
        connector: aiohttp.BaseConnector | None = None
        base = self.url.rstrip("/")
        if base.startswith(_UNIX):
            connector, base = aiohttp.UnixConnector(base.removeprefix(_UNIX)), "http://engine"
        headers = {"Authorization": f"Bearer {self.secret}"}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, headers=headers, timeout=timeout, trust_env=False
                ) as session,
                session.request(method, base + path, json=body) as response,
            ):
                text = await response.text()
        except (TimeoutError, aiohttp.ClientError) as error:
            raise ServeError(
                f"the engine of group '{self.group}' does not answer {path}: {type(error).__name__}",
                "read the engine's log; it may be starting again",
            ) from None
        if response.status not in accept:
            raise ServeError(
                f"the engine of group '{self.group}' refuses {path} with {response.status}: {_reason(text)}",
                "read the engine's log; an adapter can also be merged and served by an engine of its own",
            )
        return text


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return text[:300]
