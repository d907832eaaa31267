"""The checks that every piece of a teacher's writing passes, or is rejected by with a reason.

They judge the text alone and ask no model, so a kept row can be checked again by anyone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from data_recipes.bm25 import bigrams
from data_recipes.surface import NearDuplicates
from data_recipes.tasks.draft import Draft
from data_recipes.teacher.asking import Answer
from data_recipes.teacher.config import TeacherUse
from data_recipes.teacher.fidelity import unfaithful
from data_recipes.teacher.prompts import MAX_ANSWER_CHARS, MAX_QUESTION_CHARS, Evidence, evidence, written_field
from tianjing.privacy import find
from tianjing.rulebook import PhraseMatcher
from tianjing.text import compact, numbers

MIN_CHARS = 6
MIN_QUOTE_CHARS = 4
# A little over what is asked for: the limits in the prompt are for the style, these for rows that fit.
_SLACK = 1.25
NEAR_COPY = 0.7
"""Jaccard of character 3-grams from which a question is a copy of one that is there."""
MIN_TOPIC = 0.25
"""Share of an answer's bigrams that the clause or the question must have: less is talk about something else. A
question is held to its clause by the search instead: customers use other words than statutes."""

_ASKS = re.compile(r"[吗呢么？?]|多少|[几谁哪]|怎么|怎样|如何|什么|能不能|可不可以|是不是|有没有|要不要|行不行|是否")
# 每一期 and 同一笔 state no number.
_EACH = re.compile(r"[每同这那哪头]一")
_PLACE = re.compile(
    r"第[零〇一二三四五六七八九十百千\d]+[条款项章]|本(?:法|条|款|办法|规定|条例)|上述|前款|前述|该条|《|条款|原问题|quote|JSON"
)


def judge(
    answer: Answer,
    use: TeacherUse,
    draft: Draft,
    copies: NearDuplicates,
    agent_rules: PhraseMatcher,
    finds: Callable[[str, Draft], bool],
) -> tuple[str, str]:
    """(wording, "") if it is kept, else ("", why not).

    Args:
        copies: the questions that are there already.
        agent_rules: phrases that an agent must not say.
        finds: whether a search for a question brings the clause that the draft cites.
    """
    written = read(answer, use)
    if isinstance(written, str):
        return "", written
    wording, quote = written
    cited = evidence(draft)
    reason = _common(wording, quote, cited)
    if not reason and use == "worded_answer":
        reason = _answer(wording, quote, cited, agent_rules)
    elif not reason:
        reason = _question(wording, cited, copies)
        if not reason and not finds(wording, draft):
            reason = "a search for the question does not find its clause"
    return ("", reason) if reason else (wording, "")


def read(answer: Answer, use: TeacherUse) -> tuple[str, str] | str:
    """(wording, quote) of an answer, or why it cannot be parsed."""
    if answer.finish_reason == "unreadable":
        return "the response is no chat completion"
    if answer.finish_reason == "length":
        return "cut off at max_tokens"
    try:
        value = json.loads(answer.text)
    except ValueError:
        return "not JSON"
    field = written_field(use)
    if not isinstance(value, dict) or set(value) != {field, "quote"}:
        return "JSON of other fields than asked for"
    if not all(isinstance(part, str) for part in value.values()):
        return "JSON of other types than asked for"
    return value[field].strip(), value["quote"].strip()


def _common(wording: str, quote: str, cited: Evidence) -> str:
    if len(compact(quote)) < MIN_QUOTE_CHARS or compact(quote) not in compact(cited.clause):
        return "the quote does not stand in the clause"
    if _PLACE.search(wording):
        return "speaks of an article, a title or the task"
    if find(wording):
        return "personal data"
    return ""


def _question(wording: str, cited: Evidence, copies: NearDuplicates) -> str:
    if not MIN_CHARS <= len(wording) <= MAX_QUESTION_CHARS * _SLACK:
        return "too short or too long"
    if not _ASKS.search(wording):
        return "not a question"
    if not numbers(_EACH.sub("", wording), claims=True) <= numbers(cited.question):
        return "states a number the question does not have"
    if copies.seen(bare(wording)):
        return "nearly a copy of another question"
    return ""


def _answer(wording: str, quote: str, cited: Evidence, agent_rules: PhraseMatcher) -> str:
    if not MIN_CHARS <= len(wording) <= MAX_ANSWER_CHARS * _SLACK:
        return "too short or too long"
    wrong = unfaithful(wording, quote)
    if wrong:
        return wrong
    own = set(bigrams(wording))
    if len(own & set(bigrams(cited.clause + cited.question))) < MIN_TOPIC * len(own):
        return "has too little in common with the clause and the question"
    breach = next(iter(agent_rules.find(wording)), None)
    return f"breaks rule {breach.rule.id}" if breach else ""


def near_copies(questions: Iterable[str]) -> NearDuplicates:
    """Questions that are there, by `bare`, to ask whether another is nearly one of them."""
    return NearDuplicates(map(bare, questions), NEAR_COPY, size=3)


def bare(question: str) -> str:
    """The letters and digits of a question."""
    return re.sub(r"[^\w]", "", compact(question))
