"""What a stated value is about: the words around it, and the facts that those words name.

The words in front within the clause count first (the last one is the nearest), then those behind, then earlier clauses.
A word right behind the value (500元罚息) beats all. Open words (还, 一共) mean several facts, of which one must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tianjing.finance.statements import words
from tianjing.finance.statements.facts import Kind
from tianjing.finance.statements.view import clause_after, clause_before


def _table(rows: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{words})" for name, words in rows), re.I)


_TABLES = {
    "money": _table(words.MONEY),
    "期": _table(words.TERMS),
    "天": _table(words.DAYS),
    "个月": _table(words.MONTHS),
    "date": _table(words.DATES),
    "rate": _table(words.SHARES),
}
_OPEN_TABLE = _table(words.OPEN_MONEY)
_NEXT_VALUE = re.compile(r"\d|一[\d百千万十块元分厘]|[二两三四五六七八九十][\d百千万十块元分厘期]|[百千万]分之")


@dataclass(frozen=True, slots=True)
class Subject:
    """The word that tells what a value is about, what it tells of, and the facts it means in tiers."""

    name: str
    word: str
    tiers: tuple[tuple[str, ...], ...]


UNKNOWN = Subject("", "", ())
# 一天五块钱利息: no fact holds what is due each day.
_EACH_PERIOD = Subject("none", "按期计的金额", ())
_PERIOD_BEFORE = re.compile(r"(?:每|一)(?:天|日|个?月|年|期)[^，。\d]{0,3}$")
_CHARGES = frozenset(("none", "total_fees", "penalty", "total_interest"))
# 一万九千二，这是还款总额
_EXPLAINED = re.compile("[，,]?(?:这|那|就|也|是|[（(])")
_UNPAID = re.compile("未还|没还|已还")
# Words that say little of a date, and those that say nothing where they stand far behind a value.
_GENERAL = frozenset(("pay", "by"))
_VAGUE_LATER = frozenset(("none", "cash_received", "paid", "instalments"))


def subject(kind: Kind, unit: str, before: str, after: str, gap: int) -> Subject:
    """What the value between `before` and `after` is about.

    Args:
        gap: characters at the end of `before` that follow the previous value.
    """
    table = _TABLES.get(unit if kind == "count" else kind)
    if table is None:
        return UNKNOWN
    clause = clause_before(before)
    near = clause[max(0, len(clause) - gap) :]
    found = _in_front(table, near)
    behind, adjacent = _behind(kind, table, after)
    is_borrowed_until = found and behind and (found.name, behind.name) == ("contract_date", "falls_due")
    if behind and (is_borrowed_until or (adjacent and not (found and kind == "rate"))):
        found = behind  # 借款12月8日到期 is no day of borrowing
    if found and found.name in _CHARGES and found.name != "none" and kind == "money" and _PERIOD_BEFORE.search(near):
        return _EACH_PERIOD
    if found:
        return found
    if kind == "money":
        return _of_money(table, near, before, after, behind)
    return behind or _last(table, before) or _later(table, after)


def _in_front(table: re.Pattern[str], near: str) -> Subject | None:
    found = _last(table, near)
    if found and found.name == "instalment":
        # 担保费每期300元: part of an instalment.
        costs = _last(table, near[: near.rfind(found.word)])
        return costs if costs and costs.name in ("none", "total_fees") else found
    return found


def _of_money(table: re.Pattern[str], near: str, before: str, after: str, behind: Subject | None) -> Subject:
    """Of an amount without a telling word in front: what is behind it, an open word (还, 一共), or earlier clauses."""
    opened = _last(_OPEN_TABLE, near)
    is_total = opened is not None and opened.name == "total"
    if behind and not (is_total and behind.name in ("instalment", "overdue_amount")):
        return behind
    if opened and opened.name == "charge":
        charged = [one for one in map(_named, table.finditer(before)) if one.name in _CHARGES]
        return charged[-1] if charged else opened
    earlier = _last(table, before) if opened is None or is_total else None
    if earlier and opened:
        # 罚息56元，合计…: the total of what was named before, or of all.
        names = tuple(name for tier in (*earlier.tiers, *opened.tiers) for name in tier)
        return Subject("total", opened.word, (names,))
    explained = _later(table, after) if _EXPLAINED.match(after) else UNKNOWN
    return earlier or opened or _last(_OPEN_TABLE, before) or explained


def _later(table: re.Pattern[str], after: str) -> Subject:
    """The last word of the sentence, if no other value stands before it: 三天，…宽限完了."""
    if _NEXT_VALUE.search(after):
        return UNKNOWN
    found = _last(table, after)
    return found if found and found.name not in _VAGUE_LATER else UNKNOWN


def _last(table: re.Pattern[str], text: str) -> Subject | None:
    found = list(table.finditer(text))
    return _named(found[-1]) if found else None


def _behind(kind: Kind, table: re.Pattern[str], after: str) -> tuple[Subject | None, bool]:
    """The first word behind the value, and whether it says at once what the value is: 500元罚息, 18%的年化.

    A word with another value behind it in the clause belongs to that one, except behind a date (8月5号还1066元).
    """
    clause = clause_after(after)
    following = _NEXT_VALUE.search(clause)
    match = table.search(clause[: following.start()] if following else clause)
    if match is None:
        return None, False
    adjacent = re.fullmatch(r"\s?(?:左右|上下|多)?的?[(（]?", clause[: match.start()]) is not None
    if following and kind != "date" and not (adjacent and (kind == "rate" or _UNPAID.match(match[0]))):
        return None, False
    found = _named(match)
    if kind == "date" and found.name == "pay":
        # 6月28日还最后一期: what is due says more than that it is.
        rest = (clause[: following.start()] if following else clause)[match.end() :]
        found = next((one for one in map(_named, table.finditer(rest)) if one.name not in _GENERAL), found)
    return found, adjacent and kind != "date"


def _named(match: re.Match[str]) -> Subject:
    name = next(name for name, value in match.groupdict().items() if value is not None)
    return Subject(name, match[0], words.MEANS.get(name, ((name,),)))
