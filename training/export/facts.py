"""What the papers say, gathered from manifests and files. What nothing states is left out, never guessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from training.export.quantise import Quantised
from training.origin import Origin, Source

_LONGEST_LICENCE = 60
_WEIGHTS = (".safetensors",)
# Of what the manifests record: what training and merging compute with.
LIBRARIES = ("accelerate", "datasets", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")


@dataclass(frozen=True)
class Library:
    """A library the weights were made with."""

    name: str
    version: str
    licence: str | None
    """As its package states it; None where this version is not installed here or states none."""


@dataclass(frozen=True)
class Facts:
    """Everything a card or a bill of materials tells."""

    origin: Origin
    base_name: str
    """Hub id where the base's folder records one, else the folder's name."""
    base_licence: str | None
    architecture: str | None
    """Class of the base, from its `config.json`."""
    ledger: tuple[dict[str, Any], ...] | None
    """Sources of the dataset with licence and rows; None where the dataset is not on this machine."""
    tasks: dict[str, int] | None
    """Task -> rows of the dataset's training split; None where the dataset is not on this machine."""
    losses: tuple[float, ...]
    """Of each optimiser step."""
    libraries: tuple[Library, ...]
    files: dict[str, str]
    """SHA-256 of the files that hold weights, by name."""
    quantised: Quantised | None = None
    """How the weights that are handed over were quantised."""

    @property
    def raw(self) -> list[Source]:
        """What the dataset was made from, down to the raw files, as far as manifests reach; and in the same way the
        adapter that training went on from and the older dataset that it replayed, themselves too."""
        origin = self.origin
        found = origin.dataset.walk()[1:]
        named = {origin.base.sha256, *(source.sha256 for source in origin.dataset.walk())}
        for source in (source for one in origin.earlier for source in one.walk()):
            if source.sha256 not in named:
                named.add(source.sha256)
                found.append(source)
        return found


def gather(origin: Origin) -> Facts:
    """Read what stands beside the weights, in the dataset and in the base."""
    base, dataset = origin.base, origin.dataset
    config = _json(base.path / "config.json")
    source = _json(base.path / "source.json")
    ledger = tasks = None
    if dataset.manifest is not None:
        found = _json(dataset.path / "licences.json").get("sources")
        ledger = tuple(found) if found is not None else None
        counts = dataset.manifest.counts
        rows = {name.removesuffix("/train"): n for name, n in counts.items() if name.endswith("/train")}
        tasks = {name: n for name, n in rows.items() if isinstance(n, int)} or None
    lines = (origin.run_directory / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    return Facts(
        origin=origin,
        base_name=source.get("model") or base.name,
        base_licence=source.get("licence") or _front_matter(base.path / "README.md").get("license"),
        architecture=next(iter(config.get("architectures") or ()), None),
        ledger=ledger,
        tasks=tasks,
        # Between them stand the validation losses.
        losses=tuple(entry["loss"] for entry in map(json.loads, lines) if "loss" in entry),
        libraries=tuple(
            Library(name, version, _licence(name, version))
            for name, version in origin.manifest.versions.items()
            if name in LIBRARIES
        ),
        files={record.path: record.sha256 for record in origin.manifest.files if record.path.endswith(_WEIGHTS)},
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _front_matter(path: Path) -> dict[str, Any]:
    """The YAML that opens a model card, as hubs write it."""
    import yaml

    try:
        parts = path.read_text(encoding="utf-8").split("---\n", 2)
        value = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return value if isinstance(value, dict) else {}


def _licence(name: str, version: str) -> str | None:
    """An expression, a short name, or the classifier, in this order."""
    try:
        found: Any = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if found["Version"] != version:
        return None
    stated = found.get("License-Expression") or found.get("License") or ""
    if stated and len(stated) <= _LONGEST_LICENCE and "\n" not in stated:
        return stated
    classifiers = found.get_all("Classifier") or []
    return next((line.rsplit(" :: ", 1)[1] for line in classifiers if line.startswith("License :: ")), None)
