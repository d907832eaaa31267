"""The number an answer gives: amounts (万, 亿), percent and fractions, with unit and tolerance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from evals.extract.formulas import plain_text
from evals.extract.found import CONTRADICTION, EMPTY, HEDGE, NEGATED, SEVERAL, TRUNCATED, Found
from evals.extract.normalise import closed_turn, strip_thought
from tianjing.text import HAN_DIGITS, number

_HAN = f"[{HAN_DIGITS}十百千万亿点]{{2,}}|[{HAN_DIGITS}十](?=[万亿元%])"
_SCALE = {
    "": Decimal(1),
    "十": Decimal(10),
    "百": Decimal(100),
    "千": Decimal(1000),
    "万": Decimal(10**4),
    "百万": Decimal(10**6),
    "千万": Decimal(10**7),
    "亿": Decimal(10**8),
    "万亿": Decimal(10**12),
}
_PERCENT = {
    "%": Decimal("0.01"),
    "‰": Decimal("0.001"),
    "个百分点": Decimal("0.01"),
    "百分点": Decimal("0.01"),
    "个基点": Decimal("0.0001"),
    "基点": Decimal("0.0001"),
    "bp": Decimal("0.0001"),
}
_UNIT = (
    r"人民币|美元|港元|港币|欧元|日元|英镑|澳元|元|块钱?|股|份|手|克|"
    r"千克|公斤|吨|年|个月|月|天|日|倍|次|人|户|家|期|笔|套|枚[一-鿿]{0,4}|"
    r"张|件|台|"
    r"平方米|小时|分钟|[A-Z]{3}"
)
_SAME_UNIT = {
    "块": "元",
    "块钱": "元",
    "人民币": "元",
    "港币": "港元",
    "日": "天",
    "个月": "月",
    "CNY": "元",
    "RMB": "元",
    "USD": "美元",
    "HKD": "港元",
}
_SYMBOL = {"¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_NUMBER = re.compile(
    rf"(?P<symbol>[¥$€£])?\s*(?:百分之(?P<hundredth>\d+(?:\.\d+)?|[{HAN_DIGITS}十百点]+)|"
    rf"(?P<sign>(?<![\d\w)%])[-+−]|负)?\s*(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|"
    rf"\d*\.?\d+(?:[eE][+-]?\d+)?|{_HAN})"
    rf"\s*(?P<scale>万亿|千万|百万|[万亿千百])?\s*(?P<percent>[%‰]|个百分点|"
    rf"百分点|个基点|基点|bp)?\s*(?P<unit>{_UNIT})?)"
)
_CUE = re.compile(
    r"(?:最终|正确)?(?:答案|结果|结论)(?:是|为|:|=|≈|约|应|大约|\s)+|"
    r"(?:因此|所以|故|综上|即|等于|得出?|约为|大约为?|共计?|合计)[^\d。\n;]{0,24}?(?:是|"
    r"为|:|=|≈|约)*\s*|"
    r"(?i:answer\s*(?:is|:)\s*)|####\s*|=\s*|≈\s*"
)
_BOXED = re.compile(r"\\?boxed\s*\{([^{}]+)\}")
_STEP = re.compile(r"Calculator\([^()]*\)\s*(?:→|->)")

# A number that is named and not given. Read over the text before it, and behind it.
_DENIED = re.compile(r"(?:不是|并非|不等于|不为|不应是|≠)\s*$")
_PERHAPS = re.compile(r"(?:可能|也许|或许|好像|似乎|说不定|猜测?)(?:是|为|等于)?\s*$")
_BEYOND = re.compile(r"(?:(?<!不)(?:大于|小于|多于|少于|高于|低于|超过|不足)|(?<![-=])[<>])\s*$")
_OR_MORE = re.compile(r"\s*(?:以上|以下|开外|有余)")
_UNSURE = re.compile(
    r"(?:无法|难以|不能|没法)(?:准确|直接|精确)?(?:确定|判断|计算|算出|得出|给出|回答)|不确定|不知道|信息不足"
)
_BETWEEN = r"\s*(?:[-~–—至到]|或者?|还是|/)\s*"
_ONE_OF_BEFORE = re.compile(rf"{_NUMBER.pattern.replace('?P<', '?P<_')}{_BETWEEN}$")
_ONE_OF_BEHIND = re.compile(rf"{_BETWEEN}{_NUMBER.pattern.replace('?P<', '?P<_')}")
_NEAR = 24


@dataclass(frozen=True)
class Quantity:
    """A number with what it counts.

    Attributes:
        written: as written, before 万 or % is applied.
        value: in single units; 3.65% is 0.0365, 1.2万 is 12000.
        percent: whether it was a share.
        unit: 元, 股 …; "" where none was written.
    """

    written: Decimal
    value: Decimal
    percent: bool
    unit: str

    def __str__(self) -> str:
        shown = f"{self.value.normalize():f}"
        return f"{shown} {self.unit}" if self.unit else shown


def find_number(text: str) -> tuple[Quantity | None, Found]:
    """The quantity that the output gives as its answer.

    What is announced (答案, 结果, a boxed number, 因此 …) counts before the last number of the text.
    A list of steps ends in its result, so the last is taken; cut off, it is not. Powers of ten and fractions are one
    number. A range, one of two, a bound (大于), a guess (可能是) and what is denied (不是) are no answer.
    """
    answer = strip_thought(text)
    if answer is None:
        return None, Found(None, TRUNCATED, final=True)
    body = plain_text(closed_turn(answer))
    if not body.strip():
        return None, Found(None, EMPTY)
    boxed = [quantities(match[1]) for match in _BOXED.finditer(body)]
    if boxed and boxed[-1]:
        if _ONE_OF_BEHIND.search([match[1] for match in _BOXED.finditer(body)][-1]):
            return None, Found(None, SEVERAL)
        values = {str(found[-1].value) for found in boxed if found}
        if len(values) > 1:
            return None, Found(None, CONTRADICTION)
        return boxed[-1][-1], Found(str(boxed[-1][-1]), "boxed", final=True)
    body = _STEP.sub("", body)
    named = [(match, found) for match in _NUMBER.finditer(body) if (found := _quantity(match)) is not None]
    if not named:
        return None, Found(None, "invalid_no_number")
    if len(named) == 1:
        return _given(body, *named[0], "only_number", final=len(body) < 30)
    for cue in reversed(list(_CUE.finditer(body))):
        match = _NUMBER.match(body, cue.end())
        if match and not re.match(r"\s*(?:[-+*/×÷^]|\(\s*[\d.])", body[match.end() :]):
            quantity = _quantity(match)
            if quantity is not None:
                announced = bool(re.match(r"(?:最终|正确)?(?:答案|结果)|####|(?i:answer)", cue[0]))
                return _given(body, match, quantity, "announced" if announced else "result", final=announced)
    told = [one for one in named if not _DENIED.search(_before(body, one[0]))]
    if not told:
        return None, Found(None, NEGATED)
    return _given(body, *([one for one in told if not _year(one[1])] or told)[-1], "last_number", final=False)


def _before(body: str, match: re.Match[str]) -> str:
    return body[max(0, match.start() - _NEAR) : match.start()]


def _given(
    body: str, match: re.Match[str], quantity: Quantity, rule: str, final: bool
) -> tuple[Quantity | None, Found]:
    """The number if the output stands by it, and no other beside it."""
    before = _before(body, match)
    if _DENIED.search(before):
        return None, Found(None, NEGATED)
    if _ONE_OF_BEHIND.match(body, match.end()) or _ONE_OF_BEFORE.search(before):
        return None, Found(None, SEVERAL)
    if _PERHAPS.search(before) or _BEYOND.search(before) or _OR_MORE.match(body, match.end()):
        return None, Found(None, HEDGE)
    if rule != "announced" and _UNSURE.search(body):
        return None, Found(None, HEDGE)
    return quantity, Found(str(quantity), rule, final=final)


def _year(quantity: Quantity) -> bool:
    return quantity.unit == "年" and 1900 <= quantity.value <= 2100


def quantities(text: str) -> list[Quantity]:
    """Every quantity of `text`, in order."""
    return [found for match in _NUMBER.finditer(text) if (found := _quantity(match)) is not None]


def _quantity(match: re.Match[str]) -> Quantity | None:
    try:
        written = (
            number(match["hundredth"] or match["digits"])
            if not _plain(match)
            else Decimal((match["digits"] or "").replace(",", ""))
        )
    except (ValueError, ArithmeticError):
        return None
    if match["sign"] in ("-", "负"):
        written = -written
    percent = bool(match["hundredth"] or match["percent"])
    value = (
        written
        * _SCALE[match["scale"] or ""]
        * (_PERCENT[match["percent"]] if match["percent"] else Decimal("0.01") if percent else 1)
    )
    unit = match["unit"] or _SYMBOL.get(match["symbol"] or "", "")
    return Quantity(written, value, percent, _SAME_UNIT.get(unit, unit))


def _plain(match: re.Match[str]) -> bool:
    return bool(match["digits"] and match["digits"][0] in "0123456789.")


def same_quantity(said: Quantity, truth: Quantity, relative: float, absolute: float) -> bool:
    """Whether two quantities agree within the larger of both tolerances.

    Two units must be the same. Where only one carries a percent sign or 万, the other may mean the same unit, since
    questions often name it: then the numbers as written are compared too.
    """
    if said.unit and truth.unit and said.unit != truth.unit:
        return False
    if _close(said.value, truth.value, relative, absolute):
        return True
    bare = not said.percent and said.written == said.value and not (said.unit and truth.unit)
    return bare and truth.written != truth.value and _close(said.written, truth.written, relative, absolute)


def _close(a: Decimal, b: Decimal, relative: float, absolute: float) -> bool:
    return abs(a - b) <= max(Decimal(str(relative)) * abs(b), Decimal(str(absolute)))
