"""Options named without their letters: 前三项, 第一、第二、第四项, A-D全部正确, 选项2, ③④, the head of their text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.extract.normalise import squeeze
from evals.extract.numbers import quantities
from evals.extract.options import Options

_WORDS = "一二三四五六七八"
_N = rf"[{_WORDS}两1-8]"
_COUNTER = r"(?:个选项|个答案|选项|项(?!目)|个(?![一-鿿])|个(?=[和与及都均是为才])|者)"
_PLACE = rf"(?:前{_N}|(?<!此)(?<!以)(?<!之)(?<!今)后{_N}|最后[一两二三]?|倒数第{_N}|第\s*{_N})"
_JOIN = r"\s*(?:、|,|和|与|及|以及)\s*"
_NAMED = re.compile(
    rf"{_PLACE}{_COUNTER}?(?:{_JOIN}(?:{_PLACE}{_COUNTER}?|{_N}(?:{_COUNTER}|(?=\s*[、,]))))*"
    rf"(?:(?<=项)|(?<=个)|(?<=选项)|(?<=者))"
    r"(?=\s*(?:[。.,;、:!)\n]|$|都|均|皆|全|是|为|不|才|就|则|正确|错误?|对|符合|属于|当选|有误|的?说法|的?表述|和|与|之?外|以外))|"
    rf"第\s*[1-8](?:、[1-8])+{_COUNTER}"
)
_SPAN = re.compile(
    r"(?<![A-Za-z0-9])([A-J])\s*(?:-|~|—|–|到|至)\s*([A-J])(?![A-Za-z])"
    r"(?=(?:选项|项|这[一-八]项|[一-八]项)?(?:的?(?:说法|表述))?\s*(?:全部?|都|均|皆|正确|错误|对|属于|符合|不|[当入应]选))|"
    r"(?<=[选是为:])\s*([A-J])\s*(?:-|~|到|至)\s*([A-J])(?=\s*(?:[。.,;\n]|$))"
)
_ONE = re.compile(rf"前(?P<first>{_N})|倒数第(?P<back>{_N})|最后(?P<tail>[一两二三]?)|后(?P<last>{_N})|(?P<nth>{_N})")
_OPTION = re.compile(
    rf"(?:选项\s*|(?i:\b(?:option|choice)\s+))(?:([1-8])(?!\d|\.\d|[%年月个元万号])|"
    rf"([{_WORDS}])(?=[\s:、,。.;是为正错不都均对可应属符和与及)]|$))"
)
_OPTIONS = re.compile(r"(?i:\b(?:options|choices)\s+)([1-8](?:\s*,\s*[1-8])*\s*,?\s*(?:and|&)\s*[1-8])(?!\d)")
_ENGLISH = re.compile(r"(?i:\bthe\s+(first|second|third|fourth|fifth|last)\s+(?:option|choice|one)\b)")
_ENGLISH_PLACES = ("first", "second", "third", "fourth", "fifth")
_APART = re.compile(r"(?P<lead>只有|仅有|唯有|唯独|除了?)(?P<names>[^。;,!?\n:A-J]{2,20}?)(?=不|以外|之外|外|,)")
_NUMBERS = re.compile(r"\s*(?:答案|选|应选|故选)?(?:是|为|:|\s)*([1-8](?:\s*[、,和\s]\s*[1-8])*)\s*[。.]?\s*")
_CIRCLES = re.compile(
    r"第?[①-⑧](?:[项个](?!目))?(?:\s*[、,，和与及]?\s*第?[①-⑧](?:[项个](?!目))?)*(?=\s*(?:$|[。.,，;；!！\n]|的?说法|不|都|均|皆|全|正确|错|对(?![于应])|以外|之外))"
)
_CIRCLED = re.compile(r"[①-⑧]|[(（]\d[)）]")
_ORDINAL = re.compile(rf"第\s*({_N})\s*(?:个选项|个答案|选项|项(?!目)|[个种](?=[不是都才正错属符说表,。;\s]|$))")
_HEAD = re.compile(
    r"(?P<lead>\s*(?:\(?[一二三四五六七八1-8]\s*[.、)]\s*)?(?:但|而|其中|所以|因此|故|像)?)(?P<names>[^。;,!?\n:A-J]{2,40}?)"
    r"(?=(?:则|也|就|显然|明显|这[一-八][种项个类])*(?:不(?!仅|但|止|断|良|动产|当)|未|没有?|无法|无关|都|均|皆|全(?=[是属为])|才|是|为|属于|可以|能|应|"
    r"要|违|错误?|正确|对(?![于应])|合规|符合|—|:|√|×|✓|✔|✗|✘|✅|❌))"
)


def by_circles(text: str, known: Options, question: str) -> str:
    """`text` with C、D for ③④, where neither the question nor an option counts statements of its own."""
    if not re.search("[①-⑧]", text) or _CIRCLED.search(question + "".join(known.texts)):
        return text

    def lettered(match: re.Match[str]) -> str:
        return _at([ord(mark) - ord("①") for mark in re.findall("[①-⑧]", match[0])], known) or match[0]

    return _CIRCLES.sub(lettered, text)


def by_ordinals(text: str, known: Options, question: str) -> str:
    """`text` with C for 第三项, wherever it stands."""

    return _ORDINAL.sub(lambda match: _letter_of(match, known, question), text)


def by_heads(text: str, known: Options) -> str:
    """`text` with letters for options that open a clause by their text, or by a part of it that no other has.

    考勤管理不是 → D不是, 生猪、柑橘都是 → A、B都是.
    """
    text = _APART.sub(lambda match: match["lead"] + (known.only_with(squeeze(match["names"])) or match["names"]), text)
    parts = re.split(r"([。;,!?\n])", text)
    for place in range(0, len(parts), 2):
        head = _HEAD.match(parts[place])
        if head is None:
            continue
        names = [squeeze(name) for name in re.split("[、和与及/]", head["names"])]
        letters = [known.only_with(name) for name in names]
        if all(letters) and len(set(letters)) == len(letters):
            parts[place] = head["lead"] + "、".join(letters) + parts[place][head.end() :]
    return "".join(parts)


def by_letters(text: str, known: Options, question: str) -> str:
    """`text` with the letters of options that it names by place or span; as it is where a place does not exist."""
    if re.search("[-~—–到至]", text):
        text = _SPAN.sub(lambda span: _letters_between(span, known), text)
    text = _OPTIONS.sub(lambda match: _at(_counted(match[1]), known) or match[0], text)
    text = re.sub(rf"([{_WORDS}1-8])号选项", r"选项\1", text)
    text = _ENGLISH.sub(lambda match: _of_word(match[1].lower(), known) or match[0], text)
    text = _OPTION.sub(lambda match: _letter_of(match, known, question), text)
    numbers = _NUMBERS.fullmatch(text)
    if numbers and not any(quantities(option) for option in known.texts):
        letters = _at(_counted(numbers[1]), known)
        if letters and (known.multiple or len(letters) == 1):
            return letters
    if "第" not in text and "前" not in text and "后" not in text:
        return text

    def lettered(match: re.Match[str]) -> str:
        if re.fullmatch(rf"第\s*{_N}(?:项|个)", match[0]) or known.mentions(match[0], question):
            return match[0]  # one alone is announced like a letter
        letters = _letters(match[0], known.letters)
        return "、".join(letters) if letters else match[0]

    return _NAMED.sub(lettered, text)


def _counted(listed: str) -> list[int]:
    """Places, from 0, for 1, 2 and 3."""
    return [int(digit) - 1 for digit in re.findall(r"\d", listed)]


def _at(places: Sequence[int], known: Options) -> str:
    """A、C for the places 0 and 2; "" where there are fewer options."""
    return "、".join(known.letters[place] for place in places) if max(places) < len(known.letters) else ""


def _of_word(word: str, known: Options) -> str:
    """B for second; "" where there are fewer options."""
    place = len(known.letters) - 1 if word == "last" else _ENGLISH_PLACES.index(word)
    return known.letters[place : place + 1]


def _letter_of(match: re.Match[str], known: Options, question: str) -> str:
    """B for 选项2 or 第二项, where there is one and neither the question nor an option speaks so."""
    place = _number(next(filter(None, match.groups()))) - 1
    return match[0] if place >= len(known.letters) or known.mentions(match[0], question) else known.letters[place]


def _letters_between(span: re.Match[str], known: Options) -> str:
    """A、B、C for A-C."""
    inside = known.letters.find(span[1] or span[3]), known.letters.find(span[2] or span[4])
    real = (known.multiple or span[1]) and 0 <= inside[0] < inside[1] and not known.mentions(span[0], "")
    return "、".join(known.letters[inside[0] : inside[1] + 1]) if real else span[0]


def _letters(named: str, letters: str) -> str:
    found = ""
    for place in _ONE.finditer(re.sub(r"[一-八]?个|项|者", lambda part: part[0][:-1], named)):
        kind, word = place.lastgroup, place[place.lastgroup or 0]
        number = _number(word) if word else 1
        if number > len(letters):
            return ""
        if kind == "first":
            found += letters[:number]
        elif kind in ("last", "tail"):
            found += letters[-number:]
        elif kind == "back":
            found += letters[-number]
        else:
            found += letters[number - 1]
    return "".join(sorted(set(found)))


def _number(word: str) -> int:
    return int(word) if word.isdigit() else 2 if word == "两" else _WORDS.index(word) + 1
