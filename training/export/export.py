"""A folder to hand over: the weights as they are, and beside them who made them from what."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from tianjing.console import make_console
from tianjing.files import sha256_file
from tianjing.lineage import artefact
from training.export import quantise
from training.export.bom import bom
from training.export.card import card
from training.export.facts import gather
from training.origin import Origin, read_origin, require_unchanged_files

CARD, BOM, LINEAGE = "README.md", "bom.cdx.json", "lineage.json"
console = make_console(stderr=True)


def export(weights: Path, out: Path, scheme: quantise.Scheme | None = None, python: Path | None = None) -> None:
    """Copy an adapter, merged weights or a model tuned in full to `out`, with card, bill of materials and lineage.

    Every file is first compared with its digest: papers on other bytes would be worse than none.

    Args:
        scheme: quantise a whole model on the way, and compare it with the original.
        python: interpreter that has llm-compressor (`training.export.quantise.interpreter`).

    Raises:
        TrainingError: a file was changed since it was written; it cannot be quantised; or `read_origin`'s reasons.
    """
    origin = read_origin(weights)
    if scheme:
        quantise.check_origin(origin)
        python = quantise.interpreter(python)
    with console.status(f"comparing {weights} with its digests"):
        require_unchanged_files(weights)
    facts = gather(origin)
    lineage = {
        "weights": {"kind": origin.manifest.kind, "sha256": origin.manifest.digest},
        **({"adapter": {"sha256": origin.run.digest}} if origin.has_adapter else {}),
        "base": origin.base.as_json(),
        "dataset": origin.dataset.as_json(),
        **({"earlier": [source.as_json() for source in origin.earlier]} if origin.earlier else {}),
    }
    inputs, parameters = ([weights, origin.dataset.path], {"quantize": scheme}) if scheme else ([weights], {})
    what = f"quantising {weights} to {scheme}" if scheme else f"writing {out}"
    with artefact(out, kind="export", inputs=inputs, parameters=parameters) as work, console.status(what):
        if scheme and python:
            made = quantise.quantise(origin, work.dir, scheme, python)
            files = {path.name: sha256_file(path) for path in sorted(work.dir.glob("*.safetensors"))}
            facts = replace(facts, quantised=made, files=files)
        else:
            _copy(origin, work.dir)
        (work.dir / CARD).write_text(card(facts), encoding="utf-8")
        for name, value in ((BOM, bom(facts)), (LINEAGE, lineage)):
            text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
            (work.dir / name).write_text(text, encoding="utf-8")
    missing = (
        "" if origin.dataset.manifest else "; the dataset is not at hand, so the card names it by its digest alone"
    )
    if facts.quantised:
        check = facts.quantised.check
        console.print(
            f"{scheme}: loss {check['quantised_loss']:.4f} for {check['loss']:.4f} on {check['rows']} rows, the same "
            f"first choice at {check['same_choice']:.1%} of {check['tokens']} tokens",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"{out}: {origin.manifest.kind}, {CARD}, {BOM}, {LINEAGE}{missing}", highlight=False, markup=False)


def _copy(origin: Origin, folder: Path) -> None:
    for record in origin.manifest.files:
        target = folder / record.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin.directory / record.path, target)
