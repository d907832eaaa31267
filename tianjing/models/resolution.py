"""Turn the name of a base model into a folder on this machine.

Order: an existing folder; the reserved names `embedded` and `tiny`; a hub id in the hub's local cache; a download.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tianjing.lineage import artefact_digest
from tianjing.models import hub
from tianjing.models.embedded import ensure_embedded
from tianjing.models.errors import ModelError
from tianjing.models.progress import OnPhase, PhaseProgress
from tianjing.models.tiny import ensure_tiny

RESERVED = ("embedded", "tiny")


@dataclass(frozen=True)
class ResolvedModel:
    """A base model on this machine."""

    path: Path
    name: str
    """As the user gave it."""
    source: Literal["path", "embedded", "tiny", "hub cache", "hub"]

    @functools.cached_property
    def digest(self) -> str:
        """`artefact_digest` of the folder. Reads every file of a model that has no manifest: about a second a GB."""
        return artefact_digest(self.path)


def resolve(name: str, on_phase: OnPhase | None = None) -> ResolvedModel:
    """The folder of a base model, fetched or built if need be.

    A model that is here is used without any hub being asked, and libraries loaded afterwards, and child processes,
    are told not to ask either (`HF_HUB_OFFLINE`).

    Args:
        name: a local folder, `embedded`, `tiny`, or a hub id such as `Qwen/Qwen3-4B`.
        on_phase: receives phases; None shows them on stderr.

    Raises:
        ModelError: within seconds, what was tried and what to do.
    """
    if on_phase is None:
        with PhaseProgress() as shown:
            return resolve(name, shown)
    found = _local(name, on_phase)
    if found is not None:
        hub.silence()
        return found
    if hub.offline():
        raise ModelError(
            f"model '{name}': no such folder, not in the hub's local cache, and HF_HUB_OFFLINE forbids to ask the hub",
            "unset HF_HUB_OFFLINE, give a local model folder, or use 'embedded'",
        )
    on_phase(f"downloading {name}", 0.0)
    return ResolvedModel(hub.download(name), name, "hub")


def _local(name: str, on_phase: OnPhase) -> ResolvedModel | None:
    folder = Path(name).expanduser()
    if folder.is_dir() and (name not in RESERVED or (folder / "config.json").is_file()):
        _check_folder(folder)
        return ResolvedModel(folder.resolve(), name, "path")
    if name == "embedded":
        return ResolvedModel(ensure_embedded(on_phase), name, "embedded")
    if name == "tiny":
        return ResolvedModel(ensure_tiny(on_phase), name, "tiny")
    if not hub.is_hub_id(name):
        raise ModelError(
            f"model '{name}': no such folder, and not the form of a hub id",
            "give an existing model folder, a hub id such as Qwen/Qwen3-4B, 'embedded' or 'tiny'",
        )
    path = hub.cached(name)
    return ResolvedModel(path, name, "hub cache") if path else None


def _check_folder(folder: Path) -> None:
    if hub.is_complete(folder):
        return
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"model '{folder}': holds an adapter, not a base model",
            f"merge it first: tianjing train merge {folder} --out DIR",
        )
    missing = "weights named by its index, or any" if (folder / "config.json").is_file() else "config.json"
    raise ModelError(
        f"model '{folder}': the folder lacks {missing}",
        "give the folder of a model as transformers saves it, or finish its download",
    )
