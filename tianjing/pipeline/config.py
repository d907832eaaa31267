"""A pipeline file: what goes in, where results go, and one section of settings for each stage."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tianjing.config import StrictModel, load_yaml, parse
from tianjing.errors import TianjingError


class DataSection(StrictModel):
    """Settings of the two data commands."""

    extract: dict[str, Any] = {}
    """Fields of data_recipes.config.ExtractConfig."""

    build: dict[str, Any] = {}
    """Fields of data_recipes.config.BuildConfig."""


class PipelineConfig(StrictModel):
    """One pipeline file, e.g. examples/quickstart.yaml."""

    name: str
    """Names the run; the default output folder is runs/NAME."""

    raw: str | None = None
    """Raw folder, relative to this file. None: it must be given with --data or TIANJING_DATA."""

    raw_help: str = ""
    """Printed when the raw folder is not given: where to get the material."""

    model: str = "embedded"
    """Base model: a folder, `embedded`, `tiny` or a hub id."""

    require_release: bool = True
    """Stop with exit status 3 when the gate does not promote; false serves knowingly without a release."""

    data: DataSection = DataSection()
    """Settings of `data extract` and `data build`."""

    train: dict[str, Any] = {}
    """Fields of training.config.TrainConfig."""

    evaluate: dict[str, Any] = {}
    """Fields of evals.config.EvalConfig."""

    gate: dict[str, Any] = {}
    """Fields of evals.gate.GatePolicy."""

    serve: dict[str, Any] = {}
    """Fields of serving.config.ServeConfig."""

    def sections(self) -> dict[str, Mapping[str, Any]]:
        """Section path -> values, for every stage."""
        return {
            "data.extract": self.data.extract,
            "data.build": self.data.build,
            "train": self.train,
            "evaluate": self.evaluate,
            "gate": self.gate,
            "serve": self.serve,
        }


# The stages own their configuration; they are imported by name, when a pipeline is read.
_MODELS = {
    "data.extract": "data_recipes.config:ExtractConfig",
    "data.build": "data_recipes.config:BuildConfig",
    "train": "training.config:TrainConfig",
    "evaluate": "evals.config:EvalConfig",
    "gate": "evals.gate.policy:GatePolicy",
    "serve": "serving.config:ServeConfig",
    "negotiate": "evals.negotiation.config:NegotiationEvalConfig",
}


def load_pipeline(path: Path) -> PipelineConfig:
    """Read a pipeline file and check every section before anything runs.

    Raises:
        TianjingError: for an unknown key, naming it and the allowed ones; for a wrong value, the field.
    """
    if not path.is_file():
        shipped = ", ".join(str(p) for p in sorted(Path("examples").glob("*.yaml")))
        raise TianjingError(f"{path}: no such pipeline file", f"shipped ones: {shipped}" if shipped else "")
    config = parse(PipelineConfig, load_yaml(path), str(path), path)
    check_sections(config.sections(), path)
    if config.train.get("scenes"):
        raise TianjingError(
            f"{path}: train.scenes: a pipeline merges, judges and serves one adapter",
            "leave it out, and train the scenes with: tianjing train run DATASET --scene NAME",
        )
    return config


def check_sections(sections: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Check the settings of every section against its stage's own configuration; raises as `load_pipeline`."""
    for section, values in sections.items():
        module, name = _MODELS[section].split(":")
        model: type[BaseModel] = getattr(importlib.import_module(module), name)
        parse(model, dict(values), str(path), path, section)
