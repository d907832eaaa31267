"""A value that a text states, as the readers hand it on."""

from __future__ import annotations

from dataclasses import dataclass

from tianjing.finance.statements.facts import Kind, Period
from tianjing.finance.statements.readers.days import StatedDay
from tianjing.finance.statements.readers.numerals import Amount


@dataclass(frozen=True, slots=True)
class Value:
    """What stands at `start` to `end` of the folded text.

    `amount` is yuan, a fraction, or a count of `unit`; `vague` the word inside of it (一千多块). `readings` are what
    两分 or 三厘 amounts to by period; for them `amount` is the monthly one.
    """

    start: int
    end: int
    kind: Kind
    amount: Amount | None = None
    unit: str = ""
    vague: str = ""
    day: StatedDay | None = None
    readings: tuple[tuple[Period, Amount], ...] = ()
