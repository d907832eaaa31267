"""Exchanges that a plan is made of: the question for the means, an amount or a day named, an offer turned down."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from data_recipes.experience.practices import Case
from tianjing import acts
from tianjing.records import Turn
from tianjing.rulebook import numbers
from tianjing.text import number

_NUMERAL = r"[零〇一二两三四五六七八九十百千万]+|\d+"
# 一个月六百吧, 三百块行的话, 先还一千吧: a whole number of hundreds is an amount with and without its unit.
_AMOUNT = re.compile(
    r"(?<![\d零〇一二两三四五六七八九十百千万])"
    r"(\d{3,5}|[一二两三四五六七八九]千[一二两三四五六七八九]?百?|[一二两三四五六七八九]百)(?![\d元]*天)"
)
_DAY = re.compile(rf"({_NUMERAL})[号日]")
_REFUSED = re.compile(
    r"不行|还不了|拿不出|没法|办不到|不接受|不同意|一分也|没用|白扯|不管用|莫法|没辙|搞不成|整不成|不干|要不得"
)
# A question that names its customer is another's only.
_NAMED = re.compile(r"先生|女士|小姐|师傅")
# Amounts that a customer's answer is varied by: from the smallest instalment to what few can spare.
_LEAST_YUAN, _MOST_YUAN = 200, 4000
_AS_SAID = 0.3


@dataclass(frozen=True)
class Said:
    """A turn of a dialogue."""

    dialogue: str
    turn: int
    text: str

    @property
    def source(self) -> str:
        return f"{self.dialogue}#{self.turn}"


@dataclass(frozen=True)
class Means:
    """The agent asks what can be paid, the customer answers; `amount` is where the amount stands, None without one."""

    asked: Said
    answer: Said
    amount: tuple[int, int] | None

    def varied(self, rng: random.Random) -> tuple[str, Decimal | None]:
        """The answer and its amount in yuan, mostly another than was said: a model is to copy it, not to know it."""
        if self.amount is None:
            return self.answer.text, None
        start, end = self.amount
        said = number(self.answer.text[start:end])
        if rng.random() < _AS_SAID:
            return self.answer.text, said
        other = Decimal(round(_LEAST_YUAN * (_MOST_YUAN / _LEAST_YUAN) ** rng.random(), -1))
        return f"{self.answer.text[:start]}{other}{self.answer.text[end:]}", other


@dataclass
class Exchanges:
    """What was said in the calls of one split, whatever the agent's practice: the same for both arms of an ablation."""

    means: list[Means] = field(default_factory=list)
    evasive: list[Means] = field(default_factory=list)
    refusals: list[Said] = field(default_factory=list)
    days: list[Said] = field(default_factory=list)


def exchanges(found: Sequence[Case], breached: set[tuple[str, int]]) -> Exchanges:
    """The exchanges of these cases. A turn in which a breach was found is none."""
    gathered = Exchanges()
    for case in found:
        after = answer_to_act(case)
        if after is None or (case.dialogue.id, after - 1) in breached:
            continue
        turns, name = case.dialogue.turns, case.dialogue.id
        asked, answer = Said(name, after - 1, turns[after - 1].text), Said(name, after, turns[after].text)
        refused = _REFUSED.search(answer.text) is not None
        amount = find_amount(answer.text)
        if acts.tag(asked.text) == ("ask_affordable_amount",) and not _NAMED.search(asked.text):
            if refused or amount is None:
                gathered.evasive.append(Means(asked, answer, None))
            else:
                gathered.means.append(Means(asked, answer, amount))
        elif find_day(answer.text) is not None and not refused:
            gathered.days.append(answer)
        elif refused and amount is None:
            gathered.refusals.append(answer)
    return gathered


def answer_to_act(case: Case) -> int | None:
    """Index of the customer's answer to the agent's turn right after the reason, or None."""
    index = case.reason_turn + 2
    turns = case.dialogue.turns
    if index >= len(turns) or turns[index - 1].speaker != "agent" or turns[index].speaker != "customer":
        return None
    return index


def find_amount(text: str) -> tuple[int, int] | None:
    """Where the only amount of the answer stands, in characters; None without one, or with several."""
    found = [match for match in _AMOUNT.finditer(text) if match[1].isdecimal() or _is_number(match[1])]
    return found[0].span(1) if len(found) == 1 else None


def find_day(text: str) -> int | None:
    """The day of a month that is named, e.g. 22号."""
    for match in _DAY.finditer(text):
        if _is_number(match[1]) and 1 <= number(match[1]) <= 31:
            return int(number(match[1]))
    return None


def deferral_offered(turn: Turn) -> int:
    """Days of the deferral that an agent's turn offers; 0 without one."""
    stated = [int(found.value) for found in numbers.offers(turn.text) if found.quantity == "deferral_days"]
    return max(stated, default=0)


def _is_number(text: str) -> bool:
    try:
        return number(text) > 0
    except ValueError:
        return False
