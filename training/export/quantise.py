"""Quantised weights for serving, made by llm-compressor in an environment of its own and looked at afterwards.

Its pins fit no environment that trains or serves here, so it is another interpreter that runs `compress.py`; what it
reads and writes are files.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tianjing.dataset import read_examples
from tianjing.files import write_jsonl
from tianjing.order import order_key
from training.errors import TrainingError
from training.export import compress
from training.origin import Origin
from training.rows import TokenRow, stop_tokens, tokenize

Scheme = Literal["fp8", "w4a16"]

# Where an environment is looked for when none is named.
ENVIRONMENT = Path(".venv-llmcompressor")
# Of GPTQ: more rows change the weights little, and each is a forward pass of every layer.
CALIBRATION_ROWS = 256
CHECK_ROWS = 64
# What compressed-tensors writes of each scheme: bits and type of the weights.
_WEIGHTS = {"fp8": (8, "float"), "w4a16": (4, "int")}
_INSTALL = f"python -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install llmcompressor"


@dataclass(frozen=True)
class Quantised:
    """What was made, from what, and how far it is from the original."""

    scheme: Scheme
    calibration_rows: int
    """Of the training split; 0 where the scheme needs none."""
    seed: int
    """That drew them."""
    check: dict[str, float]
    """As `compress.compare` gives it."""
    versions: dict[str, str]
    """Of the libraries that made it."""


def interpreter(given: Path | None) -> Path:
    """The python that has llm-compressor: `given`, or that of `.venv-llmcompressor`.

    Raises:
        TrainingError: there is none, or it lacks llm-compressor; says how to install it.
    """
    python = given or ENVIRONMENT / "bin" / "python"
    if not python.is_file():
        raise TrainingError(
            f"{python}: no such interpreter; --quantize needs one with llm-compressor",
            f"{_INSTALL}, or name one: --llmcompressor-python PATH",
        )
    has_it = "import importlib.util, sys; sys.exit(importlib.util.find_spec('llmcompressor') is None)"
    if subprocess.run([python, "-c", has_it], capture_output=True, check=False).returncode:
        raise TrainingError(f"{python}: has no llm-compressor", f"{python} -m pip install llmcompressor")
    return python


def check_origin(origin: Origin) -> None:
    """Whether weights can be quantised.

    Raises:
        TrainingError: they are an adapter, or the dataset to look at them with is not at hand.
    """
    if not origin.is_whole:
        raise TrainingError(
            f"{origin.directory}: is an adapter, and only a whole model can be quantised",
            f"merge it first: tianjing train merge {origin.directory} --model BASE --out MERGED",
        )
    if origin.dataset.manifest is None:
        raise TrainingError(
            f"{origin.dataset.path}: the dataset of these weights (sha256 {origin.dataset.sha256[:16]}…) is not there; "
            "its rows calibrate and compare",
            "put it back, or quantise where it is",
        )


def quantise(origin: Origin, folder: Path, scheme: Scheme, python: Path) -> Quantised:
    """Write the quantised model of `origin` to `folder` and compare it with the original on held-out rows.

    Raises:
        TrainingError: llm-compressor failed, with its last lines; or what it wrote is not what was asked for.
    """
    check_origin(origin)
    seed = int(origin.run.parameters.get("seed", 0))
    calibration = _rows(origin, "train", CALIBRATION_ROWS, seed) if scheme == "w4a16" else []
    held_out = _rows(origin, "validation", CHECK_ROWS, seed) or _rows(origin, "train", CHECK_ROWS, seed)
    if not held_out or (scheme == "w4a16" and not calibration):
        raise TrainingError(f"{origin.dataset.path}: no row to calibrate or compare with", "give a dataset with rows")
    with tempfile.TemporaryDirectory() as exchange:
        place = Path(exchange)
        for name, rows in (("calibration", calibration), ("check", held_out)):
            write_jsonl(place / name, [{"input_ids": row.input_ids, "labels": row.labels} for row in rows])
        order = {name: str(place / name) for name in ("calibration", "check", "result")}
        order |= {"model": str(origin.directory.absolute()), "out": str(folder.absolute()), "scheme": scheme}
        (place / "order.json").write_text(json.dumps(order), encoding="utf-8")
        _run(python, place / "order.json")
        result = json.loads((place / "result").read_text(encoding="utf-8"))
    versions = result.pop("versions")
    check_files(origin.directory, folder, scheme)
    check_result(result)
    return Quantised(scheme, len(calibration), seed, result, versions)


def check_files(original: Path, quantised: Path, scheme: Scheme) -> None:
    """Whether `quantised` says what it is, and has a scale for every matrix of the layers of `original`.

    Raises:
        TrainingError: names what is missing.
    """
    path = quantised / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")).get("quantization_config") or {}
    groups = config.get("config_groups") or {}
    found = {(group["weights"]["num_bits"], group["weights"]["type"]) for group in groups.values()}
    if config.get("quant_method") != "compressed-tensors" or found != {_WEIGHTS[scheme]}:
        raise TrainingError(
            f"{path}: is not the configuration of {scheme} weights in compressed-tensors", _OTHER_VERSION
        )
    scaled = set(_shapes(quantised))
    for name, shape in _shapes(original).items():
        if ".layers." in name and len(shape) == 2 and f"{name}_scale" not in scaled:
            raise TrainingError(f"{quantised}: {name} was not quantised: it has no scale", _OTHER_VERSION)


def check_result(check: dict[str, float]) -> None:
    """Whether the quantised model computes at all; how much worse it may be, an evaluation says.

    Raises:
        TrainingError: its loss is not a finite number.
    """
    if not math.isfinite(check["quantised_loss"] + check["logit_difference"]):
        raise TrainingError(
            f"the quantised model's loss is {check['quantised_loss']:g}",
            "use the other scheme, or serve the model as it is",
        )


_OTHER_VERSION = "this was written by a version of llm-compressor that works otherwise; 0.14 was tried"


def _rows(origin: Origin, split: str, count: int, seed: int) -> list[TokenRow]:
    """Up to `count` rows of a split, drawn with `seed` by a hash of their ids; none where there is no such split."""
    from transformers import AutoTokenizer

    file = origin.dataset.path / f"{split}.parquet"
    if not file.is_file():
        return []
    tokenizer = AutoTokenizer.from_pretrained(origin.directory, local_files_only=True)
    examples = sorted(read_examples(file), key=lambda row: order_key(seed, row.id))
    longest = int(origin.run.parameters.get("max_length_tokens", 1 << 40))
    stops = stop_tokens(tokenizer, origin.directory)
    rows: list[TokenRow] = []
    for example in examples:  # one at a time: a large dataset is not tokenised for a few of its rows
        rows += tokenize([example], tokenizer, longest, stops=stops).rows
        if len(rows) == count:
            break
    return rows


def _run(python: Path, order: Path) -> None:
    """Run the script with nothing of this environment but the order."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(python.absolute()), str(compress.__file__), str(order)],
        env=environment | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n  ".join(done.stderr.strip().splitlines()[-5:])
        raise TrainingError(
            f"llm-compressor ended with status {done.returncode}:\n  {last}",
            "mend what it names; 4-bit weights need matrices whose inputs are a multiple of 128",
        )


def _shapes(folder: Path) -> dict[str, Sequence[int]]:
    """Shape of every tensor in the weight files of a folder, by name."""
    from safetensors import safe_open

    found: dict[str, Any] = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            found |= {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    return found
