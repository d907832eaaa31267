"""Verdicts on money, counts and dates: the facts that the words mean, then what follows from two facts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tianjing.finance.statements import words
from tianjing.finance.statements.comparison import count_agrees, days_agree, money_agrees
from tianjing.finance.statements.facts import Fact, Facts
from tianjing.finance.statements.judgement import Judgement, agreed, differs, open_between, unsupported
from tianjing.finance.statements.qualifiers import Qualifiers
from tianjing.finance.statements.subjects import Subject
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import clause_before

# What a missing fact must come to when the others are given: name -> sums of signed facts.
_IDENTITIES: dict[str, tuple[tuple[tuple[int, str], ...], ...]] = {
    "total_interest": (
        ((1, "total_repayment"), (-1, "principal")),
        ((1, "total_repayment"), (-1, "principal"), (-1, "total_fees")),
    ),
    "total_repayment": (
        ((1, "principal"), (1, "total_interest")),
        ((1, "principal"), (1, "total_interest"), (1, "total_fees")),
    ),
    "total_fees": (
        ((1, "principal"), (-1, "cash_received")),
        ((1, "total_repayment"), (-1, "principal"), (-1, "total_interest")),
    ),
    "principal": (((1, "total_repayment"), (-1, "total_interest")), ((1, "cash_received"), (1, "total_fees"))),
    "cash_received": (((1, "principal"), (-1, "total_fees")),),
    "instalments_left": (((1, "instalments"), (-1, "instalments_paid")),),
    "instalments_paid": (((1, "instalments"), (-1, "instalments_left")),),
    "instalments": (((1, "instalments_paid"), (1, "instalments_left")),),
}
# Words that may mean a sum of what is owed.
_RESTS = frozenset(("left", "paid_principal", "gap", "after_waiver"))
_SUMMABLE = _RESTS | {"total", "sum", "repay", "owed", "paid", "total_repayment"}
_AT_LEAST = re.compile("至少|起码|不低于|不少于")
_REST = re.compile("剩|后还|完还|之后|多出|差|期$")
# 满90天, 超过90天, 再逾期十天
_CONDITION = re.compile("满|超过|再")
_OWED = frozenset(
    ("overdue_amount", "instalment", "remaining_principal", "penalty", "total_interest", "total_fees", "principal")
)
_PROPOSALS = frozenset(("pay", "by", "settled", ""))
_SETTLING = re.compile("结清|还清|剩|未还|没还|提前|还欠|目前")


def judge_money(said: str, value: Value, how: Qualifiers, about: Subject, before: str, facts: Facts) -> Judgement:
    """Compare with the facts that are meant; else with what follows from two of them."""
    if about.name == "none":
        return unsupported(said, about.word)
    if about.name == "minimum_payment" and not _AT_LEAST.search(clause_before(before)):
        how = replace(how, bound="")  # 最低 is part of its name
    if not about.name:
        known = facts.of_kind("money")
        return _undirected(said, known, [fact for fact in known if money_agrees(value, fact.number, how)])
    tier = _tier(about, facts)
    if about.name == "principal" and about.word == "本金" and _SETTLING.search(before):
        # 结清的话本金9100: the principal that is left.
        tier = (*tier, *facts.named(("remaining_principal",)))
    hits = [fact for fact in tier if money_agrees(value, fact.number, how)]
    if hits:
        return agreed(said, hits)
    is_rest = _REST.search(clause_before(before)) is not None
    if about.name in _SUMMABLE or is_rest:
        for parts, truth in _worked_out(facts, is_rest or about.name in _RESTS):
            if money_agrees(value, truth, Qualifiers(how.hedge)):
                return agreed(said, parts, "推算一致")
    if about.name == "after_waiver" and (granted := facts.named(("waiver_amount", "waiver_share"))):
        return differs(said, granted)
    if not tier:
        return _by_identity(said, value, how, about, facts) or unsupported(said, about.word)
    return differs(said, tier)


def judge_count(said: str, value: Value, how: Qualifiers, about: Subject, facts: Facts) -> Judgement:
    """Compare with the facts that are meant, in their unit."""
    if about.name == "none" or value.unit in ("次", "小时"):
        return unsupported(said, about.word)
    if about.name == "until_due":
        return _until_due(said, value, facts)
    if not about.name and value.unit == "个月":
        about = Subject("term_months", "", words.MEANS["term_months"])
    if not about.name and value.unit != "笔":
        known = tuple(fact for fact in facts.of_kind("count") if _same_unit(value, fact))
        hits = [] if how.bound else [fact for fact in known if count_agrees(value, fact, how)]
        if value.unit == "期" and known and not hits:
            return differs(said, known)
        if not hits:
            return unsupported(said)
        return _undirected(said, known, hits)
    tier = _tier(about, facts) or (facts.named(("loans",)) if value.unit == "笔" else ())
    hits = [fact for fact in tier if count_agrees(value, fact, how)]
    if hits:
        return agreed(said, hits)
    if not tier:
        return _by_identity(said, value, how, about, facts) or unsupported(said, about.word)
    # 逾期满90天就上报 names a condition, not how long the loan is overdue.
    if about.name == "overdue_days" and (how.bound or _CONDITION.search(about.word)):
        return unsupported(said)
    return differs(said, tier)


def _undirected(said: str, known: tuple[Fact, ...], hits: list[Fact]) -> Judgement:
    """Nothing tells what the value is about: right only if every fact it may be about agrees."""
    if hits:
        return agreed(said, hits) if len(hits) == len(known) else open_between(said, known)
    return differs(said, known) if len(known) == 1 else unsupported(said)


def judge_date(said: str, value: Value, about: Subject, facts: Facts) -> Judgement:
    """Compare with the days that are meant; a bare 5号 that fits only one of several due dates is ambiguous."""
    assert value.day
    if about.name == "today" and value.day.fits(facts.as_of, facts.as_of):
        return agreed(said, (), f"核对日{facts.as_of}一致")
    if about.name in ("none", "today"):
        return unsupported(said, about.word)
    tier = _tier(about, facts) if about.name else facts.of_kind("date")
    if not tier:
        return unsupported(said, about.word)
    fits = days_agree(value, [fact.day for fact in tier], facts.as_of)
    hits = [fact for fact, fit in zip(tier, fits, strict=True) if fit]
    if not hits:
        # 您今天还 proposes a day; it does not say that the loan falls due on it.
        if value.day.days_on == 0 and about.name in _PROPOSALS:
            return unsupported(said, about.word)
        return differs(said, tier, f"（以{facts.as_of}为准）" if value.day.days_on is not None else "")
    several = [fact for fact in tier if fact.name == hits[0].name]
    if value.day.is_day_only and len(hits) < len(several):
        return open_between(said, several)
    if not about.name and len({fact.name for fact in tier}) > 1 and len(hits) < len(tier):
        return open_between(said, tier)
    return agreed(said, hits)


def _worked_out(facts: Facts, with_rests: bool) -> Iterator[tuple[tuple[Fact, ...], Decimal]]:
    """Sums of what is owed, instalments by number, what a waiver leaves; with `with_rests` all other differences."""
    known = facts.of_kind("money")
    owed = [fact for fact in known if fact.name in _OWED]
    for size in (2, 3):
        for parts in itertools.combinations(owed, size):
            yield parts, sum((fact.number for fact in parts), Decimal(0))
    for fact in facts.named(("instalments", "instalments_paid", "instalments_left")):
        for instalment in facts.named(("instalment",)):
            yield (instalment, fact), instalment.number * fact.number
    for share in facts.named(("waiver_share",)):
        for fact in known:
            yield (fact, share), fact.number * (1 - share.number)
    for one, other in itertools.permutations(known, 2):
        if one.number > other.number and (with_rests or other.name == "waiver_amount"):
            yield (one, other), one.number - other.number


def _tier(about: Subject, facts: Facts) -> tuple[Fact, ...]:
    return next((found for names in about.tiers if (found := facts.named(names))), ())


def _same_unit(value: Value, fact: Fact) -> bool:
    return value.unit == fact.unit or {value.unit, fact.unit} == {"期", "个月"}


def _until_due(said: str, value: Value, facts: Facts) -> Judgement:
    assert value.amount
    if value.unit != "天":
        return unsupported(said)
    days = facts.named(("due_date", "deadline", "maturity_date"))
    if not days:
        return unsupported(said)
    meant = facts.as_of + timedelta(days=int(value.amount.low))
    hits = [fact for fact in days if fact.day == meant]
    return agreed(said, hits) if hits else differs(said, days, f"（以{facts.as_of}为准）")


def _by_identity(said: str, value: Value, how: Qualifiers, about: Subject, facts: Facts) -> Judgement | None:
    """What the missing fact comes to from those that are given."""
    worked_out = []
    for terms in _IDENTITIES.get(about.name, ()):
        parts = facts.named(name for _, name in terms)
        if len(parts) == len(terms):
            truth = sum((sign * fact.number for (sign, _), fact in zip(terms, parts, strict=True)), Decimal(0))
            fact = Fact(name=about.name, kind=value.kind, value=str(max(truth, Decimal(0))), unit=parts[0].unit)
            is_true = money_agrees(value, truth, how) if value.kind == "money" else count_agrees(value, fact, how)
            if is_true:
                return agreed(said, parts, "推算一致")
            worked_out.append(fact)
    return differs(said, worked_out[:1], "（推算）") if worked_out and about.name != "total_fees" else None
