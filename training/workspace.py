"""The work folder of a run: whose checkpoints it holds, and whether they are gone on from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from tianjing.files import atomic_write, canonical_json, sha256_bytes
from tianjing.lineage import LineageError, artefact_digest, check_target
from tianjing.locks import sole_writer
from training import adapter, full
from training.config import TrainConfig
from training.errors import TrainingError
from training.selection import Scene

Resume = Literal["auto", "never", "must"]

_RUN = "run.json"


def run_inputs(dataset: Path, model: Path, config: TrainConfig) -> dict[str, Path]:
    """What a run reads, by name, in the order in which a manifest names it (`training.origin`)."""
    inputs = {"dataset": dataset, "base model": model}
    if config.adapter is not None:
        inputs["adapter to go on from"] = Path(config.adapter)
    if config.replay is not None:
        inputs["replayed dataset"] = Path(config.replay.dataset)
    return inputs


def run_parameters(config: TrainConfig, scene: Scene | None) -> dict[str, Any]:
    """What the result depends on beside the inputs: the parameters of the artefact."""
    fields = config.result_fields()
    return fields if scene is None else fields | {"scene": scene.as_json()}


def run_parts(digests: dict[str, str], parameters: dict[str, Any]) -> dict[str, str]:
    """What makes a run this one, part by part, so that a difference can be named.

    Args:
        digests: of `run_inputs`.
    """
    return {**digests, "configuration": sha256_bytes(canonical_json(parameters).encode())}


def run_digest(parts: dict[str, str]) -> str:
    """One digest for all parts of a run."""
    return sha256_bytes(canonical_json(parts).encode())


def run_kind(config: TrainConfig) -> str:
    """Kind of the artefact that a run writes."""
    return full.KIND if config.tune == "full" else adapter.KIND


def require_unchanged(inputs: dict[str, Path], digests: dict[str, str]) -> None:
    """Whether the inputs still are what they were before the first of them was read.

    Args:
        digests: of `inputs`, as they were then.

    Raises:
        TrainingError: one is another now. It may have been read before or after that, and no manifest could say which.
    """
    for name, path in inputs.items():
        try:
            same = artefact_digest(path) == digests[name]
        except LineageError:
            same = False
        if not same:
            raise TrainingError(
                f"{path}: the {name} changed while it was trained on",
                "put it back as it was and give the same command again: the steps that were taken are kept; with what "
                "stands there now, training starts afresh",
            )


def require_target(out: Path, config: TrainConfig, inputs: dict[str, Path], steps_taken: bool = False) -> None:
    """Whether the artefact may be written to `out`.

    Args:
        steps_taken: only the artefact is left to write, so that another --out would cost all of the training.

    Raises:
        LineageError: `out` is an input, or holds what no training run wrote.
        TrainingError: the same, once the steps are taken.
    """
    try:
        check_target(out, run_kind(config), list(inputs.values()))
    except LineageError as error:
        if not steps_taken:
            raise
        remedy = "move this folder away and give the same command again: the steps that were taken are kept"
        raise TrainingError(error.message, remedy) from None


def hold(work: Path, until: ExitStack) -> None:
    """Keep other runs out of the work folder until `until` ends, or the process does.

    Raises:
        TianjingError: another process trains there.
        TrainingError: the place cannot be written to.
    """
    try:
        until.enter_context(sole_writer(work, work.with_name(f".{work.name}.lock")))
    except OSError as error:
        raise TrainingError(
            f"{work}: cannot be written: {error.strerror}", "check its permissions, or give --out another folder"
        ) from None


def claim(work: Path, parts: dict[str, str], resume: Resume, tell: Callable[[str], None]) -> None:
    """Make `work` the folder of this very run. What another run left there is removed, and `tell` says so.

    Raises:
        TrainingError: `resume` is `must`, and the folder holds nothing of this run.
    """
    if work.exists() and resume == "never":
        shutil.rmtree(work)
    standing = _standing(work)
    names = dict.fromkeys((*parts, *(standing or {})))
    other = [name for name in names if standing is not None and standing.get(name) != parts.get(name)]
    if resume == "must" and (standing is None or other):
        whose = f"those there are of another {' and '.join(other)}" if other else "there are none"
        raise TrainingError(f"--resume must: no checkpoint of this run in {work}: {whose}", *_MUST_REMEDY)
    if other:
        tell(f"the checkpoints in {work} are of another {' and '.join(other)}: starting afresh")
    if work.exists() and (standing is None or other):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    atomic_write(work / _RUN, json.dumps(parts, indent=2) + "\n")


def must_have(work: Path) -> TrainingError:
    """The error of a run that must resume where no checkpoint is usable."""
    return TrainingError(f"--resume must: no usable checkpoint in {work}", *_MUST_REMEDY)


_MUST_REMEDY = ("give the dataset, model, configuration and --out of the run that is to go on, or --resume auto",)


def _standing(work: Path) -> dict[str, str] | None:
    """The parts of the run whose folder this is; None if it is nobody's, or cannot be read."""
    try:
        value = json.loads((work / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
