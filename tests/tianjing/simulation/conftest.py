"""The corpus of examples/raw, written once and read back through the strict records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tianjing.files import read_jsonl
from tianjing.records import Customer, Dialogue, Event, Outcome
from tianjing.simulation import simulate

CASES = 1600
SEED = 20260


@dataclass
class Corpus:
    """Records by file, and the rows of truth/dialogues.jsonl by what they tell."""

    folder: Path
    dialogues: list[Dialogue]
    events: list[Event]
    outcomes: list[Outcome]
    customers: list[Customer]
    parameters: dict[str, Any]
    truth: list[dict[str, Any]]

    @property
    def decisive(self) -> list[dict[str, Any]]:
        """Post-loan dialogues."""
        return [row for row in self.truth if "propensity" in row]

    @property
    def questions(self) -> list[dict[str, Any]]:
        asked = ((row["dialogue"], question) for row in self.truth for question in row.get("questions", ()))
        return [{"dialogue": dialogue, **question} for dialogue, question in asked]

    @property
    def noisy(self) -> list[str]:
        return [row["dialogue"] for row in self.truth if row.get("noisy")]

    @property
    def duplicates(self) -> list[str]:
        return [row["dialogue"] for row in self.truth if "duplicate_of" in row]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "raw"
    simulate(folder, CASES, SEED)
    return Corpus(
        folder,
        list(read_jsonl(folder / "dialogues.jsonl", Dialogue)),
        list(read_jsonl(folder / "events.jsonl", Event)),
        list(read_jsonl(folder / "outcomes.jsonl", Outcome)),
        list(read_jsonl(folder / "customers.jsonl", Customer)),
        json.loads((folder / "truth.json").read_text(encoding="utf-8")),
        rows(folder / "truth" / "dialogues.jsonl"),
    )
