"""Verdicts on rates and shares.

A rate of interest is compared with the facts of its period, and where there is none with the others by simple
proportion. 年化 without 单利 or 复利, and a rate without a period, may mean several facts: where those differ, the text
is ambiguous. Lenders must call a simple annual rate simple (中国人民银行公告〔2021〕第3号).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from decimal import Decimal

from tianjing.finance.statements.comparison import in_period, rate_agrees
from tianjing.finance.statements.facts import Fact, Facts, Period
from tianjing.finance.statements.judgement import Judgement, agreed, differs, open_between, unsupported
from tianjing.finance.statements.qualifiers import Qualifiers, period
from tianjing.finance.statements.readers.numerals import Amount
from tianjing.finance.statements.readers.rates import PART
from tianjing.finance.statements.subjects import Subject
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import clause_after, clause_before

_CONTRACT = "contract_rate"
_INTEREST = ("annual_rate_irr", "annual_rate_simple", _CONTRACT, "monthly_rate", "daily_rate")
# The rate that the contract names, unless the words ask for what the loan costs a year.
_OF_CONTRACT = re.compile("(?:年|月|日|合同|约定|借款|贷款|执行)(?:的)?利率")
_COST = re.compile("年化|综合|成本|IRR|APR|复利|单利|内部收益|实际|真实", re.I)
_COMPOUND = re.compile(r"综合|IRR|APR|复利|内部收益|(?:实际|真实)(?:的)?(?:年|利率|成本)", re.I)
_SIMPLE = re.compile(r"单利|名义|不计复利")
_CONVERTED = re.compile(r"折合|相当于|也就是|换算|折算|算下来|合")
_RATE_WORD = re.compile("率|年化|息")
# 比正常利率高3个百分点: the difference of two rates.
_APART = re.compile("比(?!例)[^，。]{0,8}[高多低少]出?了?$|[高多]出了?$")


def judge_rate(
    said: str, value: Value, how: Qualifiers, about: Subject, before: str, after: str, facts: Facts
) -> Judgement:
    """Compare with the rates that are meant, in the period that is named."""
    assert value.amount
    if about.name == "none":
        return unsupported(said, about.word)
    if value.unit == PART and about.name != "interest":
        about = Subject("waiver_share", about.word, (("waiver_share",),))
    per = period(before, after)
    if _APART.search(clause_before(before)):
        return _difference(said, value.amount, how, facts)
    if about.name in ("penalty_rate", "fee_rate", "waiver_share"):
        return _named_rate(said, value, how, about, per, facts)
    interest = facts.named(_INTEREST)
    if not interest:
        return unsupported(said, about.word) if about.name else _any_rate(said, value, how, facts)
    if not about.name and per is None:
        return _any_rate(said, value, how, facts)
    near = _basis(before) + clause_after(after)
    contract = facts.named((_CONTRACT,))
    if contract and _OF_CONTRACT.search(clause_before(before)) and not _COST.search(near):
        interest = contract
    if not value.readings:
        return _interest(said, value.amount, per, near, how, interest)
    readings = dict(value.readings)
    if per in readings:
        return _interest(said, readings[per], per, near, how, interest)
    verdicts = [_interest(said, readings[per], per, near, how, interest) for per in ("month", "year", "day")]
    same = len({one.verdict for one in verdicts}) == 1
    return verdicts[0] if same else open_between(said, interest)


def _basis(before: str) -> str:
    """Where 单利 or 复利 may stand: the clause, or what leads to it if no number or other rate stands between."""
    clause = clause_before(before)
    if _SIMPLE.search(clause) or _COMPOUND.search(clause):
        return clause
    earlier = re.split(r"[\d%]|[百万千]分之", before)
    return earlier[-1] if len(earlier) == 1 or _RATE_WORD.search(clause) else before


def _named_rate(
    said: str, value: Value, how: Qualifiers, about: Subject, per: Period | None, facts: Facts
) -> Judgement:
    given = facts.named((about.name,))
    if not given:
        return unsupported(said, about.word)
    amount = value.amount
    assert amount
    readings = dict(value.readings)
    if readings:
        amount = readings.get(per or "month", amount)
    truths = [given[0].number] if per in (None, "once") or given[0].per == "once" else in_period(given[0], per)
    return agreed(said, given) if _any(amount, truths, how) else differs(said, given)


def _difference(said: str, amount: Amount, how: Qualifiers, facts: Facts) -> Judgement:
    given = facts.of_kind("rate")
    for one, other in itertools.permutations(given, 2):
        if one.per == other.per and rate_agrees(amount, one.number - other.number, how):
            return agreed(said, (one, other), "之差一致")
    return differs(said, given) if len(given) > 1 else unsupported(said)


def _any_rate(said: str, value: Value, how: Qualifiers, facts: Facts) -> Judgement:
    """Nothing tells what the rate is of."""
    given = facts.of_kind("rate")
    assert value.amount
    hits = [fact for fact in given if rate_agrees(value.amount, fact.number, how)]
    if not given or (not hits and len(given) > 1):
        return unsupported(said)
    if hits and len(hits) < len(given):
        return open_between(said, given)
    return agreed(said, hits) if hits else differs(said, given)


def _interest(
    said: str, amount: Amount, per: Period | None, near: str, how: Qualifiers, interest: tuple[Fact, ...]
) -> Judgement:
    if per == "year" or (per is None and (_SIMPLE.search(near) or _COMPOUND.search(near))):
        return _yearly(said, amount, near, how, interest)
    if per is None or per == "once":
        return _without_period(said, amount, how, interest)
    direct = [fact for fact in interest if fact.per == per]
    if direct:
        return agreed(said, direct) if _any(amount, _numbers(direct), how) else differs(said, direct)
    return _converted(said, amount, per, how, interest)


def _yearly(said: str, amount: Amount, near: str, how: Qualifiers, interest: tuple[Fact, ...]) -> Judgement:
    annual = [fact for fact in interest if fact.per == "year"]
    if len(annual) > 1:  # 年化 is what the loan costs, where that is known
        annual = [fact for fact in annual if fact.name != _CONTRACT]
    compound = [fact for fact in annual if fact.name == "annual_rate_irr"]
    simple = [fact for fact in annual if fact.name == "annual_rate_simple"]
    if _SIMPLE.search(near):
        if simple:
            return agreed(said, simple) if _any(amount, _numbers(simple), how) else differs(said, simple)
        return _converted(said, amount, "year", how, [fact for fact in interest if fact not in compound] or interest)
    if _COMPOUND.search(near) and compound:
        return agreed(said, compound) if _any(amount, _numbers(compound), how) else differs(said, compound)
    if not annual:
        return _converted(said, amount, "year", how, interest)
    hits = [fact for fact in annual if _any(amount, [fact.number], how)]
    if len(hits) == len(annual):
        return agreed(said, hits)
    if hits:
        return open_between(said, annual)
    if _CONVERTED.search(near):
        return _converted(said, amount, "year", how, [fact for fact in interest if fact.per != "year"] or annual)
    return differs(said, annual)


def _converted(said: str, amount: Amount, per: Period, how: Qualifiers, interest: Iterable[Fact]) -> Judgement:
    interest = tuple(interest)
    hits = [fact for fact in interest if _any(amount, in_period(fact, per), how)]
    return agreed(said, hits, "按比例折算一致") if hits else differs(said, interest)


def _without_period(said: str, amount: Amount, how: Qualifiers, interest: tuple[Fact, ...]) -> Judgement:
    hits = [fact for fact in interest if _any(amount, [fact.number], how)]
    if not hits:
        return differs(said, interest)
    return agreed(said, hits) if len(hits) == len(interest) else open_between(said, interest)


def _any(amount: Amount, truths: Iterable[Decimal], how: Qualifiers) -> bool:
    return any(rate_agrees(amount, truth, how) for truth in truths)


def _numbers(facts: Iterable[Fact]) -> list[Decimal]:
    return [fact.number for fact in facts]
