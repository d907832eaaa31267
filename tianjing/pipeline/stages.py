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


def weights(train: Mapping[str, Any], folder: Path) -> Path:
    """Where the model stands that is evaluated and served: tuned in full, or merged with its adapter."""
    return folder / ("tuned" if train.get("tune") == "full" else "merged")


def tuning(
    train: Mapping[str, Any], dataset: Path, model: Path, folder: Path, suffix: str = ""
) -> tuple[tuple[Stage, ...], Path | None]:
    """The stages from a dataset to `weights`, and the adapter between them; None where all weights are tuned."""
    whole = weights(train, folder)
    base = ("--model", str(model))
    adapter = None if train.get("tune") == "full" else folder / "adapter"
    trained = adapter or whole
    command = ("train", "run", str(dataset), *base, "--out", str(trained))
    run = Stage(f"train{suffix}", "training", command, (dataset, model, *_earlier(train)), trained, train)
    if adapter is None:
        return (run,), None
    command = ("train", "merge", str(adapter), *base, "--out", str(whole))
    return (run, Stage(f"merge{suffix}", "training", command, (adapter, model), whole, None)), adapter


def stages(config: PipelineConfig, raw: Path, model: Path, out: Path, on_error: OnError) -> list[Stage]:
    """The stages in order, for resolved paths of the raw folder and the base model."""
    knowledge, dataset, evals, release = out / "knowledge", out / "dataset", out / "evals", out / "release.json"
    unreleased = () if config.require_release else ("--allow-unreleased",)
    tune, adapter = tuning(config.train, dataset, model, out)
    merged = weights(config.train, out)
    adapters = (adapter,) if adapter else ()
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
        *tune,
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
                *(part for folder in adapters for part in ("--adapter", str(folder))),
                # What the verdict means for the run is decided here, by `require_release`.
                *("--merged", str(merged), "--dataset", str(dataset), "--exit-zero"),
            ),
            (evals, model, *adapters, merged, dataset),
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
