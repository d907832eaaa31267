"""A folder to hand over: the weights as they are, and beside them who made them from what."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rich.console import Console

from tianjing.lineage import artefact, verify
from training.errors import TrainingError
from training.export.bom import bom
from training.export.card import card
from training.export.facts import gather
from training.origin import read_origin

CARD, BOM, LINEAGE = "README.md", "bom.cdx.json", "lineage.json"
console = Console(stderr=True)


def export(weights: Path, out: Path) -> None:
    """Copy an adapter, merged weights or a model tuned in full to `out`, with card, bill of materials and lineage.

    Every file is first compared with its digest: papers on other bytes would be worse than none.

    Raises:
        TrainingError: a file was changed since it was written; or `read_origin`'s reasons.
    """
    origin = read_origin(weights)
    with console.status(f"comparing {weights} with its digests"):
        differences = verify(weights)
    if differences:
        raise TrainingError(
            f"{weights}: is not what was written: {differences[0]}" + (" …" if len(differences) > 1 else ""),
            "train or merge again, and leave the folder as it is",
        )
    facts = gather(origin)
    lineage = {
        "weights": {"kind": origin.manifest.kind, "sha256": origin.manifest.digest},
        **({"adapter": {"sha256": origin.run.digest}} if origin.has_adapter else {}),
        "base": origin.base.as_json(),
        "dataset": origin.dataset.as_json(),
        **({"earlier": [source.as_json() for source in origin.earlier]} if origin.earlier else {}),
    }
    with artefact(out, kind="export", inputs=[weights]) as work, console.status(f"writing {out}"):
        for record in origin.manifest.files:
            target = work.dir / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(weights / record.path, target)
        (work.dir / CARD).write_text(card(facts), encoding="utf-8")
        for name, value in ((BOM, bom(facts)), (LINEAGE, lineage)):
            text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
            (work.dir / name).write_text(text, encoding="utf-8")
    missing = (
        "" if origin.dataset.manifest else "; the dataset is not at hand, so the card names it by its digest alone"
    )
    console.print(f"{out}: {origin.manifest.kind}, {CARD}, {BOM}, {LINEAGE}{missing}", highlight=False, markup=False)
