"""What the tests of the registry share: weights, releases, an engine that is played, and a registry over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from serving.adapters.compose import following_registry, owning_registry
from serving.adapters.configured import Configured, vouched
from serving.adapters.engines import Weights
from serving.adapters.loader import Loader
from serving.adapters.registry import Registry
from serving.adapters.settings import AdapterSettings, CanarySettings
from serving.adapters.state import Version
from serving.audit.base import NoAudit
from serving.errors import ApiError, ServeError
from tianjing.lineage import artefact, artefact_digest, keygen, sign_release

NAME = "tianjing"
BASE = "b" * 64
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"}


def write_adapter(folder: Path, weights: bytes = b"weights", **config: Any) -> Path:
    """An adapter as `tianjing train run` leaves it, of no real weights."""
    with artefact(folder, kind="adapter") as work:
        (work.dir / "adapter_config.json").write_text(json.dumps(CONFIG | config))
        (work.dir / "adapter_model.safetensors").write_bytes(weights)
    return folder


def write_merged(folder: Path, weights: bytes = b"merged") -> Path:
    """Merged weights, of no real model."""
    with artefact(folder, kind="merged") as work:
        (work.dir / "config.json").write_text("{}")
        (work.dir / "model.safetensors").write_bytes(weights)
    return folder


@dataclass
class Clock:
    """Time that only the test moves."""

    now: float = datetime(2026, 11, 1, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class PlayedLoader(Loader):
    """An engine's adapters without an engine; `fails` makes the next loads fail."""

    there: dict[str, Path] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)

    async def load(self, engine_name: str, folder: Path) -> None:
        if self.fails:
            raise ServeError(self.fails.pop(), "mend it")
        assert engine_name not in {name for _, name in self.seen}, "a name was used twice"
        assert (folder / "adapter_model.safetensors").is_file()
        self.seen.append(("load", engine_name))
        self.there[engine_name] = folder

    async def unload(self, engine_name: str) -> None:
        self.seen.append(("unload", engine_name))
        self.there.pop(engine_name, None)

    async def loaded(self) -> set[str]:
        return {NAME, *self.there}


@dataclass
class PlayedEngines:
    """Engines that are started and stopped by name."""

    running: dict[str, Weights] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    async def start(self, weights: Weights) -> str:
        group = f"group-{weights.engine_name}"
        self.running[group] = weights
        return group

    async def stop(self, group: str) -> None:
        self.stopped.append(group)
        self.running.pop(group, None)


@dataclass
class KeptAudit(NoAudit):
    """Keeps events; `down` refuses them."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    down: bool = False

    async def event(self, kind: str, details: Mapping[str, Any]) -> None:
        if self.down:
            raise ApiError(503, "the audit log cannot be written", retry_after_s=5)
        self.events.append((kind, dict(details)))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class Bench:
    """A folder with a signer, weights and a registry's state; `registry()` opens a process's view of it."""

    def __init__(self, folder: Path, **settings: Any):
        self.folder = folder
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.signer = folder / "release.pem"
        if not self.signer.exists():
            keygen(self.signer)
        defaults = {"settle_s": 0, "poll_s": 0.01, "roots": (self.inbox,), "canary": CanarySettings(min_requests=5)}
        self.settings = AdapterSettings(**defaults | settings)
        self.loader = PlayedLoader("default", "http://127.0.0.1:1", "s", max_loras=3, max_rank=64)
        self.engines = PlayedEngines()
        self.audit = KeptAudit()
        self.clock, self.steady = Clock(), Clock(0.0)
        self.base: str | None = BASE

    def registry(self, runtime_lora: bool = True, owner: bool = True) -> Registry:
        if not owner:
            return following_registry(self.folder, self.settings, self.audit)
        return owning_registry(
            self.folder,
            self.settings,
            self.audit,
            self.configured(),
            self.engines,
            temperature=0.3,
            trusted=self.signer.with_suffix(".pub"),
            loader=self.loader if runtime_lora else None,
            base=self.base,
            clock=self.clock,
            steady=self.steady,
        )

    def configured(self) -> Configured:
        """Merged weights; released where `configured.json` lies in the inbox."""
        folder, release = self.folder / "configured", self.inbox / "configured.json"
        if not folder.exists():
            write_merged(folder)
        proof = release if release.exists() else None
        weights = vouched(
            folder, proof, 0.3, self.signer.with_suffix(".pub"), knowingly=proof is None, now=self.clock()
        )
        return Configured(NAME, NAME, weights, release_file=proof)

    def adapter(self, name: str = "one", weights: bytes | None = None, **config: Any) -> Path:
        return write_adapter(self.inbox / name, weights or name.encode(), **config)

    def release(self, weights: Path, name: str = "release.json", **changes: Any) -> Path:
        """A release that promotes `weights` until a day after the clock's time."""
        digests: dict[str, Any] = dict.fromkeys(("dataset", "evaluation", "policy", "merged"), "0" * 64)
        digest = artefact_digest(weights)
        digests |= {"base": BASE, "adapter": digest, "merged": digest}
        now = datetime.now(UTC)
        body = {"verdict": "promote", "temperature": 0.3, "created": now - timedelta(days=2), **digests}
        body["expires"] = now + timedelta(days=1)
        path = self.inbox / name
        path.write_text(json.dumps(sign_release({**body, **changes}, self.signer)), encoding="utf-8")
        return path

    async def added(self, registry: Registry, version: str = "one", **more: Any) -> Version:
        """A released adapter of that name, added."""
        folder = self.adapter(version, **more)
        release = self.release(folder, f"{version}.json")
        return await registry.add(NAME, version, folder, release, None, "ops/k1")
