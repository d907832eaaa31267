"""How a value is meant: exactly, about, at most or at least, per year or month, or denied (不是18%)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tianjing.finance.statements.facts import Period
from tianjing.finance.statements.view import clause_after, clause_before

Hedge = Literal["", "about", "over", "under"]
Bound = Literal["", "at_most", "at_least", "below", "above"]

_FILL = r"[是为在会要的得还:：\s]{0,3}"
_ABOUT = re.compile(
    r"(?:大约|大概|约(?:为|合|计)?|差不多|大致|估计|大体|左右|上下|估摸着?|预计|粗略)(?:[^，。\d]{0,6})$"
)
_UNDER = re.compile(rf"(?:将近|接近|快|近|不到|不足|小)(?:要|到)?{_FILL}$")
_OVER = re.compile(rf"(?:刚过|略高于|略超过|稍微超过){_FILL}$")
_ABOUT_BEHIND = re.compile(r"\s?(?:钱|的样子)?(?:左右|上下|的样子|光景|前后|来钱)")
_OVER_BEHIND = re.compile(r"\s?钱?(?:多(?![少次项])|出头|有余|挂零)")
_UNDER_BEHIND = re.compile(r"\s?(?:不到|不足)(?:一?点|些)?(?=[，。,\s]|$)")

_OFFERED = r"可?以?[能减免分延期宽限借贷还办做申请展达到]{0,4}"
_AT_MOST = re.compile(
    rf"(?:(?:不(?:会|能|得|可)?|未|没有?)(?:超过?|高于|多于|大于|突破|晚于)|最高|最多|至多|顶多|上限|封顶|控制在|最大|最长)"
    rf"(?:{_FILL}{_OFFERED}|[^，。\d]{{0,2}})$"
)
_AT_LEAST = re.compile(
    rf"(?:至少|最少|最低|(?:不(?:会|能|得)?|未)(?:低于|少于|小于|早于)|起码|下限){_FILL}[要得需还付交是]{{0,3}}$"
)
_BELOW = re.compile(rf"(?:低于|小于|少于){_FILL}$")
_ABOVE = re.compile(rf"(?:超过?了?|不止|高于|大于|多于|达到){_FILL}$")
_AT_MOST_BEHIND = re.compile(r"\s?(?:之内|以内|及?以下|内(?![部容心])|封顶|为上限|为限)")
_AT_LEAST_BEHIND = re.compile(r"\s?(?:及?以上|起步?(?=[，。,\s]|$)|打底)")

# 12%到18%, 5000元至8000元: between the two.
_TO_BEHIND = re.compile(r"\s?(?:到|至|-|~|—|–|～)\s?[\d一二两三四五六七八九十百千万]")
_TO_BEFORE = re.compile(r"[\d一二三四五六七八九十][%点元块万千百成折]?钱?\s?(?:到|至|-|~|—|–|～)\s?$")

_DENIED = re.compile(r"(?<!是)(?:不是|并非|不等于|不可能是|绝不是|而非)[^，。\\d]{0,6}$")
_DENIED_BEHIND = re.compile(
    r"[”\"]?(?:的说法|这个说法|这个数|那个数|这个日期)?是?(?:不对|错的|错误的?|有误|不准确|不正确|说错了|不属实)"
)

_PERIODS: tuple[tuple[Period, str], ...] = (
    ("year", r"年化|年利|年息|年费|年率|APR|IRR|每年|一年|按年|全年|年综合|年度|综合(?:融资|借贷)?成本|年"),
    ("month", r"月利|月息|月费|每个?月|一个月|按月|月化|月综合|月(?=[^\d一-鿿]{0,2}$)"),
    ("day", r"日利|日息|日费|每天|每日|每一天|一天|按日|按天|日化|天(?=[^\d一-鿿]{0,2}$)|日(?=[^\d一-鿿]{0,2}$)"),
    ("once", r"一次性|单次|每笔|按笔"),
)
_PERIOD = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _PERIODS), re.I)
_RATE_WORD = re.compile("率|息")
# What names a rate's period from another clause; 每月 there is likelier about payments.
_RATE_PERIOD = re.compile(
    r"(?P<year>年化|年利率|年息|年费率|APR|IRR)|(?P<month>月利率|月息|月费率)|(?P<day>日利率|日息|日费率)|(?P<once>一次性)",
    re.I,
)
_PERIOD_BEHIND = re.compile(
    r"\s?[(（]?(?:/|每|一个?|per\s)?(?:的)?(?:(?P<year>年化|年(?!月)|p\.?a)|(?P<month>个?月)|(?P<day>天|日))(?![期供底初内前后]|还款|\d)",
    re.I,
)
_PERIOD_NAMED_BEHIND = re.compile(
    r"的?(?:综合)?(?:(?P<year>年化|年利|年息|年费)|(?P<month>月利|月息|月费)|(?P<day>日利|日息|日费))"
)


@dataclass(frozen=True, slots=True)
class Qualifiers:
    """What the words next to a value do to it."""

    hedge: Hedge = ""
    bound: Bound = ""
    denied: bool = False


def qualifiers(before: str, after: str, vague: str, gap: int) -> Qualifiers:
    """Read from the sentence before and behind the value; `vague` is a word inside of it (一千多块).

    Args:
        gap: characters at the end of `before` that follow the previous value.
    """
    near, behind = clause_before(before), clause_after(after)
    return Qualifiers(_hedge(near, after, vague), _bound(near, after), _denied(near[max(0, len(near) - gap) :], behind))


def _hedge(near: str, after: str, vague: str) -> Hedge:
    if vague:
        return "about" if vague == "来" else "over"
    if _UNDER.search(near) or _UNDER_BEHIND.match(after):
        return "under"
    if _OVER_BEHIND.match(after) or _OVER.search(near):
        return "over"
    if _ABOUT_BEHIND.match(after) or _ABOUT.search(near):
        return "about"
    return ""


def _bound(near: str, after: str) -> Bound:
    if _TO_BEHIND.match(after):
        return "at_least"
    if _TO_BEFORE.search(near) or _AT_MOST.search(near) or _AT_MOST_BEHIND.match(after):
        return "at_most"
    if _AT_LEAST.search(near) or _AT_LEAST_BEHIND.match(after):
        return "at_least"
    if _BELOW.search(near):
        return "below"
    return "above" if _ABOVE.search(near) else ""


def _denied(near: str, behind: str) -> bool:
    return bool(_DENIED.search(near) or _DENIED_BEHIND.match(behind))


def period(before: str, after: str) -> Period | None:
    """Year, month, day or once, as the words nearest to a rate name it; None where none does."""
    named = named_period(before, after)
    return named[0] if named else None


def named_period(before: str, after: str) -> tuple[Period, int] | None:
    """The period of a rate, and how far before the value the word that names it begins (0: behind the value)."""
    for pattern in (_PERIOD_NAMED_BEHIND, _PERIOD_BEHIND):
        if match := pattern.match(after):
            return _name(match), 0
    clause = clause_before(before)
    if found := list(_PERIOD.finditer(clause)):
        return _name(found[-1]), len(clause) - found[-1].start()
    if not _RATE_WORD.search(clause + clause_after(after)) and (found := list(_RATE_PERIOD.finditer(before))):
        return _name(found[-1]), len(before) - found[-1].start()
    return None


def _name(match: re.Match[str]) -> Period:
    return next(name for name, _ in _PERIODS if match.groupdict().get(name))
