"""Change how a customer says something, not what is said: an invariance test of the input's own text.

Rules: a polite opening, a closing filler, punctuation, and the form of numerals (3个月 ↔ 三个月). A perturbed text is
used only if every number, negation, name and placeholder is still there, each as often as before.
"""

from __future__ import annotations

import copy
import math
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A question is asked more politely; a turn of a talk, often a heated one, only gains the fillers of speech.
_POLITE = (("您好，", "麻烦您一下，", "打扰一下，", "请教一下，"), ("，谢谢", "，谢谢您", "，麻烦了"))
_SPOKEN = (("那个，", "嗯，", "就是说，", "我跟您讲，"), ("，您看", ""))
_DIGITS = "零一二三四五六七八九"
_PLACES = {"十": 10, "百": 100, "千": 1000}
_UNIT = r"(?:个月|个工作日|天|期|年|元|块钱|号|日)"
# 第三期 is an ordinal, 一期一会 an idiom: a numeral is re-spelt only as a count in front of a unit.
_ARABIC = re.compile(rf"(?<![\d.,:：第A-Za-z_/-])([1-9]\d{{0,3}})(?={_UNIT})")
_HAN = re.compile(rf"(?<![第零一二两三四五六七八九十百千万亿几数\d])([一二两三四五六七八九十百千零]+)(?={_UNIT})")
_NUMBER = re.compile(rf"\d+(?:[.,]\d+)*|[零一二两三四五六七八九十百千万]+(?={_UNIT})")
_NEGATION = re.compile(r"[不没别无未非莫勿否]")
_PROTECTED = re.compile(
    r"《[^》]*》|【[^】]*】|\[[^\]]*\]|<[^>]*>|〈[^〉]*〉|[A-Za-z_]+\d*|[一-鿿]{1,3}(?:先生|女士|小姐|某某?)|第[^条章款项]{1,6}[条章款项]"
)
_PUNCTUATION = str.maketrans({"？": "?", "！": "!", "，": ",", "：": ":", "；": ";"})


def perturb(task_id: str, fields: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """The same fields with the customer's text reworded; None when there is no text or no safe change."""
    if task_id not in _TEXT_OF_TASK:
        return None
    find, (openings, closings) = _TEXT_OF_TASK[task_id]
    copied = copy.deepcopy(dict(fields))
    slot = find(copied)
    if slot is None:
        return None
    holder, key = slot
    changed = reword(holder[key], rng, openings, closings)
    if changed is None:
        return None
    holder[key] = changed
    return copied


def reword(text: str, rng: random.Random, openings: Sequence[str], closings: Sequence[str]) -> str | None:
    """A rewording of one utterance with the same numbers, negations and names, or None."""
    if not text.strip():
        return None
    body = _respell(text)
    if rng.random() < 0.5:
        body = body.translate(_PUNCTUATION)
    opening = rng.choice([word for word in openings if not text.startswith(word[:1])])
    closing = rng.choice(closings)
    statement = body.rstrip("。.…~～ ")
    if statement.endswith(("？", "?")):
        candidate = opening + body + closing.removeprefix("，")
    elif statement.endswith(("！", "!")):
        candidate = opening + body  # an outcry takes no closing
    else:
        candidate = opening + statement + closing + body[len(statement) :]
    return candidate if keeps_meaning(text, candidate) else None


def keeps_meaning(before: str, after: str) -> bool:
    """Whether both texts hold the same numbers by value, negations, names, titles and placeholders."""
    return all(Counter(find(before)) == Counter(find(after)) for find in (_values, _negations, _names))


def _values(text: str) -> list[float | str]:
    """Numbers by value; a vague or odd one (三五天, 1.2.3) as it is spelt."""
    return [_value(found) for found in _NUMBER.findall(unicodedata.normalize("NFKC", text))]


def _value(numeral: str) -> float | str:
    if numeral[0].isdigit():
        plain = numeral.replace(",", "")
        return float(plain) if plain.count(".") < 2 else numeral
    value = _han_value(numeral)
    return numeral if math.isnan(value) else value


def _negations(text: str) -> list[str]:
    return _NEGATION.findall(text)


def _names(text: str) -> list[str]:
    return [unicodedata.normalize("NFKC", found) for found in _PROTECTED.findall(text)]


def _respell(text: str) -> str:
    """Counts in front of a unit change between Arabic and Chinese numerals; all of them, one way."""

    def to_han(match: re.Match[str]) -> str:
        after = text[match.end() :]
        return match[1] if len(match[1]) == 4 and after.startswith("年") else _to_han(int(match[1]), after)

    def to_arabic(match: re.Match[str]) -> str:
        value = _han_value(match[1])
        return match[1] if math.isnan(value) else str(int(value))

    return _ARABIC.sub(to_han, text) if _ARABIC.search(text) else _HAN.sub(to_arabic, text)


def _han_value(numeral: str) -> float:
    """Value below 100 million of a Chinese numeral; NaN for a vague one (三五天)."""
    if len(numeral) >= 3 and all(char in _DIGITS for char in numeral):
        return float("".join(str(_DIGITS.index(char)) for char in numeral))  # 二零二六年
    total, section, digit = 0, 0, 0
    for char in numeral.replace("两", "二"):
        if char in _DIGITS:
            if digit and char != "零":
                return math.nan
            digit = _DIGITS.index(char)
        elif char in _PLACES:
            section += (digit or 1) * _PLACES[char]
            digit = 0
        elif char == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        else:
            return math.nan
    return float(total + section + digit)


def _to_han(value: int, after: str) -> str:
    if value == 2 and not after.startswith(("号", "日")):
        return "两"
    spelt, zero = "", False
    for place, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, place)
        if digit:
            spelt += ("零" if zero else "") + _DIGITS[digit] + name
            zero = False
        elif spelt and value:
            zero = True
    return spelt.removeprefix("一") if spelt.startswith("一十") else spelt


Slot = tuple[dict[str, Any], str]


def _question(fields: dict[str, Any]) -> Slot | None:
    return (fields, "question")


def _customer(fields: dict[str, Any]) -> Slot | None:
    return (fields, "customer") if fields["customer"] else None


def _last_customer_turn(fields: dict[str, Any]) -> Slot | None:
    turns = [turn for turn in fields["turns"] if turn["speaker"] == "customer"]
    return (turns[-1], "text") if turns else None


def _instruction(fields: dict[str, Any]) -> Slot | None:
    # A text task's instruction holds the text to work on; only a question stays the same when greeted.
    return (fields, "instruction") if fields["kind"] == "consulting" else None


_TEXT_OF_TASK: dict[str, tuple[Callable[[dict[str, Any]], Slot | None], tuple[Sequence[str], Sequence[str]]]] = {
    "policy_qa": (_question, _POLITE),
    "quality_inspection": (_customer, _SPOKEN),
    "next_reply": (_last_customer_turn, _SPOKEN),
    "negotiation": (_last_customer_turn, _SPOKEN),
    "finance_qa": (_instruction, _POLITE),
    "intent": (_last_customer_turn, _SPOKEN),
    "call_summary": (_last_customer_turn, _SPOKEN),
    "handoff_triage": (_last_customer_turn, _SPOKEN),
    "complaint_prediction": (_last_customer_turn, _SPOKEN),
    "mediation": (_last_customer_turn, _SPOKEN),
}
