"""Where a base model runs on to another question, and whether an output restates the question or poses one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.extract.normalise import squeeze

_NEW_QUESTION = re.compile(
    r"^[ \t]*(?:[【\[]?(?:下一题|下题|题目|问题|试题|例题|练习题?|题干)\s*\d*[】\]]?\s*[::]?|"
    r"第\s*[\d一二三四五六七八九十]+\s*题[::.、 ]?|"
    r"(?:Question|Problem|Q)\s*\d*\s*[:.\n]|(?:用户|User|Human|问|提问)\s*:|\d{1,3}\s*[.、)]|以下是|下列|下面)|"
    r"(?<=[。.!;])[ \t]*(?:下一题|题目|问题|Question|User|Human|用户)\s*\d*\s*:",
    re.M | re.I,
)
_EXPLICIT = re.compile(
    r"[ \t]*(?:[【\[]?(?:下一题|下题|题目|问题|试题|例题|练习题?)\s*\d*[】\]]?\s*:|"
    r"(?:Question|Problem|Q)\s*\d*\s*[:\n]|"
    r"(?:用户|User|Human|提问)\s*:|以下是.{0,60}题)",
    re.I,
)
_FIRST_OPTION = re.compile(r"(?:^|\s)\(?A\s*[.、:)]\s*([^\n]{1,200})")


def own_answer(text: str, options: Sequence[str], question: str) -> str:
    """`text` up to where a base model runs on to another question; the question itself, restated, stays."""
    for match in _NEW_QUESTION.finditer(text):
        if _another(text, match.start(), options, question):
            return text[: match.start()]
    return text


def _another(text: str, start: int, options: Sequence[str], question: str) -> bool:
    tail = text[start : start + 1500]
    listed = _FIRST_OPTION.search(tail)
    if listed and options and squeeze(options[0]):
        first, shown = squeeze(options[0]), squeeze(listed[1])
        if shown.startswith(first) or (len(shown) > 3 and first.startswith(shown)):
            return False
    asked, shown_question = squeeze(question), squeeze(tail[:300])
    if asked and (asked[:10] in shown_question or shown_question[:10] in asked):
        return False
    open_blank = re.search(r"\(\s*\)|_{2,}", tail.partition("\n")[0])
    blank = open_blank or re.search(r"\?|(?:下列|以下|关于).{2,60}(?:的是|的有|是|有|为|包括)", tail.partition("\n")[0])
    if listed and blank:
        return True
    return bool(text[:start].strip() and (open_blank or _EXPLICIT.match(tail)))
