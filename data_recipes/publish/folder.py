"""The files of a dataset: rows, pairs, what was rejected, the teacher's work, licence ledger, Croissant and card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_recipes.publish.card import CardFacts, card, licences
from data_recipes.publish.croissant import croissant
from data_recipes.publish.licences import ledger_json
from data_recipes.teacher.writing import Taught
from tianjing.dataset import SPLITS, preference_file, write_examples, write_preferences
from tianjing.files import write_jsonl

NAME = "instruction-dataset"
DESCRIPTION = "Instruction data of a consumer-finance company: every row with its task, its sources and its licence."


def write_folder(
    folder: Path, facts: CardFacts, rejected: Sequence[dict[str, str]], taught: Taught | None = None
) -> None:
    """Write everything but the manifest; the same facts give the same bytes."""
    for split in SPLITS:
        write_examples(folder / f"{split}.parquet", [row for row in facts.rows if row.split == split])
    for split in SPLITS if facts.pairs else ():
        write_preferences(folder / preference_file(split), [pair for pair in facts.pairs if pair.split == split])
    write_jsonl(folder / "rejected.jsonl", rejected)
    if taught is not None:
        write_jsonl(folder / "teacher.jsonl", taught.accepted)
        write_jsonl(folder / "teacher_rejected.jsonl", taught.rejected)
    _write_json(folder / "licences.json", ledger_json(facts.ledger))
    metadata = croissant(folder, NAME, DESCRIPTION, licences(facts.ledger), ["zh"])
    _write_json(folder / "croissant.json", metadata)
    (folder / "README.md").write_text(card(facts), encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
