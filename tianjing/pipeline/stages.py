"""The stages of the main job: the command of each, what it reads and what it writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tianjing.files import OnError
from tianjing.pipeline.config import PipelineConfig


@dataclass(frozen=True)
class Stage:
    """One step: `arguments` after `tianjing`, read from `inputs`, written to `output`."""

    name: str
    package: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...]
    output: Path
    settings: Mapping[str, Any] | None
    also: tuple[str, ...] = ()
    """Further packages that the output depends on, beside `package` and the shared vocabulary."""

    def command(self, config_file: Path | None) -> list[str]:
        """The full command line; `config_file` holds `settings`."""
        config = ["--config", str(config_file)] if config_file else []
        return [sys.executable, "-m", "tianjing", *self.arguments, *config]


def stages(config: PipelineConfig, raw: Path, model: Path, out: Path, on_error: OnError) -> list[Stage]:
    """The stages in order, for resolved paths of the raw folder and the base model."""
    knowledge, dataset, adapter = out / "knowledge", out / "dataset", out / "adapter"
    merged, evals, release = out / "merged", out / "evals", out / "release.json"
    unreleased = () if config.require_release else ("--allow-unreleased",)
    base = ("--model", str(model))
    return [
        Stage(
            "extract",
            "data_recipes",
            ("data", "extract", str(raw), "--out", str(knowledge), "--on-error", on_error),
            (raw,),
            knowledge,
            config.data.extract,
        ),
        Stage(
            "build",
            "data_recipes",
            ("data", "build", str(knowledge), "--out", str(dataset)),
            (knowledge, *_decisions(config.data.build)),
            dataset,
            config.data.build,
        ),
        Stage(
            "train",
            "training",
            ("train", "run", str(dataset), *base, "--out", str(adapter)),
            (dataset, model, *_earlier(config.train)),
            adapter,
            config.train,
        ),
        Stage(
            "merge",
            "training",
            ("train", "merge", str(adapter), *base, "--out", str(merged)),
            (adapter, model),
            merged,
            None,
        ),
        Stage(
            "evaluate",
            "evals",
            ("eval", "run", str(dataset), "--base", str(model), "--tuned", str(merged), "--out", str(evals)),
            (dataset, model, merged),
            evals,
            config.evaluate,
        ),
        Stage(
            "gate",
            "evals",
            (
                *("eval", "gate", str(evals), "--out", str(release), "--base", str(model)),
                *("--adapter", str(adapter), "--merged", str(merged), "--dataset", str(dataset)),
            ),
            (evals, model, adapter, merged, dataset),
            release,
            config.gate,
        ),
        Stage(
            "report",
            "evals",
            ("eval", "report", str(evals), "--release", str(release), "--out", str(out / "report.html")),
            (evals, release),
            out / "report.html",
            None,
        ),
        Stage(
            "serve_check",
            "serving",
            ("serve", "check", str(merged), "--release", str(release), "--out", str(out / "serving"), *unreleased),
            (merged, release),
            out / "serving",
            config.serve,
        ),
    ]


def _earlier(train: Mapping[str, Any]) -> tuple[Path, ...]:
    """The adapter that training goes on from and the dataset that it replays, if it does."""
    named = (train.get("adapter"), (train.get("replay") or {}).get("dataset"))
    return tuple(Path(path) for path in named if path is not None)


def _decisions(build: Mapping[str, Any] | None) -> tuple[Path, ...]:
    """The decisions of a review that the dataset is built by: new ones call for another build."""
    named = (build or {}).get("decisions")
    return (Path(named),) if named else ()
