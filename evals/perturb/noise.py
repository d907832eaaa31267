"""Errors on the way to the model: speech recognition, typing, scanning. Nothing that a right answer hangs on changes.

`fixed` marks the characters that must stay (`protect.untouchable`); no error touches one of them.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Sequence

from evals.perturb.homophones import misheard
from evals.perturb.protect import NEGATION
from tianjing.text import HAN_DIGITS

# No 嗯 or 就是: behind a question they say yes.
FILLERS = ("呃，", "那个，", "就是说，", "呃那个，", "呃就是说，")
STUTTERS = "我你这那就"
_PAUSES = re.compile(r"[，。！？、；：,!?;:…～~]")
# Without its mark a question must still read as one.
_ASKS = re.compile(r"[吗么呢吧谁哪几啥咋怎]|什么|多少|何时|为何|行不|好不|能否|是否|有没有|([一-鿿])[不没]\1")
# As they are taken for one another in print. None of the pairs makes a negation, a numeral, a limit or a question of
# the other: 那 for 哪 would.
OCR = {
    "己": "已",
    "已": "己",
    "日": "曰",
    "人": "入",
    "大": "太",
    "土": "士",
    "入": "人",
    "贷": "货",
    "账": "帐",
    "户": "尸",
    "银": "锒",
    "职": "织",
    "间": "问",
    "准": "淮",
    "目": "自",
    "申": "由",
    "免": "兔",
    "拨": "拔",
    "侯": "候",
    "历": "厉",
}
# Not 再 as 在: 我再还 is no 我在还.
_TYPED = {"账": "帐", "做": "作", "像": "象", "绑": "帮", "页": "叶", "另": "令"}
_SHARE = 0.06
_NUMERAL = re.compile(rf"[\d{HAN_DIGITS}十百千万亿]")


def heard(text: str, fixed: Sequence[bool], rng: random.Random) -> str:
    """As a speech recogniser writes it: homophones, fillers, stutters, punctuation lost."""
    marks = list(text)
    _misspell(text, marks, fixed, rng)
    if rng.random() < 0.5:
        _stutter(text, marks, fixed, rng)
    if rng.random() < 0.6:
        _drop_punctuation(text, marks, fixed)
    if rng.random() < 0.6 or "".join(marks) == text:
        marks.insert(0, rng.choice([filler for filler in FILLERS if not text.startswith(filler[0])]))
    return "".join(marks)


def typed(text: str, fixed: Sequence[bool], rng: random.Random) -> str:
    """As somebody types in a hurry: pinyin input that took the wrong character, marks doubled or left out."""
    marks = list(text)
    if not _misspell(text, marks, fixed, rng):
        places = [i for i, char in enumerate(text) if char in _TYPED and not fixed[i] and 0 < i < len(text) - 1]
        for place in rng.sample(places, min(1, len(places))):
            marks[place] = _TYPED[text[place]]
    for place, char in enumerate(text):
        if fixed[place] or not _droppable(text, place):
            continue
        if char in "？！?!":
            marks[place] = char * rng.choice((1, 2))
        elif char in "，；":
            marks[place] = rng.choice((char, " ", ","))
        elif char == "。" and place == len(text) - 1:
            marks[place] = ""
    return "".join(marks)


def scanned(text: str, fixed: Sequence[bool], rng: random.Random) -> str:
    """As a scanner reads a page: look-alike characters, spaces between characters, lines broken in the middle."""
    marks = list(text)
    places = [i for i, char in enumerate(text) if char in OCR and not fixed[i]]
    for place in rng.sample(places, min(len(places), max(1, len(text) // 50))):
        marks[place] = OCR[text[place]]
    gaps = [i for i in range(len(text) - 1) if not any(fixed[i : i + 2]) and _is_han(text[i]) and _is_han(text[i + 1])]
    for place in rng.sample(gaps, min(len(gaps), max(1, len(text) // 30))):
        line = text[text.rfind("\n", 0, place) + 1 :].partition("\n")[0]
        # Only a line that may not fit the page is broken.
        marks[place] += "\n" if len(line) >= 16 and rng.random() < 0.3 else " "
    for place, char in enumerate(text):
        if char in "：，" and not fixed[place] and rng.random() < 0.3:
            marks[place] = {"：": ":", "，": ","}[char]
    return "".join(marks)


def _misspell(text: str, marks: list[str], fixed: Sequence[bool], rng: random.Random) -> int:
    """Write some everyday words with another character of their sound; returns how many."""
    found = [match.span() for match in _misheard_words().finditer(text)]
    places = [span for span in found if not any(fixed[slice(*span)])]
    for start, end in rng.sample(places, min(len(places), max(1, round(len(text) * _SHARE)))):
        marks[start:end] = rng.choice(misheard()[text[start:end]])
    return len(places)


@functools.lru_cache(maxsize=1)
def _misheard_words() -> re.Pattern[str]:
    return re.compile("|".join(sorted(misheard(), key=len, reverse=True)))


def _stutter(text: str, marks: list[str], fixed: Sequence[bool], rng: random.Random) -> None:
    places = [
        i
        for i, char in enumerate(text)
        if char in STUTTERS
        and not fixed[i]
        and marks[i] == char
        # 这个 is doubled as 这这个; 我们 and what repeats already are not.
        and text[i - 1 : i] != char
        and text[i + 1 : i + 2] not in (char, "们", "")
    ]
    for place in rng.sample(places, min(1, len(places))):
        marks[place] *= 2


def _drop_punctuation(text: str, marks: list[str], fixed: Sequence[bool]) -> None:
    for place, char in enumerate(text):
        if _PAUSES.match(char) and not fixed[place] and _droppable(text, place):
            marks[place] = ""


def _droppable(text: str, place: int) -> bool:
    """Whether a mark can go and the words still say the same.

    不，可以 is not 不可以, 认不，要翻译吗 not 不要翻译; 3，5 and 35, 三千，一直 and 三千一 are other numbers.
    """
    char, before, after = text[place], text[:place], text[place + 1 :]
    if not _PAUSES.match(char):
        return False
    if _NUMERAL.match(before[-1:]) or _NUMERAL.match(after):
        return False
    if NEGATION.match(before[-1:]) and after:
        return False
    sentence = _PAUSES.split(before)[-1]
    if char in "？?" and not _ASKS.search(re.split(r"[。！？!?]", before)[-1]):
        return False
    return not (len(sentence) <= 4 and NEGATION.search(sentence)) and not NEGATION.match(after)


def _is_han(char: str) -> bool:
    return "一" <= char <= "鿿"
