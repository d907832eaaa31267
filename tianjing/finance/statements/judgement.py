"""A verdict on one stated value, with the facts it was compared with and a reason a compliance officer can read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from tianjing.finance.statements.facts import Fact

Verdict = Literal["right", "wrong", "unsupported", "ambiguous"]

_PERIODS = {"year": "每年", "month": "每月", "day": "每日", "once": "一次性"}
_DENIED: dict[Verdict, Verdict] = {"right": "wrong", "wrong": "right"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, the names of the facts behind it, and the reason in one line."""

    verdict: Verdict
    facts: tuple[str, ...]
    reason: str

    def denied(self) -> Judgement:
        """Of a value that the text denies (不是18%): denying what is true is wrong."""
        return replace(self, verdict=_DENIED.get(self.verdict, self.verdict), reason=f"否认的说法；{self.reason}")


def agreed(said: str, facts: Iterable[Fact], how: str = "") -> Judgement:
    """The value is that of `facts`, or follows from them as `how` says."""
    facts = tuple(facts)
    return Judgement("right", _names(facts), f"“{said}”与{shown(facts)}{how or '一致'}")


def differs(said: str, facts: Iterable[Fact], note: str = "") -> Judgement:
    """The value is about `facts` and is another."""
    facts = tuple(facts)
    return Judgement("wrong", _names(facts), f"说的是“{said}”，{shown(facts)}{note}")


def unsupported(said: str, about: str = "") -> Judgement:
    """No fact says anything about it."""
    return Judgement("unsupported", (), f"“{said}”{f'（{about}）' if about else ''}没有事实可以核对")


def open_between(said: str, facts: Iterable[Fact]) -> Judgement:
    """It is not said which of `facts` is meant, and they differ."""
    facts = tuple(facts)
    return Judgement("ambiguous", _names(facts), f"“{said}”没有说明指哪一项：{shown(facts)}")


def shown(facts: Iterable[Fact]) -> str:
    """The facts as a person reads them: 逾期天数3天、罚息违约金56.30元."""
    return "、".join(f"{fact.label}为{_value(fact)}" for fact in facts)


def _value(fact: Fact) -> str:
    if fact.kind == "rate":
        per = (
            _PERIODS[fact.per]
            if fact.per and not fact.name.startswith(("annual", "monthly", "daily", "waiver"))
            else ""
        )
        percent = (fact.number * 100).quantize(Decimal("0.0001")).normalize()
        return f"{per}{percent:f}%"
    if fact.kind == "money":
        return f"{fact.number.quantize(Decimal('0.01'))}元"
    return fact.value if fact.kind == "date" else f"{fact.value}{fact.unit}"


def _names(facts: tuple[Fact, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact.name for fact in facts))
