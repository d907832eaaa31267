"""The re-identification test: can somebody who holds the customer table tell whose de-identified dialogue this is?

The attacker looks for every value of every customer's record in the text, digits and letters compared in one
spelling, and sums the information of what is found: log2(customers / customers with this value). The customer
with the highest sum is the guess; a tie is no guess. Texts that share a pseudonym are read together, because whoever
sees the data can do that too.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tianjing.privacy.digits import DIGITS
from tianjing.privacy.findings import fold

_PSEUDONYM = re.compile(r"〔[^〔〕·]{1,8}·[a-z]+〕")
_SHORTEST_VALUE = 2
# Last digits that people give instead of the whole number.
_TAIL_DIGITS, _LONG_NUMBER = 4, 11
_SEPARATORS = re.compile(r"[\s\-—_·.,，、]")


@dataclass(frozen=True)
class Linkage:
    """What the attacker achieved. Rates are shares of `dialogues`; `chance` is the rate of guessing at random."""

    dialogues: int
    right: int
    wrong: int
    customers: int
    fields: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Share of dialogues linked to the right customer; NaN without dialogues."""
        return self.right / self.dialogues if self.dialogues else math.nan

    @property
    def chance(self) -> float:
        """Rate of guessing at random; NaN without customers."""
        return 1 / self.customers if self.customers else math.nan


def link(texts: Sequence[tuple[str, str]], customers: Mapping[str, Mapping[str, str]]) -> Linkage:
    """Try to link texts to customers.

    Args:
        texts: (true customer, de-identified text); texts of customers that are not in the table are left out.
        customers: customer -> fields of the record.

    Returns:
        Right and wrong guesses, and by which fields the right ones were linked.
    """
    owners = _index(customers)
    lengths = sorted({len(value) for value in owners})
    known = [(customer, text) for customer, text in texts if customer in customers]
    evidence = _pooled([(text, _found(_spelled(text), owners, lengths)) for _, text in known])
    right = wrong = 0
    fields: Counter[str] = Counter()
    for (customer, _), values in zip(known, evidence, strict=True):
        guess, used = _guess(values, owners, len(customers))
        if guess == customer:
            right += 1
            fields.update(used)
        elif guess:
            wrong += 1
    return Linkage(len(known), right, wrong, len(customers), dict(fields.most_common()))


def _index(customers: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Value in one spelling -> customer -> field."""
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for customer, record in customers.items():
        for field, raw in record.items():
            value = _spelled(str(raw))
            if len(value) >= _SHORTEST_VALUE:
                owners[value].setdefault(customer, field)
            if value[:-1].isdigit() and len(value) >= _LONG_NUMBER:
                owners[value[-_TAIL_DIGITS:]].setdefault(customer, f"{field} (last {_TAIL_DIGITS})")
    return dict(owners)


def _spelled(text: str) -> str:
    return _SEPARATORS.sub("", "".join(DIGITS.get(char, char) for char in fold(text))).lower()


def _found(text: str, owners: Mapping[str, Mapping[str, str]], lengths: Iterable[int]) -> set[str]:
    found = set()
    for length in lengths:
        for start in range(len(text) - length + 1):
            value = text[start : start + length]
            if value in owners and not _inside_digits(text, start, start + length):
                found.add(value)
    return found


def _inside_digits(text: str, start: int, end: int) -> bool:
    """Whether a value of digits is only a part of a longer number."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return (text[start].isdigit() and before.isdigit()) or (text[end - 1].isdigit() and after.isdigit())


def _pooled(texts: Sequence[tuple[str, set[str]]]) -> list[set[str]]:
    """Each text's values, together with those of all texts that share a pseudonym with it."""
    parent = list(range(len(texts)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first: dict[str, int] = {}
    for number, (text, _) in enumerate(texts):
        for pseudonym in set(_PSEUDONYM.findall(text)):
            parent[root(number)] = root(first.setdefault(pseudonym, number))
    pools: dict[int, set[str]] = defaultdict(set)
    for number, (_, values) in enumerate(texts):
        pools[root(number)] |= values
    return [pools[root(number)] for number in range(len(texts))]


def _guess(values: set[str], owners: Mapping[str, Mapping[str, str]], customers: int) -> tuple[str, set[str]]:
    """The one customer whom the values point to most, and the fields that did; ("", …) if none or a tie."""
    bits: dict[str, float] = defaultdict(float)
    for value in values:
        for customer in owners[value]:
            bits[customer] += math.log2(customers / len(owners[value]))
    ranked = sorted(bits.items(), key=lambda item: -item[1])[:2]
    if not ranked or ranked[0][1] <= 0 or (len(ranked) > 1 and ranked[0][1] - ranked[1][1] < 1e-9):
        return "", set()
    best = ranked[0][0]
    return best, {owners[value][best] for value in values if best in owners[value]}
