"""Typed values as proof documents print them: dates, money, amounts in capitals (大写), numbers with check digits.

Each reader looks at the text right behind a label and returns what it read and how far, or nothing. Letters that text
recognition takes for digits (O, l, I) are read as digits where only digits can stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from tianjing.text import DIGITS, fold, number

_LOOK_ALIKE: Final = str.maketrans("OoQDlI|iSB", "0000111158")
_ND: Final = r"[0-9OoQDlI|iSB]"
_SPACE: Final = r"[ \t　]*"
# Recognition sets a space into a number now and then; two spaces are a column.
_SP: Final = r" ?"
# Marks that stamps and dirt leave behind a value.
_DIRT: Final = " 　★☆·~～*^_`'\"•■□◆。.,，、;；"
_LEAD: Final = re.compile(
    r"[\s:：;；=|¥￥（(]*(?:(?:为|是|每月|每人每月|月均|标准|共计?|合计|计|约|税前|税后|人民币|RMB|CNY|大写|小写|金额|（大写）|（小写）|\(大写\)|\(小写\)|\(元\)|（元）)"
    r"[\s:：|¥￥（(）)]*)*"
)


class Reading(NamedTuple):
    """A value and the characters of the text that it was read from; `mended` if a look-alike was read as a digit."""

    value: object
    start: int
    end: int
    mended: bool = False


Reader = Callable[[str, int, int], Reading | None]

_YEAR: Final = rf"(?P<y>[12lI|]{_SP}{_ND}(?:{_SP}{_ND}){{2}}|[零〇○O一二三四五六七八九]{{4}})"
_ONE_OR_TWO: Final = rf"{_ND}(?:{_SP}{_ND})?"
_DATE: Final = re.compile(
    rf"{_YEAR}{_SPACE}(?:年|[-/.—–~])"
    rf"{_SPACE}(?P<m>{_ONE_OR_TWO}|[一二三四五六七八九十]{{1,2}}){_SPACE}(?:月|[-/.—–~])"
    rf"{_SPACE}(?P<d>{_ONE_OR_TWO}|[一二三四五六七八九十]{{1,3}})(?:{_SPACE}[日曰号])?"
    r"|(?<!\d)(?P<run>20\d{6}|19\d{6})(?!\d)"
)
_MONTH: Final = re.compile(
    rf"{_YEAR}{_SPACE}(?:年|[-/.]){_SPACE}(?P<m>{_ONE_OR_TWO})(?!\d)(?:{_SPACE}月份?)?|(?<!\d)(?P<run>20\d{{4}})(?!\d)"
)
_MONEY: Final = re.compile(rf"[-+]?{_ND}(?:{_SP}[,，]?{_SP}{_ND})*(?:{_SP}[.．]{_SP}{_ND}(?:{_SP}{_ND})?)?")
_CAPITAL: Final = "零〇壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆兀角分整正"
_CAPITALS: Final = re.compile(rf"[{_CAPITAL}](?:{_SP}[{_CAPITAL}])+")
_ID: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{_ND}{_SP}){{17}}(?:{_ND}|[Xx×])|(?<![0-9A-Za-z])\d{{15}}(?!\d)")
_CARD: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{_ND}[ \-]?){{11,18}}{_ND}(?![0-9A-Za-z])")
_CODE: Final = re.compile(rf"(?<![0-9A-Za-z])(?:[0-9A-Za-z]{_SP}){{17}}[0-9A-Za-z](?![0-9A-Za-z])")
_COUNT: Final = re.compile(rf"{_ND}(?:{_SP}{_ND})*|[一二两三四五六七八九十]+")
_SERIAL: Final = re.compile(
    r"[0-9A-Za-z\u4e00-\u9fff（）()\-—〔〕\[\]](?: ?[0-9A-Za-z\u4e00-\u9fff（）()\-—〔〕\[\]]){3,39}"
)
_VIN: Final = re.compile(rf"(?<![0-9A-Za-z])(?:[0-9A-Za-z]{_SP}){{16}}[0-9A-Za-z](?![0-9A-Za-z])")
_PLATE: Final = re.compile(r"[\u4e00-\u9fff] ?[A-Z] ?[·•]?(?: ?[0-9A-Z]){5,6}")
_PERSON: Final = re.compile(r"[\u4e00-\u9fff](?: ?[\u4e00-\u9fff·]){1,9}")
_STARTS: Final = re.compile(rf"(?<![0-9A-Za-z.,])[0-9A-Za-z]|(?<![{_CAPITAL}])[{_CAPITAL}]")
# 3个月, 5人 or 13% are no money.
_OTHER_UNIT: Final = re.compile(r" ?(?:个|月|天|期|年|人|%|次|岁|日)")
# 诊断 证明 and 工资 明细 are titles, not a label and its value.
_TITLE_END: Final = re.compile(r"(?:证|证明书?|证书|合同|清单|明细单?)$")
_HAN_PAIR: Final = re.compile(r"[\u4e00-\u9fff]{2}")
_CODE_BEHIND: Final = re.compile(r"(?:[（(][0-9A-Za-z]{8,}[）)]?|[12]\d{3}[年\-/.].*)$")
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
    if match["run"]:
        year, one, month, two = match["run"][:4], False, match["run"][4:], False
    else:
        (year, one), (month, two) = digits_of(match["y"]), digits_of(match["m"])
    try:
        return Reading(date(int(year), int(month), 1), match.start(), match.end(), one or two)
    except ValueError:
        return None


def read_money(text: str, start: int, end: int) -> Reading | None:
    """¥14,700.00, 14700元 or 1.47万元, in yuan."""
    begin = _lead(text, start, end)
    match = _MONEY.match(text, begin, end)
    if not match or _OTHER_UNIT.match(text, match.end()):
        return None
    plain, mended = digits_of(match[0].replace("．", ".").lstrip("+-"))
    plain = re.sub(r"(\.\d\d).*", r"\1", plain)
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
    if not match:
        return None
    value = re.sub(r"\s", "", match[0]).replace("兀", "元")
    return Reading(value, match.start(), match.end(), "兀" in match[0])


def capitals_yuan(text: str) -> Decimal | None:
    """Value in yuan of an amount in capitals; None if it is none."""
    match = re.fullmatch(r"(.*?)[元圆](?:零)?(?:(.)角)?(?:零)?(?:(.)分)?[整正]?", text)
    try:
        if not match:
            return Decimal(number(text.rstrip("整正")))
        whole = Decimal(number(match[1]))
        return (
            whole
            + Decimal(DIGITS[match[2]] if match[2] else 0) / 10
            + Decimal(DIGITS[match[3]] if match[3] else 0) / 100
        )
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
    return _without_spaces(match) if match and re.search(r"\d.*\d.*\d", match[0]) else None


def read_vin(text: str, start: int, end: int) -> Reading | None:
    """A vehicle identification number (车辆识别代号): 17 digits and capitals."""
    match = _VIN.match(text, _lead(text, start, end), end)
    return _without_spaces(match) if match and re.search(r"[A-Za-z]", match[0]) else None


def _without_spaces(match: re.Match[str]) -> Reading:
    """Codes have neither O nor I (GB 32100, ISO 3779): those are 0 and 1; small letters are a recognition's."""
    bare = match[0].replace(" ", "")
    value = bare.replace("l", "1").upper().translate(str.maketrans("OI", "01"))
    return Reading(value, match.start(), match.end(), value != bare)


def read_plate(text: str, start: int, end: int) -> Reading | None:
    """A licence plate."""
    match = _PLATE.match(text, _lead(text, start, end), end)
    return Reading(re.sub("[·• ]", "", match[0]), match.start(), match.end()) if match else None


def read_count(text: str, start: int, end: int) -> Reading | None:
    """A whole number: 5, 五 or 十二."""
    match = _COUNT.match(text, _lead(text, start, end), end)
    if not match:
        return None
    if not match[0][0].isascii():
        return Reading(int(number(match[0])), match.start(), match.end())
    plain, mended = digits_of(match[0])
    return Reading(int(plain), match.start(), match.end(), mended)


def read_decimal(text: str, start: int, end: int) -> Reading | None:
    """A number with its decimals, e.g. square metres."""
    return read_money(text, start, end)


def read_serial(text: str, start: int, end: int) -> Reading | None:
    """A number of a document; may hold letters and Chinese characters."""
    match = _SERIAL.match(text, _after_separators(text, start, end), end)
    if not match or not re.search(r"\d", match[0]):
        return None
    value, mended = re.sub(r"[（(][章盖印]?$", "", match[0].replace(" ", "")).strip("（）()-—"), False
    if not re.search(r"[^0-9OoQDlI|i]", value):
        value, mended = digits_of(value)
    return Reading(value, match.start(), match.end(), mended)


def read_person(text: str, start: int, end: int) -> Reading | None:
    """A person's name of two to ten Chinese characters."""
    match = _PERSON.match(text, _after_separators(text, start, end), end)
    if not match:
        return None
    name = _TITLE.sub("", match[0]).strip()
    value = name.replace(" ", "")
    return Reading(value, match.start(), match.start() + len(name)) if len(value) >= 2 else None


def read_words(text: str, start: int, end: int) -> Reading | None:
    """Everything up to the next separator, without the spaces that recognition sets between characters."""
    begin = _after_separators(text, start, end)
    match = _WORDS_END.search(text, begin, end)
    stop = match.start() if match else end
    value = re.sub(r"[（(][章盖印][^）)]{0,3}[）)]$", "", text[begin:stop].strip(_DIRT)).strip(_DIRT)
    bare = re.sub(r"(?<![A-Za-z]) (?![A-Za-z])", "", value)
    return Reading(bare, begin, begin + len(value)) if bare and not _TITLE_END.match(bare) else None


def read_org(text: str, start: int, end: int) -> Reading | None:
    """An organisation, or a person in the place of one, without the code that may stand in brackets behind it."""
    reading = read_words(text, start, end)
    if reading is None or not _HAN_PAIR.match(str(reading.value)):
        return None
    return reading._replace(value=_CODE_BEHIND.sub("", str(reading.value)))


def search(read: Reader, text: str, start: int, end: int) -> Reading | None:
    """What `read` reads first where a run of letters, digits or capitals begins."""
    return next(every(read, text, start, end), None)


def every(read: Reader, text: str, start: int, end: int) -> Iterator[Reading]:
    """All that `read` reads where a run of letters, digits or capitals begins."""
    starts = (read(text, match.start(), end) for match in _STARTS.finditer(text, start, end))
    return (reading for reading in starts if reading)


def _lead(text: str, start: int, end: int) -> int:
    match = _LEAD.match(text, start, end)
    return match.end() if match else start


def _after_separators(text: str, start: int, end: int) -> int:
    match = re.compile(r"[\s:：;；=|]*").match(text, start, end)
    return match.end() if match else start
