"""Whom a provision addresses, under which conditions and with which exception."""

from __future__ import annotations

import functools
import re

from data_recipes.clauses.modality import first_modal

_SENTENCE = re.compile(r"[^。；;！？]+")
_EXCEPTION_START = re.compile(r"^(?:但是?|除)")
_CONDITION_END = ("的", "时", "后", "前", "起", "内")
_TERM = re.compile(r"(?<![\d零一二三四五六七八九十百])[\d零一二三四五六七八九十百]+(?:个工作日|个?月|日|年|小时)内$")
_APPROVAL = re.compile(r"(?:未?经|非经)[^，]*(?:批准|同意|许可|授权|核准)$")
_PROVISO = re.compile(
    r"(?:(?<=[，。；])|^)但(?:是|书)?，?[^。；]*|除(?!外|了)[^。；，]{1,80}?(?:以?外|之外)(?=[，。；]|$)"
)
_OTHERWISE = re.compile(
    r"[^，。；：]{0,40}(?:另有(?:规定|约定)|有特别规定)的?(?:，|$)?(?:[^。；]{0,12}(?:从其|依照其|适用其|除外)[^。；]*|除外)"
)
_EXCLUDED = re.compile(r"[^。；]*的除外")
_CASES = re.compile(r"有(?:下列|以下|前款|上述)[^，。；：]{0,20}(?:之一|情形|行为)(?:的|，|：|$)")
_WITHOUT = re.compile(
    r"(?:未经|非经|经)[^，。；：]{2,30}?(?:同意|批准|许可|授权|核准|审批|备案)(?:的|后)?(?=，|不得|方可|可以|应当)"
)
_SINCE = re.compile(r"自[^，。；：]{1,40}?之?日起")
_CONDITION = re.compile(r"(?:的|时|情形下|情况下|前提下|之前|之后|后)(?=，)")


def subject(text: str, inherited: str = "") -> str:
    """Who the first modal addresses: the noun phrase before it, else the `inherited` subject of the paragraph."""
    for sentence in _SENTENCE.findall(text):
        found = first_modal(sentence)
        if found:
            return _noun(sentence[: found.start]) or inherited
    return inherited


def _noun(before: str) -> str:
    phrase = _TERM.sub("", before.strip("，, ").rpartition("，")[2].strip())
    if phrase.endswith(_CONDITION_END) or _APPROVAL.match(phrase):  # a condition: 逾期的，应当…
        earlier = before.strip("，, ").split("，")[0]
        phrase = "" if earlier.endswith(_CONDITION_END) else earlier
    phrase = re.sub(r"^(?:因此|但是|但|其中|并|且|同时)", "", phrase)
    return phrase if 2 <= len(phrase) <= 24 else ""


def conditions(text: str) -> tuple[str, ...]:
    """When the provision applies, in its own words and order: …的，/ …时，/ 有下列情形之一 / 未经…同意 / 自…之日起."""
    return tuple(dict.fromkeys(one for sentence in _SENTENCE.findall(text) for one in _conditions(sentence)))


@functools.lru_cache(maxsize=4096)
def _conditions(sentence: str) -> tuple[str, ...]:
    found: list[tuple[int, int]] = []
    begin = 0
    for match in _CONDITION.finditer(sentence):
        opened = sentence[begin : match.end()]
        if not _EXCEPTION_START.match(opened.lstrip("，")) and not first_modal(opened):
            found.append((begin, match.end()))
        begin = match.end()
    for pattern in (_CASES, _WITHOUT, _SINCE):
        found += [match.span() for match in pattern.finditer(sentence)]
    kept = [
        one for one in found if not any(other != one and other[0] <= one[0] and one[1] <= other[1] for other in found)
    ]
    pieces = (sentence[start:end].strip("，：: ") for start, end in sorted(set(kept)))
    return tuple(piece for piece in pieces if len(piece) > 2)


def exception(text: str) -> str:
    """但书, 除…外 or 另有规定的除外, in the words of the provision; several are joined by a semicolon."""
    spans: list[tuple[int, int]] = []
    # the words are looked for first: most provisions have no exception, and the patterns start at every character
    for pattern, words in ((_PROVISO, "但除"), (_OTHERWISE, "另特"), (_EXCLUDED, "除")):
        for match in pattern.finditer(text) if any(word in text for word in words) else ():
            if not any(start < match.end() and match.start() < end for start, end in spans):
                spans.append(match.span())
    return "；".join(text[start:end].strip("，。； ") for start, end in sorted(spans))
