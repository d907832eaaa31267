"""Every way in which the numerals of a text can be read, for the check of what `numerals` respelt.

Written apart from `numerals`, and from the parser of `tianjing.text` that it uses, on another plan: a run of numeral
characters is cut in all ways into numbers, and each way that the words behind it allow is a reading. 三千三 is 3300 or
3000 and 3; before 个月 both are kept, before a comma the first alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from tianjing.text import fold_words

Reading = tuple[str, ...]

_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8, "w": 10**4, "W": 10**4, "k": 1000, "K": 1000}
_LITERAL = r"\d+(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)*"
_HAN = "".join(_DIGITS) + "十百千万亿"
_RUN = re.compile(
    rf"(?P<date>(?<![\d-])(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?![\d-]))"
    rf"|(?P<share>[百千万])分之(?P<parts>[{_HAN}点]+|\d+(?:\.\d+)?)"
    rf"|(?P<run>(?:{_LITERAL}|[{_HAN}])(?:{_LITERAL}|[{_HAN}]|(?<=\d)[wWkK](?![A-Za-z])|点(?=[{_HAN}]))*)(?P<sign>[%‰]?)"
)
_TOKEN = re.compile(rf"{_LITERAL}|.")
_SIGNS = {"百": "%", "千": "‰", "万": "‱"}
_MONEY = re.compile(r"\s?[元块万亿]")
# Characters that a count stands before: of time, of money, of things and of times.
_MEASURES = frozenset(
    "年月日天周季旬号时分秒刻点夜晚早岁代世辈元块毛角厘个期次回遍趟口只张套层头笔单位处道段番股家间件句卷颗棵类路轮名"
    "盘批片篇起群声双所台题条通团项些样页阵支枝种桩组座下门栋户拨档步场册成折倍份封幅副根杆伙届斤克吨里米尺步码级节筹"
    "集行星礼小工自半多人基"
)
_NO_COUNTS = frozenset("下样些起")
# 一直, 五花八门: any word, but for particles and what makes a number vague.
_BEGUN = re.compile(r"(?![的了吧呢吗啊呀嘛呗]|左右|上下|以[上下内])[一-鿿]")
_LOOK_AHEAD = 4
_LONGEST_AMOUNT = 16
_LEAST_AMOUNT = 100


@functools.lru_cache(maxsize=4096)
def readings(text: str) -> tuple[str | frozenset[Reading], ...]:
    """The numbers of a text in order: the value where there is one reading, else the set of readings.

    A 一 or 两 that counts nothing for sure (一下, 两样) is none.
    """
    found: list[str | frozenset[Reading]] = []
    folded = fold_words(text)
    for match in _RUN.finditer(folded):
        behind = folded[match.end() : match.end() + _LOOK_AHEAD]
        if match[0] in ("一", "两") and behind[:1] not in _MEASURES - _NO_COUNTS:
            continue
        ways = _ways(match, behind)
        found += next(iter(ways)) if len(ways) == 1 else [ways]
    return tuple(found)


def _ways(match: re.Match[str], behind: str) -> frozenset[Reading]:
    if match["date"]:
        return frozenset({tuple(str(int(match[part])) for part in ("year", "month", "day"))})
    sign = _SIGNS[match["share"]] if match["share"] else match["sign"]
    run = match["parts"] or match["run"]
    tokens = tuple(_TOKEN.findall(run))
    ways = {
        (f"{first}{sign}", *rest)
        for (first, *rest), cuts in _cut(tokens, bool(sign))
        if not cuts or _may_be_cut(tokens, cuts, behind, bool(sign))
    }
    return frozenset(ways or {(f"{run}{sign}",)})


def _cut(tokens: tuple[str, ...], share: bool) -> Iterator[tuple[Reading, tuple[int, ...]]]:
    """Every way to cut the tokens into numbers: the values, and where it was cut.

    Without a pause one number follows another only behind a unit (三千五百), before 十 (两千零一十天后) or behind a
    share (百分之五一直没变).
    """
    if len(tokens) > _LONGEST_AMOUNT:
        return
    whole = number_of(tokens)
    if whole is not None:
        yield (_written(whole),), ()
    for place in range(1, len(tokens)):
        apart = share or tokens[place - 1] in _SCALES or tokens[place] == "十"
        head = number_of(tokens[:place]) if apart else None
        if head is not None:
            for values, cuts in _cut(tokens[place:], False):
                yield (_written(head), *values), (place, *(place + cut for cut in cuts))


def _written(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _may_be_cut(tokens: tuple[str, ...], cuts: Sequence[int], behind: str, share: bool) -> bool:
    """Whether the words behind let the last number stand for itself, and what is before be an amount without a unit."""
    if number_of(tokens) is None:
        return True
    tail = "".join(tokens[cuts[-1] :])
    measured = behind.lstrip()[:1] in _MEASURES and behind != ""
    short = tail in _DIGITS and tokens[cuts[-1] - 1] != "十"
    # 二十三天 is no 20, three days later (but 二十一直没还 is 20); 一千五百元 no 1000, and then 500元.
    if measured:
        head = number_of(tokens[: cuts[0]]) or 0
        return (share or head >= _LEAST_AMOUNT) and (short or not _MONEY.match(behind))
    return len(tail) == 1 and _BEGUN.match(behind) is not None


@functools.lru_cache(maxsize=4096)
def number_of(tokens: tuple[str, ...]) -> Decimal | None:
    """The value of one number, None where the tokens are none: 三五, 一万二十 and 千 are not, 三千三 and 3万2 are."""
    if "点" in tokens:
        return _decimal(tokens)
    if not any(token in _SCALES for token in tokens):
        return _without_scale(tokens)
    scale = max(_SCALES[token] for token in tokens if token in _SCALES)
    place = max(place for place, token in enumerate(tokens) if _SCALES.get(token) == scale)
    count, rest = tokens[:place], tokens[place + 1 :]
    head = Decimal(1) if not count and scale == 10 else number_of(count)
    tail = _behind_scale(rest, scale)
    if head is None or tail is None or not head or (scale < 10**4 and head >= 10):
        return None
    return head * scale + tail


def _without_scale(tokens: tuple[str, ...]) -> Decimal | None:
    digits = [_DIGITS.get(token) for token in tokens]
    if len(tokens) == 1 and digits[0] is None:
        return Decimal(tokens[0].replace(",", "")) if tokens[0].count(".") < 2 else None
    # 二〇二四; of two digits 三五 is three or five.
    if len(tokens) in (0, 2) or None in digits:
        return None
    return Decimal("".join(map(str, digits)))


def _behind_scale(rest: tuple[str, ...], scale: int) -> Decimal | None:
    """What stands behind 百: the next place (二十), 零 and a lower one, or a digit of the next place (一百二)."""
    if not rest:
        return Decimal(0)
    if _DIGITS.get(rest[0]) == 0:
        value = number_of(rest[1:]) if len(rest) > 1 else None
        return value if value is not None and 0 < value < scale // 10 else None
    value = number_of(rest)
    if value is None:
        return None
    if len(rest) == 1 and 0 < value < 10:
        return value * scale / 10
    return value if scale // 10 <= value < scale else None


def _decimal(tokens: tuple[str, ...]) -> Decimal | None:
    """十五点五, 三点五万."""
    point = tokens.index("点")
    digits = tokens[point + 1 :]
    scale = _SCALES.get(digits[-1], 0) if digits else 0
    if scale >= 10**4:
        digits = digits[:-1]
    whole = number_of(tokens[:point]) if point else None
    if whole is None or not digits or any(digit not in _DIGITS for digit in digits):
        return None
    value = whole + Decimal("0." + "".join(str(_DIGITS[digit]) for digit in digits))
    return value * scale if scale >= 10**4 else value
