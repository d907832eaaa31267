"""What a kind of proof document (证明材料) is: its fields, and what must hold among them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

from tianjing.finance.money import to_cent
from tianjing.privacy.checks import is_credit_code, is_resident_id
from tianjing.simulation.documents.facts import Facts
from tianjing.simulation.documents.rendering import Layouts, read_layouts
from tianjing.simulation.documents.values import Fields, Rows, capitals


@dataclass(frozen=True)
class Check:
    """Something that holds in every true document. A forger who alters `field` (of a table: `cell`) breaks it."""

    name: str
    field: str
    holds: Callable[[Fields], bool]
    cell: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of document, laid out in the ways that `layouts/NAME.txt` holds."""

    name: str
    draw: Callable[[Facts, random.Random], dict[str, Any]]
    checks: tuple[Check, ...]

    @cached_property
    def layouts(self) -> Layouts:
        """The ways to lay it out."""
        return read_layouts(self.name)


def capitals_agree(field: str) -> Check:
    """大写 and 小写: the amount in capital characters is the one in figures."""
    words = field.removesuffix("_yuan") + "_capitals"
    return Check("capitals_equal_figures", field, lambda fields: fields[words] == capitals(fields[field]))


def valid_id(field: str = "id_number") -> Check:
    """The identity number's check digit fits."""
    return Check("id_check_digit", field, lambda fields: is_resident_id(fields[field]))


def valid_credit_code(field: str = "credit_code") -> Check:
    """The unified social credit code's check character fits."""
    return Check("credit_code_check", field, lambda fields: is_credit_code(fields[field]))


def in_order(*days: str, forged: str) -> Check:
    """The days follow one another; two may be the same day."""
    return Check(
        "dates_in_order",
        forged,
        lambda fields: all(fields[a] <= fields[b] for a, b in pairwise(days)),
    )


def rows_add_up(field: str, cell: str, name: str = "rows_add_up") -> Check:
    """A column's sum is the total that stands below it."""
    return Check(name, field, lambda fields: column_total(fields["rows"], cell) == fields[field])


def owner(facts: Facts) -> dict[str, Any]:
    """The fields that nearly every document opens with."""
    return {"name": facts.person.name, "id_number": facts.person.id_card}


def born_as_in_id(born: str = "born_on", id_number: str = "id_number") -> Check:
    """The date of birth is the one in the identity number."""
    return Check("birth_date_as_in_id", born, lambda fields: f"{fields[born]:%Y%m%d}" == fields[id_number][6:14])


def sex_as_in_id() -> Check:
    """The 17th digit of the identity number is odd for men (男)."""
    return Check(
        "sex_as_in_id", "sex", lambda fields: (fields["sex"] == "男") == (int(fields["id_number"][16]) % 2 == 1)
    )


def month_back(day: date, months: int) -> date:
    """First day of the month that lies `months` before the one of `day`."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def years_later(day: date, years: int) -> date:
    """The same day of a later year; 29 February becomes 28."""
    return day.replace(year=day.year + years, day=min(day.day, 28) if day.month == 2 else day.day)


def hundreds(low: int, high: int, rng: random.Random) -> Decimal:
    """A random amount in whole hundreds of yuan."""
    return Decimal(rng.randint(low, high) * 100)


def random_yuan(low: int, high: int, rng: random.Random) -> Decimal:
    """A random amount to the cent."""
    return Decimal(rng.randint(low * 100, high * 100)) / 100


def share(amount: Decimal, low_percent: int, high_percent: int, rng: random.Random) -> Decimal:
    """A random part of an amount, to the cent."""
    return to_cent(amount * rng.randint(low_percent, high_percent) / 100)


def column_total(rows: Rows, cell: str) -> Decimal:
    """Sum of a column of money."""
    return sum((row[cell] for row in rows), Decimal(0))


def serial(rng: random.Random, digits: int) -> str:
    """A random number of a form."""
    return f"{rng.randrange(10 ** (digits - 1), 10**digits)}"
