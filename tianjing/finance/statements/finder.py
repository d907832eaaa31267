"""Finds every amount of money, rate, date and count that a text states.

At each place that may begin one, the readers are tried in turn; the first that reads a value has the place. Time is
linear in the text: a reader looks at a bounded stretch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tianjing.finance.statements.readers.counts import read_count
from tianjing.finance.statements.readers.days import read_day
from tianjing.finance.statements.readers.decoys import decoy_end
from tianjing.finance.statements.readers.money import read_bare_money, read_money
from tianjing.finance.statements.readers.numerals import HAN
from tianjing.finance.statements.readers.rates import read_rate
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import View, clause_after, clause_before

_NUMERAL = rf"\d{HAN}¥半减对"
_DAYS = "周星礼月今明后大昨前本这下上当次去年"
_START = re.compile(rf"[{_NUMERAL}{_DAYS}]|元旦|国庆|劳动节|人民币|RMB|rmb")
# The characters with which a value may begin, as the body of a character class.
START_CHARS = rf"{_NUMERAL}{_DAYS}元国劳人Rr"
_DAY_WORDS = frozenset(f"{_DAYS}元国劳")
# No value is longer, and none is told from its neighbours by more than so many characters behind it.
LONGEST_VALUE, _LOOKAHEAD_CHARS = 64, 6
# What values, and what looks like them, are written with.
_VALUE_CHARS = re.compile(
    rf"[\da-zA-Z{HAN}¥.,:*×/%‰‱~—–～\-\s"
    "元圆块钱毛角分厘整正人民币期天日号月年个周星礼拜次笔季度小时自然工作半点折成趴巴仙之减对今明后大昨前本这下上当去晚早底末初旬中份的内以来多余几到至"
    f"国庆劳动旦节]{{1,64}}"
)
_NUMBER_RUN = re.compile(rf"\d[\d,]*(?:\.\d+)?|[{HAN}]+")
# 宽限三天内, 逾期三天后: a count and no date.
_COUNTED = re.compile(r"(?:逾期|宽限|延期|展期|延长|超过|满|每)(?:了|期|至少|最多|的)?$")
# 今天 in small talk is no date of the loan.
_CALENDAR_BEHIND = re.compile(r"[^，。,]{0,8}?(?:前|还|到期|截|最后|扣|结清|处理|付|存|入账|到账|放款|为止|逾期|签)")
_CALENDAR_BEFORE = re.compile(
    r"(?:最晚|最迟|最后|截止|截至|到|于|在|前|期限|日期?|还款日?|放款|签|是|约|为)[是为在到定：:]?$"
)
# 最晚12.23, 还款日8.20
_DUE_BEFORE = re.compile(r"(?:最晚|最迟|截止|日期?|到期|期限?)[是为在到:：]?\s?$")
# 2015年 alone is a date of the loan only where the loan is spoken of.
_LENT = re.compile("借|签|放款|还|到期|贷|办")
_SMALL_TALK = re.compile(r"[今明后昨前大次]")


def find(view: View, start: int = 0, stop: int | None = None) -> Iterator[Value]:
    """The stated values that begin from `start` on and before `stop`, in order; none overlaps another."""
    position, stop = start, len(view.text) if stop is None else stop
    while (match := _START.search(view.text, position)) and match.start() < stop:
        position = match.start()
        if match[0][0] in _DAY_WORDS:
            value = _day(view, position)
            position = value.end if value else position + 1
        else:
            end = decoy_end(view, position)
            value = None if end else _numeral(view, position)
            position = end or (value.end if value else _run_end(view.text, position))
        if value:
            yield value


def settled(view: View, start: int = 0) -> int:
    """Index in the raw text up to which no further text can change what `find` and its windows say.

    Args:
        start: what it was before, in the folded text.
    """
    position = start
    while match := _START.search(view.text, position):
        position = match.start()
        value = _day(view, position) if match[0][0] in _DAY_WORDS else None
        if match[0][0] not in _DAY_WORDS and decoy_end(view, position) is None:
            value = _numeral(view, position)
        if _is_open(view, position, value):
            return view.raw(position)
        position = value.end if value else _next(view, position)
    return view.length


def _is_open(view: View, start: int, value: Value | None) -> bool:
    """Whether more text may make a value at `start` longer, another, or none."""
    run = _VALUE_CHARS.match(view.text, start)
    end = run.end() if run else start + 1
    is_word = view.text[start] in _DAY_WORDS
    # 一般: no value is one Chinese digit alone.
    if end == start + 1 and not is_word and not view.text[start].isascii() and end < len(view.text):
        return False
    if end - start < LONGEST_VALUE and not view.closed(end, _LOOKAHEAD_CHARS):
        return True
    if is_word and value is None and read_day(view.text, start) is None:
        return False
    return not view.closed(value.end if value else end)


def _next(view: View, start: int) -> int:
    if view.text[start] in _DAY_WORDS:
        return start + 1
    return decoy_end(view, start) or _run_end(view.text, start)


def _numeral(view: View, start: int) -> Value | None:
    return (
        _day(view, start)
        or read_rate(view, start)
        or read_count(view, start)
        or read_money(view, start)
        or read_bare_money(view, start)
    )


def _day(view: View, start: int) -> Value | None:
    before = clause_before(view.before(start))
    read = read_day(view.text, start, dotted=bool(_DUE_BEFORE.search(before)))
    if read is None:
        return None
    end, day = read
    after = view.after(end)
    if day.days_on is not None and view.text[end - 1] in "内后前" and _COUNTED.search(before):
        return None
    is_talk = _SMALL_TALK.match(view.text, start) and "年" not in view.text[start:end]
    if is_talk and not (_CALENDAR_BEHIND.match(clause_after(after)) or _CALENDAR_BEFORE.search(before)):
        return None
    is_year = (day.month, day.first, day.years_on) == (None, None, None) and day.year is not None
    if is_year and not _LENT.search(before + clause_after(after)):
        return None
    return Value(start, end, "date", day=day)


def _run_end(text: str, start: int) -> int:
    run = _NUMBER_RUN.match(text, start)
    return run.end() if run else start + 1
