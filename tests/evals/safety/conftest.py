"""Attempts without a model: a test says what each arm answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.config import EvalConfig
from evals.material import Material
from evals.plan import choose_items
from evals.records import Arm, Attempt, Item, RawAttempt
from evals.safety.config import SafetyConfig
from evals.safety.probes import load_probes
from evals.scoring import score_all

FOLDER = Path(__file__).parent


def labelled(name: str) -> dict[str, Any]:
    with open(FOLDER / f"{name}.yaml", encoding="utf-8") as stream:
        found: dict[str, Any] = yaml.safe_load(stream)
    return found


def config(**safety: Any) -> EvalConfig:
    return EvalConfig(stability_items=0, safety=SafetyConfig(**safety))


def items_of(material: Material) -> list[Item]:
    return choose_items(material.test, config(), material.tasks)


def probes_of(*families: str) -> tuple[Material, list[Item]]:
    material = load_probes(families)
    return material, items_of(material)


Say = Callable[[Item, str, int], str | None]


@pytest.fixture
def attempts() -> Callable[..., list[Attempt]]:
    """Scored attempts of `items`: `say(item, arm, repeat)` gives the text, None an error."""

    def make(
        material: Material, items: Sequence[Item], say: Say, arms: Sequence[Arm] = ("base", "tuned"), repeats: int = 0
    ) -> list[Attempt]:
        raw = []
        for item in items:
            for arm in arms:
                for condition, repeat in [("greedy", 0), *(("sampled", number) for number in range(repeats))]:
                    text = say(item, arm, repeat)
                    raw.append(
                        RawAttempt(
                            key=f"{item.id}{arm}{condition}{repeat}",
                            item=item.id,
                            task=item.task,
                            arm=arm,
                            condition=condition,
                            repeat=repeat,
                            prompt="",
                            seed=0,
                            temperature=0.0,
                            output=text or "",
                            error="gone" if text is None else None,
                        )
                    )
        return score_all(raw, {item.id: item for item in items}, material.tasks)

    return make
