"""Options in groups (违反：A、C。合规：B、D; A 承保；B 不承保; {"A": true, "B": false}) or listed by their texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from evals.extract.asked import is_negative, shares_words
from evals.extract.found import SEVERAL, UNREADABLE, Found
from evals.extract.normalise import squeeze
from evals.extract.options import Options

_LETTERS = r"(?:选项)?[A-J](?:选项|项)?(?:\s*(?:、|,|和|与|及|以及|\+|\s)?\s*(?:选项)?[A-J](?:选项|项)?)*(?![A-Za-z])"
_GROUP = re.compile(
    rf"(?:^|(?<=[。;,\n]))\s*[-•·]?\s*(?P<head>[^。;,:\nA-J]{{1,16}}?)\s*(?::|的?(?:有|是|为|包括)\s*:?)\s*"
    rf"(?P<list>{_LETTERS}|[^。;,:\n]{{2,80}}?)(?=\s*(?:[。;,\n]|$))"
)
_NEGATION = re.compile("[不非无未没错]|禁止|除外|干扰")
_AFFIRMATION = re.compile("[是对有√]|属于|正确|包括|符合|可以|选|应")
_ROW = re.compile(
    r"\s*[-•·]?\s*(?:\(?[1-9一二三四五六七八]\s*[.、)]\s*)?(?P<name>[A-J](?:选项|项)?(?![A-Za-z])|[^:=—→\s]{2,24}?)"
    r"(?P<mark>\s*(?:[:=→]|—+|-+>?|\.)\s*|\s+|(?<=[A-J项]))(?P<said>[^:\n]{1,16})"
)
_BITS = {"1": True, "0": False, "true": True, "false": False, "t": True, "f": False, "y": True, "n": False}
# Where an answer is announced beside the groups, or letters are variables, the groups decide nothing.
_ANSWERED = re.compile(r"答案|故|所以|因此|选\s*[A-J]|(?:^|[。;,\n])\s*[设令]|代入|[A-J]\s*[=/<>]")
_ANSWER_IS = re.compile(
    r"(?:答案|应选|故选|最终作答|最终)(?:应该?|应当)?(?:是|为|:|】|\]|→|\s)+(?P<list>[^。\n(A-J]{2,120}?)\s*(?=[。\n(]|$)"
)
_OPENING = re.compile(
    r"\s*(?P<head>[^。;\n不非未]{0,30}?(?:是指|包括|:),?)??(?P<list>[^。;:\n]{3,100}?)"
    r"(?:[,、]\s*[此这]?[一二三四五六七八]?[大者项个种][^。;,\n不非未]{0,14})?\s*(?=[。;\n])"
)


def by_flags(text: str, known: Options, question: str) -> Found | None:
    """A JSON object with a true or false for each letter; anything else beside a letter makes no answer."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, start)
    except ValueError:
        return None
    rows = {name: one for name, one in value.items() if name in known.letters} if isinstance(value, dict) else {}
    if len(rows) < 2 or all(isinstance(one, str) for one in rows.values()):
        return None  # or the options restated
    flags = {name: _flag(one) for name, one in rows.items()}
    right = "".join(sorted(name for name, one in flags.items() if one))
    if any(one is None for one in flags.values()) or not right:
        return Found(None, UNREADABLE)
    return Found(right, "json") if known.multiple or len(right) == 1 else Found(None, SEVERAL)


def _flag(value: object) -> bool | None:
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, bool) else None


def by_groups(text: str, known: Options, question: str) -> Found | None:
    """The one of several groups of options whose head is what the question asks for."""
    groups: list[tuple[str, str]] = []
    for match in _GROUP.finditer(text):
        letters = _named(match["list"], known)
        if letters and (len(letters) > 1 or match["list"].strip()[0] in known.letters or ":" in match[0]):
            groups.append((squeeze(match["head"]).removesuffix("的"), letters))
    named = "".join(letters for _, letters in groups)
    if len(groups) < 2 or len(set(named)) < len(named) or _ANSWERED.search(text):
        return None
    asked, negative = squeeze(question), is_negative(question)
    heads = [re.sub("^(?:其中|而|则|但)", "", head) for head, _ in groups]
    fits = [_asked_for(head, heads, asked, negative) for head in heads]
    if sum(fits) != 1:
        return None
    letters = groups[fits.index(True)][1]
    return Found(letters, "group") if known.multiple or len(letters) == 1 else None


def _asked_for(head: str, heads: list[str], asked: str, negative: bool) -> bool:
    """Whether a head says what the question asks for, in its words or, beside its opposite, in the same sense."""
    denies = _NEGATION.search(head) is not None
    if negative and sum(_NEGATION.search(each) is not None for each in heads) == 1:
        return denies
    if any(_NEGATION.sub("", head) == _NEGATION.sub("", other) for other in heads if other != head):
        return denies == negative  # 属于 beside 不属于
    if head in ("正确", "对", "是", "属于", "符合", "错误", "不属于", "不是"):
        return denies == negative
    return len(head) >= 2 and head in asked and not any(other != head and other in asked for other in heads)


def by_predicates(text: str, known: Options, question: str) -> Found | None:
    """A word or two beside every option: those of which the question's own are said, or the odd one out."""
    said: dict[str, str] = {}
    for letter, word in _rows(text, known):
        if said.setdefault(letter, word) != word:
            return None
    if len(said) < len(known.letters) or len(known.letters) < 3:
        return None
    words = set(said.values())
    asked, negative = squeeze(question), is_negative(question)
    if words <= set(_BITS) and len(words) <= 2:
        right = "".join(letter for letter in known.letters if _BITS[said[letter]])
        if not right or negative:
            return None
        return Found(right, "verdicts") if known.multiple or len(right) == 1 else Found(None, SEVERAL)
    if len(words) != 2:
        return None
    one, other = sorted(words, key=len)
    opposite = other in ("不" + one, "未" + one, "非" + one, "不" + one.removeprefix("可"))
    if one in ("是", "对", "属于", "正确", "选", "可以", "符合") or _AFFIRMATION.fullmatch(one):
        return None  # read by other rules, which know what a bare yes may mean
    if opposite:
        wanted = other if negative or other in asked else one
    else:
        in_question = [word for word in words if len(word) >= 2 and word in asked]
        if one in other and other in asked:
            in_question = [other]  # 要约邀请 beside 要约
        if len(in_question) != 1:
            return None
        wanted = in_question[0]
    letters = "".join(letter for letter in known.letters if said[letter] == wanted)
    if known.multiple:
        return Found(letters, "verdicts")
    if len(letters) == 1:
        return Found(letters, "verdicts")
    rest = "".join(letter for letter in known.letters if said[letter] != wanted)
    return Found(rest, "verdicts") if opposite and len(rest) == 1 else None


def _rows(text: str, known: Options) -> Iterator[tuple[str, str]]:
    for part in re.split(r"[。;,\n/]", text):
        row = _ROW.fullmatch(part.strip())
        if row is None:
            continue
        letter = (
            row["name"][0] if re.fullmatch("[A-J](?:选项|项)?", row["name"]) else known.only_with(squeeze(row["name"]))
        )
        word = re.sub(r"\(.*?\)|[✅✓✔√❌✗✘×✖\s]|不?选$", "", row["said"]).strip().lower()
        if letter and letter in known.letters and word:
            yield letter, word


def by_items(text: str, known: Options, question: str) -> Found | None:
    """A YAML list of letters (- letter: A), or numbered rows that each end on one: 1. 核对证件（A）."""
    if not known.multiple:
        return None
    items = re.findall(r"^\s*-\s*(?:letter|option|choice)\s*:\s*([A-J])\s*$", text, re.M)
    if len(items) > 1 and set(items) <= set(known.letters):
        return Found("".join(sorted(set(items))), "json")
    rows = re.findall(r"^\s*\d+\s*[.、)]\s*[^\n()]{2,30}\(([A-J])\)\s*$", text, re.M)
    some = 1 < len(rows) < len(known.letters) and len(set(rows)) == len(rows) and set(rows) <= set(known.letters)
    return Found("".join(sorted(rows)), "listed_options") if some and not is_negative(question) else None


def by_text_list(text: str, known: Options, question: str) -> Found | None:
    """【答案】贷款、证券投资: texts of options behind 答案, or in a first sentence that lists some of them."""
    if not known.multiple:
        return None
    announced = [letters for match in _ANSWER_IS.finditer(text) if (letters := _listed(match["list"], known))]
    if announced:
        return Found(announced[-1], "listed_options")
    opening = _OPENING.match(text)
    letters = _listed(opening["list"], known) if opening else ""
    if opening is None or len(letters) < 2 or is_negative(question):
        return None
    if opening["head"] and not shares_words(opening["head"], question):
        return None
    rest = squeeze(text[opening.end() :])
    left = set(known.letters) - set(letters)
    beside = all(known.text_of(letter) in rest for letter in left)
    again = any(known.text_of(letter) in rest for letter in letters)
    return Found(letters, "listed_options") if left and beside and not again else None


def _named(listed: str, known: Options) -> str:
    """The letters of a list of letters or of options' texts; "" where it holds anything else."""
    if re.fullmatch(_LETTERS, listed.strip()):
        letters = re.findall("[A-J]", listed)
        return "".join(sorted(letters)) if set(letters) <= set(known.letters) else ""
    return _listed(listed, known)


def _listed(listed: str, known: Options) -> str:
    names = [
        squeeze(name) for name in re.split(r"[、,;和与及]|以及", re.sub(r"\([^()]*\)", "", listed)) if name.strip()
    ]
    exact = [known.letters[known.squeezed.index(name)] if known.squeezed.count(name) == 1 else "" for name in names]
    whole = squeeze(listed)
    if known.squeezed.count(whole) == 1:  # 弃权与禁止反言 is one option
        return known.letters[known.squeezed.index(whole)]
    letters = exact if all(exact) else [known.only_with(name) for name in names]
    return "".join(sorted(letters)) if letters and all(letters) and len(set(letters)) == len(letters) else ""
