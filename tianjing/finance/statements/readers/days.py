"""Dates as they are said (8月5号, 下个月底, 三天后, 这周五) and whether a day is the one that is meant."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from tianjing.finance.statements.readers.numerals import HAN, amount

_N = rf"(?:\d{{1,2}}|[{HAN}]{{1,3}})"
_YEAR_WORD = "(?P<year_word>今年|本年|明年|后年|去年|前年)"
_YEAR = rf"(?:(?P<year>(?:19|20)\d\d|\d\d|[二两][〇零一二三四五六七八九]{{3}})年|{_YEAR_WORD})的?"
_PART = r"(?P<part>底|末|初|上旬|中旬|下旬)"
# 5号 is a day; 5号线, 5号楼 and 5日内 are not.
_DAY_END = r"[日号](?![线楼店码机车房门院厅窗柜令文台]|键|文件|公告|[之以]?[内后]|志|程|常)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>(?:19|20)\d\d)[-/.](?P<month>[01]?\d)[-/.](?P<day>[0-3]?\d)(?![\d.])日?",
        r"(?P<year>20\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)(?!\d)",
        rf"(?:{_YEAR})?(?P<month>{_N})月份?的?(?P<day>{_N})(?:[日号]|(?![\d.,{HAN}%期个天元块年次笔分厘]))",
        rf"(?:{_YEAR})?(?P<month>{_N})月份?{_PART}",
        rf"{_YEAR}(?P<month>{_N})月份?",
        rf"(?P<month>{_N})月份?(?![供息利费租薪还均度底末])",
        rf"(?P<month_word>这个?|本|当|下下个?|下个?|次|上个?)月份?的?(?:(?P<day>{_N})(?:[日号]|(?![\d.,{HAN}%期个天元块]))|{_PART})",
        r"(?P<year_word>今年|本年|明年|后年|去年)?(?:的|年)?(?P<year_end>(?<=年)[底末]|年底|年末)",
        rf"(?P<week>这个?|本|下下个?|下个?|上个?)?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天1-6])(?![{HAN}\d天个次期年])",
        r"(?P<relative>大后天|后天|明天|明日|明早|明晚|今天|今日|今晚|今早|昨天|昨日|前天|次日)",
        rf"(?P<days>{_N})(?P<days_unit>天|日|个自然日|周|个星期|个礼拜|星期)(?P<side>[之以]?后|[之以]?内|之?前)",
        rf"(?P<days>{_N}|半)(?P<days_unit>个月|年)(?P<side>[之以]?后)",
        rf"月{_PART}",
        rf"(?P<day>{_N}){_DAY_END}",
        r"(?P<month>0?[1-9]|1[0-2])\.(?P<day>[0-3]?\d)[日号]",
        r"(?P<month>0?[1-9]|1[0-2])/(?P<day>[0-3]?\d)(?![\d/])",
        r"(?P<month>0[1-9]|1[0-2])-(?P<day>[0-3]\d)(?![\d-])",
        r"(?P<year>20\d\d)年",
        r"(?P<feast>元旦|国庆节?|劳动节)",
    )
)
_DOTTED = re.compile(r"(?P<month>0?[1-9]|1[0-2])\.(?P<day>[0-3]?\d)(?![\d.%元块万])")
_DOTTED_DUE = re.compile(_DOTTED.pattern + "(?=到期|之?前|截止)")
# Where this does not stand, none of them does; most places that may begin a date begin none.
_ANY = re.compile("|".join(re.sub(r"\?P<\w+>", "?:", pattern.pattern) for pattern in (*_PATTERNS, _DOTTED)))
_YEARS = {"今年": 0, "本年": 0, "明年": 1, "后年": 2, "去年": -1, "前年": -2}
_MONTHS = {"这": 0, "本": 0, "当": 0, "下": 1, "次": 1, "下下": 2, "上": -1}
_DAYS = {"大后": 3, "后": 2, "明": 1, "次": 1, "今": 0, "昨": -1, "前": -2}
_PARTS = {"初": (1, 10), "上旬": (1, 10), "中旬": (11, 20), "下旬": (21, 31)}
_FEASTS = {"元旦": (1, 1), "国庆": (10, 1), "国庆节": (10, 1), "劳动节": (5, 1)}
_WEEKDAYS = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class StatedDay:
    """What is said of a day: any of its parts, or its distance from the day of speaking."""

    year: int | None = None
    month: int | None = None
    first: int | None = None
    """First and `last` day of the month that fit; 0: the last day of the month."""
    last: int | None = None
    years_on: int | None = None
    months_on: int | None = None
    days_on: int | None = None
    weeks_on: int | None = None
    """Weeks from the present one; with `weekday` alone, this or the next."""
    weekday: int | None = None

    def fits(self, day: date, as_of: date) -> bool:
        """Whether `day` is one that is meant by someone who speaks on `as_of`."""
        if self.days_on is not None:
            return day == as_of + timedelta(days=self.days_on)
        if self.weekday is not None:
            monday = as_of - timedelta(days=as_of.weekday())
            weeks = (0, 1) if self.weeks_on is None else (self.weeks_on,)
            return any(day == monday + timedelta(days=self.weekday, weeks=week) for week in weeks)
        months = (day.year - as_of.year) * 12 + day.month - as_of.month
        if self.months_on is not None and months != self.months_on:
            return False
        if self.years_on is not None and day.year != as_of.year + self.years_on:
            return False
        if (self.year or day.year) != day.year or (self.month or day.month) != day.month:
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        if self.first is None:
            return True
        return (self.first or last) <= day.day <= (self.last or last)

    @property
    def is_day_only(self) -> bool:
        """5号 and no more: it may be meant of any month."""
        return self.first is not None and (self.year, self.month, self.months_on) == (None, None, None)


def read_day(text: str, start: int, dotted: bool = False) -> tuple[int, StatedDay] | None:
    """The date that stands at `start` of `text`, with its end; None where there is none.

    Args:
        dotted: the words in front call for a date, so that 12.23 is one.
    """
    if _ANY.match(text, start) is None:
        return None
    for pattern in (*_PATTERNS, *((_DOTTED,) if dotted else (_DOTTED_DUE,))):
        match = pattern.match(text, start)
        if match:
            stated = _stated({name: value for name, value in match.groupdict().items() if value})
            if stated:
                return match.end(), stated
    return None


def _stated(said: dict[str, str]) -> StatedDay | None:
    numbers = {name: _number(said[name]) for name in ("year", "month", "day") if name in said}
    if None in numbers.values():
        return None
    year, month, day = numbers.get("year"), numbers.get("month"), numbers.get("day")
    if not (1 <= (month or 1) <= 12 and 1 <= (day or 1) <= 31) or day == 0 or month == 0:
        return None
    if "feast" in said:
        month, day = _FEASTS[said["feast"]]
        return StatedDay(month=month, first=day, last=day)
    if "relative" in said:
        return StatedDay(days_on=next(on for word, on in _DAYS.items() if said["relative"].startswith(word)))
    if "weekday" in said:
        at = said["weekday"].replace("天", "日")
        weekday = int(at) - 1 if at.isdigit() else _WEEKDAYS.index(at)
        return StatedDay(weeks_on=_MONTHS[said["week"].rstrip("个")] if "week" in said else None, weekday=weekday)
    if "days" in said:
        return _later(said)
    if "year_end" in said:
        return StatedDay(years_on=_YEARS.get(said.get("year_word", ""), 0), month=12, first=0, last=0)
    first, last = (day, day) if day else _PARTS.get(said.get("part", ""), (0, 0) if "part" in said else (None, None))
    return StatedDay(
        year=2000 + year if year is not None and year < 100 else year,
        month=month,
        first=first,
        last=last,
        years_on=_YEARS[said["year_word"]] if "year_word" in said else None,
        months_on=_MONTHS[said["month_word"].rstrip("个")] if "month_word" in said else None,
    )


def _later(said: dict[str, str]) -> StatedDay | None:
    count = _number(said["days"])
    if count and said["side"].endswith("前"):
        count = -count
    unit = said["days_unit"]
    if unit in ("个月", "年"):
        months = 12 if unit == "年" else 1
        if said["days"] == "半":
            return StatedDay(days_on=15) if unit == "个月" else StatedDay(months_on=6)
        return StatedDay(months_on=count * months) if count else None
    return StatedDay(days_on=count * (1 if unit in ("天", "日", "个自然日") else 7)) if count else None


def _number(written: str) -> int | None:
    read = amount(written)
    return int(read.low) if read and read.low == int(read.low) and read.low == read.high else None
