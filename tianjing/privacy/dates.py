"""Dates of birth: 1990年3月5日出生, 生日是九零年三月五号, 出生日期：1990-03-05. Any other date is left alone."""

from __future__ import annotations

import datetime
import re
from typing import Final

from tianjing.privacy.digits import DIGITS, SPOKEN_DIGITS
from tianjing.privacy.findings import Match, View

_BORN_BEFORE: Final = re.compile(
    r"(?:出生(?:日期|年月日?|时间|于)?|生日|生辰|生于|诞生于|dob|birth(?: ?da(?:y|te))?|(?<![发产])生的)"
    r"(?:[^,。;；!?0-9]{0,6})$",
    re.IGNORECASE,
)
_BORN_AFTER: Final = re.compile(r" ?(?:出?生(?:的|人|于|,|。|$)|出生|生日|生人|年生)")
_CUE: Final = re.compile("生|dob|birth", re.IGNORECASE)
_AFTER_CHARS: Final = 4
_YEAR: Final = rf"(?:(?:19|20)\d\d|\d\d|[{SPOKEN_DIGITS}]{{4}}|[{SPOKEN_DIGITS}]{{2}})"
_MONTH: Final = rf"(?:闰?(?:\d{{1,2}}|[{SPOKEN_DIGITS}十]{{1,2}}|正|冬|腊))"
_NUMBER: Final = rf"(?:\d{{1,2}}|[{SPOKEN_DIGITS}十]{{1,3}})"
# Days that need no 日 or 号 behind them; 初八 and 廿三 are of the lunar calendar.
_LUNAR: Final = rf"初[{SPOKEN_DIGITS}十]|廿[{SPOKEN_DIGITS}]?"
_SPOKEN_DAY: Final = rf"\d{{1,2}}|{_LUNAR}|[二三]?十[{SPOKEN_DIGITS}]?|[{SPOKEN_DIGITS}]{{2}}"
_GAP: Final = r"[ ,、]{0,2}"
# Year, month and day in any of the usual forms; the month alone or the day may be missing in speech.
_DATE: Final = re.compile(
    rf"(?P<y>{_YEAR}) ?年{_GAP}(?:农历|阴历|阳历|公历)?(?P<m>{_MONTH}) ?月(?: ?份)?"
    rf"(?:{_GAP}(?:(?P<d>{_NUMBER}|{_LUNAR}) ?[日号]|(?P<d2>{_SPOKEN_DAY})))?"
    r"|(?P<y3>(?:19|20)\d\d)(?P<s>[-/. ]{1,2})(?P<m3>\d{1,2})(?P=s)(?P<d3>\d{1,2})"
    r"|(?P<y4>(?:19|20)\d\d)(?P<m4>\d\d)(?P<d4>\d\d)"
    rf"|(?P<m5>{_MONTH}) ?月 ?(?P<d5>{_NUMBER}(?= ?[日号])|{_SPOKEN_DAY}) ?[日号]?"
)
_RUN: Final = re.compile(rf"[0-9{SPOKEN_DIGITS}十年月日号份初廿正冬腊闰农阴阳公历,、/. -]+")
_RUN_CHARS: Final = 30
# Parts of a date that is said over several turns.
PART: Final = re.compile(
    rf"{_YEAR} ?年(?:{_GAP}{_MONTH} ?月份?)?|{_MONTH} ?月份?(?:{_GAP}(?:{_NUMBER}|{_LUNAR}) ?[日号]?)?"
    rf"|{_NUMBER} ?[日号]"
)

# Necessary for a date to begin here; see `digits.HINT`.
HINT: Final[str] = (
    rf"[0-9{SPOKEN_DIGITS}十](?<![0-9{SPOKEN_DIGITS}十][{SPOKEN_DIGITS}十])(?<![0-9][0-9])"
    rf"(?=[0-9{SPOKEN_DIGITS}十 ]{{0,3}}[年月]|\d{{3}}[-/. ]|\d{{7}})"
    rf"|[正冬腊闰](?<![年历].)(?=[{SPOKEN_DIGITS}十]{{0,2}}月)"
)
# The same without look-around, wider: see `batch`.
LIKELY: Final[str] = (
    rf"[0-9{SPOKEN_DIGITS}十 ]{{1,4}}[年月]|[0-9]{{4}}[-/. ]|[0-9]{{8}}|[正冬腊闰][{SPOKEN_DIGITS}十]{{0,2}}月"
)
STARTS: Final[frozenset[str]] = frozenset("十正冬腊闰")


def match_birth_date(view: View, start: int, known: str = "") -> Match | None:
    """The date that begins at `start`, if it is called a date of birth or is the customer's own.

    Args:
        known: the customer's date of birth, as `read_date` gives it.
    """
    before = view.before(start, 14)
    if (
        before
        and (before[-1] in DIGITS or before[-1] == "十")
        and (before[-1].isascii() or not view.at(start).isascii())
    ):
        return None
    if view.closed and not known and not _CUE.search(view.text, max(0, start - 14), start + _RUN_CHARS + _AFTER_CHARS):
        return None
    run = view.run(start, _RUN, _RUN_CHARS)
    match = None if view.short else _DATE.match(run)
    if not match:
        return None
    end = start + match.end()
    if view.at(end) in DIGITS and view.at(end).isascii():
        return None
    value = _value(match)
    if not value or (match["m5"] and before.endswith(("年", "历"))):
        return None
    called = _BORN_BEFORE.search(before) or (known and value == known)
    if not called and not _BORN_AFTER.match(view.after(end, _AFTER_CHARS)):
        return None
    return Match("birth_date", end, value)


def read_date(text: str) -> str:
    """A folded date in any of the forms above as YYYY-MM-DD, shorter if parts are missing; "" if it is none."""
    match = _DATE.match(text.strip())
    return _value(match) if match else ""


def _value(match: re.Match[str]) -> str:
    fields = match.groupdict()
    parts = [next((value for name, value in fields.items() if name[0] == key and value), "") for key in "ymd"]
    numbers = [_number(part) for part in parts]
    year, month, day = numbers
    if parts[0] and year < 100:
        year += 1900 if year > 30 else 2000
    try:
        datetime.date(year if parts[0] else 2000, month, day or 1)
    except ValueError:
        return ""
    written = [f"{year:04}"] if parts[0] else []
    return "-".join([*written, f"{month:02}", *([f"{day:02}"] if parts[2] else [])])


def _number(text: str) -> int:
    """三, 十二, 二十, 九零, 1990, 初八, 腊 as a number; 0 for nothing."""
    text = text.lstrip("初闰").replace("廿", "二十")
    text = {"正": "一", "冬": "十一", "腊": "十二"}.get(text, text)
    if "十" not in text:
        return int("".join(DIGITS[char] for char in text) or 0)
    tens, _, ones = text.partition("十")
    return 10 * int(DIGITS.get(tens, "1") if tens else 1) + int(DIGITS.get(ones, "0") if ones else 0)
