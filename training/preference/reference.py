"""The reference of preference training: what the model said of every answer before the first step, computed once.

It is kept in the run's work folder, so that a run that is gone on from compares with the same numbers.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tianjing.files import atomic_write, canonical_json, sha256_bytes
from training.preference.batches import PairCollator
from training.preference.trainer import PreferenceTrainer
from training.ranks import agreed

_FILE = "reference.json"
_PARTS = ("data_collator", "validation_collator")

Values = dict[str, list[list[float]]]


def take_reference(trainer: PreferenceTrainer, folder: Path, console: Console) -> None:
    """Give the trainer's collators the log-probabilities of the model as it stands, or those kept in `folder`.

    To be called in every process, before the first step and before a checkpoint is loaded.
    """
    values = agreed(lambda: _kept(folder))
    if values is None:
        values = _computed(trainer, console)
        if trainer.args.should_save:
            digest = sha256_bytes(canonical_json(values).encode())
            atomic_write(folder / _FILE, json.dumps({"sha256": digest, "values": values}))
    for part in _PARTS:
        setattr(trainer, part, dataclasses.replace(getattr(trainer, part), reference=values[part]))


def _computed(trainer: PreferenceTrainer, console: Console) -> Values:
    collators: dict[str, PairCollator] = {part: getattr(trainer, part) for part in _PARTS}
    values: Values = {}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("what the reference says", total=sum(len(one.pairs) for one in collators.values()))
        for part, collate in collators.items():
            values[part] = trainer.reference_of(collate, lambda done: progress.advance(bar, done))
    console.print(f"reference of {sum(map(len, values.values()))} pairs: the model before its first step")
    return values


def _kept(folder: Path) -> Values | None:
    """What an earlier start of the run computed; None if there is none, or it is not what was written."""
    try:
        found: Any = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        values: Values = found["values"]
        sound = found["sha256"] == sha256_bytes(canonical_json(values).encode())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return values if sound else None
