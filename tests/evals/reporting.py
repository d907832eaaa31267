"""A run to make report pages of, and how to read a page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evals.material import task_table
from evals.records import Attempt
from evals.run import evaluate, read_evidence
from tests.evals.conftest import World
from tianjing.files import read_jsonl


@pytest.fixture
def evidence(request: pytest.FixtureRequest, cached: dict[str, Any]) -> dict[str, Any]:
    """Summary, items and attempts of a small run, to be changed by a test."""
    if not cached:
        world: World = request.getfixturevalue("world")
        evaluate(world.dataset, world.base, world.tuned, world.out, world.config)
        attempts = list(read_jsonl(world.out / "attempts.jsonl", Attempt))
        cached.update(summary=(world.out / "summary.json").read_text(), attempts=attempts)
        cached["items"] = read_evidence(world.out).items
    lists = {name: list(cached[name]) for name in ("items", "attempts")}
    return {"summary": json.loads(cached["summary"]), **lists, "tasks": task_table(())}


@pytest.fixture(scope="module")
def cached() -> dict[str, Any]:
    """One run for all tests of this file: they only read pages made of it."""
    return {}


def changed(attempts: list[Attempt], arm: str, condition: str, **values: Any) -> list[Attempt]:
    """The attempts, with those of an arm under a condition changed."""
    return [a.model_copy(update=values) if (a.arm, a.condition) == (arm, condition) else a for a in attempts]


def cards(page: str, heading: str) -> list[str]:
    """The cards that stand under a heading."""
    section = page.split(heading, 1)[1].split("<h3>", 1)[0] if heading in page else ""
    return section.split('<div class="card')[1:]
