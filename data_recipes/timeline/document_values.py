"""Typed values as proof documents print them: dates, money, amounts in capitals (大写), numbers with check digits.

Each reader looks at the text right behind a label and returns what it read and how far, or nothing. Letters that text
recognition takes for digits (O, l, I) are read as digits where only digits can stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from tianjing.text import DIGITS, fold, number

_LOOK_ALIKE: Final = str.maketrans("OoQDlI|i", "00001111")
_ND: Final = r"[0-9OoQDlI|i]"
_SPACE: Final = r"[ \t　]*"
_LEAD: Final = re.compile(
    r"[\s:：;；=|¥￥]*(?:(?:为|是|共计?|合计|计|约|税前|税后|人民币|RMB|CNY|大写|小写|金额|（大写）|（小写）|\(大写\)|\(小写\)|\(元\)|（元）)"
    r"[\s:：|¥￥]*)*"
)


class Reading(NamedTuple):
    """A value and the characters of the text that it was read from; `mended` if a look-alike was read as a digit."""

    value: object
    start: int
    end: int
    mended: bool = False


Reader = Callable[[str, int, int], Reading | None]

_DATE: Final = re.compile(
    rf"(?P<y>{_ND}{{4}}|[零〇○O一二三四五六七八九]{{4}}){_SPACE}(?:年|[-/.—–~])"
    rf"{_SPACE}(?P<m>{_ND}{{1,2}}|[一二三四五六七八九十]{{1,2}}){_SPACE}(?:月|[-/.—–~])"
    rf"{_SPACE}(?P<d>{_ND}{{1,2}}|[一二三四五六七八九十]{{1,3}}){_SPACE}日?|(?<!\d)(?P<run>20\d{{6}}|19\d{{6}})(?!\d)"
)
_MONTH: Final = re.compile(rf"(?P<y>{_ND}{{4}}){_SPACE}(?:年|[-/.]){_SPACE}(?P<m>{_ND}{{1,2}})(?!\d){_SPACE}(?:月份?)?")
_MONEY: Final = re.compile(rf"[-+]?{_ND}{{1,3}}(?:[,，]{_SPACE}{_ND}{{3}})+(?:[.．]{_ND}{{1,2}})?|[-+]?{_ND}+(?:[.．]{_ND}+)?")
_CAPITAL: Final = "零〇壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆角分整正"
_CAPITALS: Final = re.compile(rf"[{_CAPITAL}](?:{_SPACE}[{_CAPITAL}])+")
_ID: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{_ND}{_SPACE}){{17}}[0-9OoQDlIXx×]|(?<![0-9A-Za-z])\d{{15}}(?!\d)")
_CARD: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{_ND}[ \-]?){{11,18}}{_ND}(?![0-9A-Za-z])")
_CODE: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Z]{18}(?![0-9A-Za-z])")
_COUNT: Final = re.compile(rf"{_ND}+|[一二两三四五六七八九十]+")
_SERIAL: Final = re.compile(r"[0-9A-Za-z\u4e00-\u9fff（）()\-—〔〕\[\]]{4,40}")
_VIN: Final = re.compile(r"[0-9A-Z]{17}(?![0-9A-Z])")
_PLATE: Final = re.compile(r"[\u4e00-\u9fff][A-Z][·•]?[0-9A-Z]{5,6}")
_PERSON: Final = re.compile(r"[\u4e00-\u9fff·]{2,10}")
_TITLE: Final = re.compile(r"(?:同志|先生|女士|小姐|员工|身份证|性别|系|，|男|女).*$")
_WORDS_END: Final = re.compile(r"[\n\t,，;；。:：|]| {2,}|(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff]{2,6}[:：])")


def digits_of(text: str) -> tuple[str, bool]:
    """Without spaces and separators, look-alikes as digits; whether there were any."""
    bare = re.sub(r"[\s,，\-]", "", fold(text))
    plain = bare.translate(_LOOK_ALIKE)
    return plain, plain != bare


def read_date(text: str, start: int, end: int) -> Reading | None:
    """2025年12月24日, 2025-12-24, 二〇二五年十二月二十四日, 20251224."""
    match = _DATE.match(text, _lead(text, start, end), end)
    return date_reading(match) if match else None


def date_reading(match: re.Match[str]) -> Reading | None:
    """The date of a match of the date pattern; None where there is no such day."""
    if match["run"]:
        parts, mended = [match["run"][:4], match["run"][4:6], match["run"][6:]], False
    else:
        parts, mended = [], False
        for name in "ymd":
            plain, changed = _plain_digits(match[name])
            parts.append(plain)
            mended |= changed
    try:
        return Reading(date(*map(int, parts)), match.start(), match.end(), mended)
    except ValueError:
        return None


def dates(text: str, start: int = 0, end: int | None = None) -> list[Reading]:
    """Every date in a part of the text, in order."""
    found = (date_reading(match) for match in _DATE.finditer(text, start, len(text) if end is None else end))
    return [reading for reading in found if reading]


def _plain_digits(part: str) -> tuple[str, bool]:
    if any(c in DIGITS or c in "○十" for c in part) and not part[0].isascii():
        han = part.replace("○", "〇").replace("O", "〇")
        return (str(int(number(han))) if "十" in han else "".join(str(DIGITS[c]) for c in han)), False
    return digits_of(part)


def read_month(text: str, start: int, end: int) -> Reading | None:
    """2025年12月 as its first day."""
    match = _MONTH.match(text, _lead(text, start, end), end)
    if not match:
        return None
    (year, one), (month, two) = digits_of(match["y"]), digits_of(match["m"])
    try:
        return Reading(date(int(year), int(month), 1), match.start(), match.end(), one or two)
    except ValueError:
        return None


def read_money(text: str, start: int, end: int) -> Reading | None:
    """¥14,700.00, 14700元 or 1.47万元, in yuan."""
    begin = _lead(text, start, end)
    match = _MONEY.match(text, begin, end)
    if not match:
        return None
    plain, mended = digits_of(match[0].replace("．", ".").lstrip("+-"))
    try:
        value = Decimal(plain)
    except ArithmeticError:
        return None
    after = re.compile(rf"{_SPACE}(万)?").match(text, match.end(), end)
    stop = match.end()
    if after and after[1]:
        value, stop = value * 10_000, after.end()
    return Reading(float(value), match.start(), stop, mended)


def read_capitals(text: str, start: int, end: int) -> Reading | None:
    """壹万肆仟柒佰元整, as it is printed."""
    match = _CAPITALS.match(text, _lead(text, start, end), end)
    return Reading(re.sub(r"\s", "", match[0]), match.start(), match.end()) if match else None


def capitals_yuan(text: str) -> Decimal | None:
    """Value in yuan of an amount in capitals; None if it is none."""
    match = re.fullmatch(r"(.*?)[元圆](?:零)?(?:(.)角)?(?:零)?(?:(.)分)?[整正]?", text)
    try:
        if not match:
            return Decimal(number(text.rstrip("整正")))
        whole = Decimal(number(match[1]))
        return whole + Decimal(DIGITS[match[2]] if match[2] else 0) / 10 + Decimal(DIGITS[match[3]] if match[3] else 0) / 100
    except (ValueError, KeyError, ArithmeticError):
        return None


def read_id(text: str, start: int, end: int) -> Reading | None:
    """A resident id of 18 or 15 characters, whether or not its check digit fits."""
    match = _ID.match(text, _lead(text, start, end), end)
    if not match:
        return None
    bare = re.sub(r"\s", "", match[0])
    body, mended = digits_of(bare[:17])
    last = {"x": "X", "×": "X"}.get(bare[17:], bare[17:].translate(_LOOK_ALIKE)) if len(bare) == 18 else ""
    return Reading(body + last, match.start(), match.end(), mended or last != bare[17:])


def read_card(text: str, start: int, end: int) -> Reading | None:
    """12 to 19 digits, in groups or not."""
    match = _CARD.match(text, _lead(text, start, end), end)
    if not match:
        return None
    plain, mended = digits_of(match[0])
    return Reading(plain, match.start(), match.end(), mended)


def read_code(text: str, start: int, end: int) -> Reading | None:
    """A unified social credit code (统一社会信用代码): 18 digits and capitals."""
    match = _CODE.match(text, _lead(text, start, end), end)
    return Reading(match[0], match.start(), match.end()) if match else None


def read_vin(text: str, start: int, end: int) -> Reading | None:
    """A vehicle identification number (车辆识别代号): 17 digits and capitals."""
    match = _VIN.match(text, _lead(text, start, end), end)
    return Reading(match[0], match.start(), match.end()) if match else None


def read_plate(text: str, start: int, end: int) -> Reading | None:
    """A licence plate."""
    match = _PLATE.match(text, _lead(text, start, end), end)
    return Reading(match[0].replace("·", "").replace("•", ""), match.start(), match.end()) if match else None


def read_count(text: str, start: int, end: int) -> Reading | None:
    """A whole number: 5, 五 or 十二."""
    match = _COUNT.match(text, _lead(text, start, end), end)
    if not match:
        return None
    if match[0][0] in DIGITS and not match[0][0].isascii() or match[0][0] == "十":
        return Reading(int(number(match[0])), match.start(), match.end())
    plain, mended = digits_of(match[0])
    return Reading(int(plain), match.start(), match.end(), mended)


def read_decimal(text: str, start: int, end: int) -> Reading | None:
    """A number with its decimals, e.g. square metres."""
    return read_money(text, start, end)


def read_serial(text: str, start: int, end: int) -> Reading | None:
    """A number of a document; may hold letters and Chinese characters."""
    match = _SERIAL.match(text, _after_separators(text, start, end), end)
    return Reading(match[0], match.start(), match.end()) if match and re.search(r"\d", match[0]) else None


def read_person(text: str, start: int, end: int) -> Reading | None:
    """A person's name of two to ten Chinese characters."""
    begin = _after_separators(text, start, end)
    # 姓 名 of a form may be set wide, and so may the name itself: 王 伟.
    wide = re.compile(r"[\u4e00-\u9fff] {1,2}[\u4e00-\u9fff](?=\s|$)").match(text, begin, end)
    match = wide or _PERSON.match(text, begin, end)
    if not match:
        return None
    name = _TITLE.sub("", match[0]).strip()
    value = name.replace(" ", "")
    return Reading(value, match.start(), match.start() + len(name)) if len(value) >= 2 else None


def read_words(text: str, start: int, end: int) -> Reading | None:
    """Everything up to the next separator."""
    begin = _after_separators(text, start, end)
    match = _WORDS_END.search(text, begin, end)
    stop = match.start() if match else end
    value = text[begin:stop].strip(" 　")
    return Reading(value, begin, begin + len(value)) if value else None


def _lead(text: str, start: int, end: int) -> int:
    match = _LEAD.match(text, start, end)
    return match.end() if match else start


def _after_separators(text: str, start: int, end: int) -> int:
    match = re.compile(r"[\s:：;；=|]*").match(text, start, end)
    return match.end() if match else start
