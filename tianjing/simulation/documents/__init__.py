"""Proof documents (证明材料) that customers hand in: clean, read with noise, or forged, with the truth of each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

from tianjing.simulation.documents import contributions, health, identity, money, property, work
from tianjing.simulation.documents.facts import Facts, draw_facts
from tianjing.simulation.documents.forging import forge, violated
from tianjing.simulation.documents.kinds import Kind
from tianjing.simulation.documents.ocr import noisy_text
from tianjing.simulation.documents.rendering import boxes, render
from tianjing.simulation.documents.values import plain
from tianjing.simulation.people import Person

__all__ = ["KINDS", "DocumentWriter", "violated"]

_TABLES = (work.KINDS, money.KINDS, contributions.KINDS, identity.KINDS, property.KINDS, health.KINDS)
KINDS: dict[str, Kind] = {kind.name: kind for table in _TABLES for kind in table}

_VARIANTS, _VARIANT_WEIGHTS = ("clean", "noisy", "forged"), (50, 30, 20)
_BOXES_SHARE = 0.4
# What the situation calls for, by the sample company's policy on proofs; half of the documents are these.
_CALLED_FOR: dict[str, tuple[str, ...]] = {
    "失业": ("离职证明", "失业登记证明"),
    "生病住院": ("诊断证明", "住院费用清单"),
    "工资迟发": ("银行流水", "工资单"),
    "经营亏损": ("营业执照", "银行流水"),
    "多头负债": ("征信报告", "收入证明"),
}


class DocumentWriter:
    """Writes documents; kinds that no situation calls for take turns, so that each of them occurs."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.turn = rng.randrange(len(KINDS))

    def rows(
        self, person: Person, income_yuan: int, situation: str, today: date, count: int, first_id: str
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Rows of documents.jsonl and of their truth, all of one person on one day.

        Args:
            income_yuan: the person's usual income a month.
            first_id: the ids are this and a number.
        """
        facts = draw_facts(person, income_yuan, today, self.rng)
        for number in range(1, count + 1):
            yield self._document(f"{first_id}-{number}", facts, self._kind(situation))

    def _kind(self, situation: str) -> Kind:
        called_for = _CALLED_FOR.get(situation, ())
        if called_for and self.rng.random() < 0.5:
            return KINDS[self.rng.choice(called_for)]
        self.turn += 1
        return list(KINDS.values())[self.turn % len(KINDS)]

    def _document(self, id: str, facts: Facts, kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
        rng = self.rng
        fields = kind.draw(facts, rng)
        variant = rng.choices(_VARIANTS, weights=_VARIANT_WEIGHTS)[0]
        truth: dict[str, Any] = {"document": id, "kind": kind.name, "variant": variant}
        if variant == "forged":
            forged = forge(kind, fields, rng)
            truth |= {"altered": forged.field, "violated": forged.violated}
            fields = dict(forged.fields)
        text = render(kind.layouts, fields, rng)
        if variant == "noisy":
            text = noisy_text(text, rng)
        truth["fields"] = {name: plain(value) for name, value in fields.items()}
        row: dict[str, Any] = {"id": id, "customer": facts.person.id, "kind": kind.name}
        as_boxes = rng.random() < _BOXES_SHARE
        return row | ({"boxes": boxes(text, rng)} if as_boxes else {"text": text}), truth
