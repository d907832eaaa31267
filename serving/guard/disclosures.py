"""Required disclosures: which an answer owes, and the words that pay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from serving.guard.settings import Disclosure
from tianjing.finance.statements import Fact, Facts
from tianjing.rulebook import PhraseMatcher
from tianjing.rulebook.schema import DisclosureCheck, Rule

_FIELD: Final = re.compile(r"\{([a-z_]+)\}")
_PERIODS: Final = {"year": "每年", "month": "每月", "day": "每日", "once": ""}


@dataclass(frozen=True)
class Owed:
    """A disclosure rule, ready to be checked. `wording` is None where the rule only warns and has no words."""

    rule: Rule
    check: DisclosureCheck
    when: PhraseMatcher
    require: PhraseMatcher
    wording: Disclosure | None

    def is_due(self, answer: str, before: Sequence[str]) -> bool:
        """Whether `answer` must say it, or an earlier answer of `before` should have."""
        if not self.check.when:
            return not before or self.check.within != "first_turn"
        if self.when.find(answer):
            # What may be said in the next turn is not overdue yet.
            return self.check.within != "next_turn"
        return self.check.within == "next_turn" and bool(before) and bool(self.when.find(before[-1]))

    def is_met(self, answer: str, before: Sequence[str]) -> bool:
        """Whether it has been said where the rule wants it."""
        heard = {"same_turn": (), "first_turn": (), "next_turn": before[-1:], "dialogue": before}[self.check.within]
        return any(self.require.find(text) for text in (answer, *heard))

    def words(self, facts: Facts | None) -> str:
        """What to add; with the customer's own figures where they are known."""
        assert self.wording is not None
        more, known = self.wording.with_facts, {fact.name: _written(fact) for fact in facts.values} if facts else {}
        if more and all(name in known for name in _FIELD.findall(more)):
            return _FIELD.sub(lambda field: known[field[1]], more)
        return self.wording.text


def missing(owed: Sequence[Owed], wanted: frozenset[str], answer: str, before: Sequence[str]) -> list[Owed]:
    """The disclosures that `answer` owes and does not make.

    Args:
        wanted: ids of those that the application asked for: they are due in this answer in any case.
        before: the earlier answers of the conversation, in order.
    """
    found = []
    for one in owed:
        if one.rule.id in wanted:
            lacking = not one.require.find(answer)
        else:
            lacking = one.is_due(answer, before) and not one.is_met(answer, before)
        if lacking:
            found.append(one)
    return found


def _written(fact: Fact) -> str:
    if fact.kind == "rate":
        period = "" if fact.name.startswith(("annual", "monthly", "daily")) or fact.per is None else _PERIODS[fact.per]
        return f"{period}{(fact.number * 100).quantize(Decimal('0.0001')).normalize():f}%"
    if fact.kind == "money":
        return f"{fact.number:.2f}元"
    return fact.value if fact.kind == "date" else f"{fact.value}{fact.unit}"
