"""Forged documents: one field is altered so that what must hold among the fields holds no more."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tianjing.simulation.documents.kinds import Check, Kind
from tianjing.simulation.documents.values import Fields

_TRIES = 200
# A day is moved by at most the first; by more after some tries, up to sixty years, where two days lie far apart.
_REACH_DAYS = (600, 22_000)
_FACTORS = (Decimal("1.2"), Decimal("1.5"), Decimal("1.8"), Decimal("2"), Decimal("3"))


@dataclass(frozen=True)
class Forged:
    """The altered fields; `field` is the one that was altered, `violated` every check that fails now."""

    fields: Fields
    field: str
    violated: tuple[str, ...]


def violated(kind: Kind, fields: Fields) -> tuple[str, ...]:
    """Names of the kind's checks that do not hold."""
    return tuple(check.name for check in kind.checks if not check.holds(fields))


def forge(kind: Kind, fields: Fields, rng: random.Random) -> Forged:
    """Alter one field so that at least one of the kind's checks fails."""
    check = rng.choice(kind.checks)
    for attempt in range(_TRIES):
        altered = _altered(check, fields, min(_REACH_DAYS[1], _REACH_DAYS[0] * 2 ** (attempt // 5)), rng)
        if not check.holds(altered):
            return Forged(altered, check.field, violated(kind, altered))
    raise AssertionError(f"{kind.name}: no change of '{check.field}' breaks '{check.name}'")


def _altered(check: Check, fields: Fields, reach_days: int, rng: random.Random) -> Mapping[str, Any]:
    value = fields[check.field]
    if not isinstance(value, list):
        return {**fields, check.field: _other(value, reach_days, rng)}
    row = rng.randrange(len(value))
    rows = [
        {**cells, check.cell: _other(cells[check.cell], reach_days, rng)} if n == row else cells
        for n, cells in enumerate(value)
    ]
    return {**fields, check.field: rows}


def _other(value: Any, reach_days: int, rng: random.Random) -> Any:
    """A different value of the same type, of the size a forger would choose; a day moves by `reach_days` at most."""
    if isinstance(value, Decimal):
        return (value * rng.choice(_FACTORS)).quantize(value) + (0 if value else 1)
    if isinstance(value, date):
        return value + timedelta(days=rng.choice((-1, 1)) * rng.randint(20, reach_days))
    if isinstance(value, int):
        return max(0, value + rng.choice((-2, -1, 1, 2, 3)))
    if value in ("男", "女"):
        return "女" if value == "男" else "男"
    places = [place for place, char in enumerate(value) if char.isdigit()]
    place = rng.choice(places or range(len(value)))
    digit = rng.choice([digit for digit in "0123456789" if digit != value[place]])
    return value[:place] + digit + value[place + 1 :]
