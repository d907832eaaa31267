"""Arms on an OpenAI-compatible endpoint that is already there, base and adapters as model names."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from evals.arms.base import ArmSpec, Group, Json, Serving
from evals.config import EvalConfig
from evals.errors import EvalError
from evals.records import Arm
from tianjing.engine import ChatClient, EngineError
from tianjing.files import canonical_json, sha256_bytes
from tianjing.lineage import artefact_digest

_PROBE_TIMEOUT_S = 15
_NO_LIST = frozenset({404, 405, 501})


@dataclass(frozen=True)
class Endpoint:
    """An endpoint and the arms on it.

    Attributes:
        url: its `/v1` root.
        names: by arm, the model name that requests give.
        adapter: folder of the adapter that the name of `tuned` stands for, so that the evidence names its digest.
    """

    url: str
    names: Mapping[Arm, str]
    api_key: str = ""
    adapter: Path | None = None

    @property
    def shown(self) -> str:
        """The address without a password that may stand in it."""
        return str(URL(self.url).with_user(None))

    @property
    def is_local(self) -> bool:
        host = URL(self.url).host or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class EndpointGroup(Group):
    """All arms of an endpoint: asked in turn, since they share its load."""

    def __init__(self, endpoint: Endpoint, specs: Mapping[Arm, ArmSpec], config: EvalConfig):
        super().__init__(specs)
        self.shared = not endpoint.is_local
        self._endpoint, self._config = endpoint, config

    @contextlib.contextmanager
    def serve(self, folder: Path, say: Callable[[str], None], widest: int) -> Iterator[Serving]:
        yield Serving(ChatClient(self._endpoint.url, self._endpoint.api_key, self._config.request_timeout_s))


def read_endpoint(
    url: str, base: str | None, tuned: str | None, key_variable: str | None, adapter: Path | None
) -> Endpoint:
    """An endpoint as the command line names it; the key itself stands only in the environment.

    Raises:
        EvalError: the variable is not set.
    """
    names: dict[Arm, str] = {}
    if base is not None:
        names["base"] = base
    if tuned is not None:
        names["tuned"] = tuned
    key = "" if key_variable is None else os.environ.get(key_variable, "")
    if key_variable is not None and not key:
        raise EvalError(f"--api-key-env {key_variable}: the variable is not set", f"export {key_variable}=KEY first")
    return Endpoint(url, names, key, adapter)


def endpoint_group(endpoint: Endpoint, config: EvalConfig) -> EndpointGroup:
    """Look at the endpoint before anything is asked of it.

    Raises:
        EvalError: the address is wrong, nothing answers there, the key is refused, or it does not serve a name.
    """
    if URL(endpoint.url).scheme not in ("http", "https") or not URL(endpoint.url).host:
        raise EvalError(f"--endpoint {endpoint.url}: not an address", "give its root, like http://HOST:PORT/v1")
    if not endpoint.names:
        raise EvalError("no model to evaluate", "give --tuned NAME, --base NAME or both")
    cards, version = asyncio.run(_look(endpoint))
    specs: dict[Arm, ArmSpec] = {}
    for arm, name in endpoint.names.items():
        card = None if cards is None else cards.get(name)
        if cards is not None and card is None:
            served = ", ".join(sorted(cards)[:20]) or "none"
            raise EvalError(f"{endpoint.shown} serves no model '{name}'", f"it serves: {served}")
        aliases = _aliases(name, cards or {}) | set(config.served_as.get(name, ()))
        specs[arm] = _spec(endpoint, arm, name, card, version, aliases)
    return EndpointGroup(endpoint, specs, config)


async def _look(endpoint: Endpoint) -> tuple[dict[str, Json] | None, str | None]:
    """What it serves, None where it does not say; and vLLM's version, where it says."""
    async with ChatClient(endpoint.url, endpoint.api_key, _PROBE_TIMEOUT_S) as client:
        try:
            cards = {card["id"]: card for card in await client.model_cards()}
        except EngineError as error:
            if error.status in (401, 403):
                raise EvalError(
                    f"{endpoint.shown} refuses the key: {error.message}", "name the variable with --api-key-env"
                ) from None
            if error.status not in _NO_LIST:
                raise EvalError(
                    f"no endpoint answers at {endpoint.shown}: {error.message}",
                    "start it, or mend --endpoint (the root that ends in /v1)",
                ) from None
            return None, None
        return cards, await client.server_version()


def _aliases(name: str, cards: Mapping[str, Json]) -> frozenset[str]:
    """Other names of one model: its `root`, and those listed with the same root, as vLLM lists its served names.

    The root of an adapter is no alias where it is the model under it.
    """
    card = cards.get(name, {})
    root, parent = card.get("root"), card.get("parent")
    if not root or root == parent:
        return frozenset()
    alike = {other for other, its in cards.items() if (its.get("root"), its.get("parent")) == (root, parent)}
    return frozenset({str(root), *alike} - {name})


def _spec(
    endpoint: Endpoint, arm: Arm, name: str, card: Json | None, version: str | None, aliases: frozenset[str]
) -> ArmSpec:
    """The identity of a model that only its server knows: names and versions, since weights cannot be seen."""
    known = {key: card[key] for key in ("root", "parent", "owned_by") if card and card.get(key)}
    adapter = artefact_digest(endpoint.adapter) if arm == "tuned" and endpoint.adapter is not None else None
    server = f"vLLM {version}" if version else "unknown"
    unknown = ["weights", "chat template"]
    if not version:
        unknown.append("server version")
    if adapter is None and known.get("parent"):
        unknown.append("adapter")
    facts: Json = {"endpoint": endpoint.shown, "unknown": unknown}
    if known:
        facts["card"] = known
    if adapter is not None:
        facts["adapter"] = adapter
    digest = sha256_bytes(canonical_json([endpoint.shown, name, known, adapter]).encode())
    return ArmSpec(name, name, digest, server, facts, aliases)
