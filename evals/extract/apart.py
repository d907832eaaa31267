"""Options told from the rest by what is said of them: 除C外，均为违规行为; BCD属于…，A为非…; Options A and B are ….

What is said must be what the question asks for, in its words; otherwise nothing is read.
"""

from __future__ import annotations

import re

from evals.extract.asked import is_negative, of_the_kind, shares_words
from evals.extract.found import Found
from evals.extract.normalise import fold, squeeze
from evals.extract.options import Options

_LETTER = r"(?:选项)?\s*[A-J](?:选项|项)?"
_LETTERS = rf"(?<![A-Za-z])(?:[A-J]{{2,8}}|{_LETTER}(?:\s*(?:、|,|和|与|及|以及)\s*{_LETTER})*)(?![A-Za-z])"
_ALL_BUT = re.compile(
    rf"除了?\s*(?P<letters>{_LETTERS})[二两三]?[项者个]?(?:以外|之外|外)\s*,?\s*(?:其余|其他|其它|其|别的|剩下|余下|另外)?的?"
    r"(?:选项|各项|[一二三四五六几][项个者种])?(?:都|均|皆|全部|全)+(?P<said>[^。;,\n]{2,24})"
)
_SAID = re.compile(
    rf"(?:^|(?<=[。;,:\n]))\s*(?:而|但|其中)?(?P<letters>{_LETTERS})(?:[二三四五六]?[项者个])?(?:则|都|均|皆|全|也)*"
    r"(?P<denied>不|并不|并非|非)?(?:是|为|属于?|系|构成)(?P<said>[^。;,\n]{0,20})"
)
_VERB = re.compile(r"^(?:(?:应当?|可以?|需要?|能够?|会|要)?(?:属于|算作|构成|是|为|属|系|算|作为|列为|认定为))+")
_DENIAL = re.compile(
    r"^(?:并不|并非|不(?!良|动产|当得利|定项)|非|没有?|无(?!形|记名|限|担保|息)|未)(?:是|属于|构成|算|为)?"
)

_OPEN = re.compile(
    r"可能|也许|或许|未必|不一定|不全|不确定|[吗呢]\s*[?。]?\s*$|\?|"
    r"(?i:\b(?:may|might|maybe|perhaps|possibly|probably|unless|in some cases|not sure)\b)"
)


def by_contrast(text: str, known: Options, question: str) -> Found | None:
    """The options that are what the question asks for, where a predicate tells them from all the others."""
    if _OPEN.search(text):
        return None
    return _all_but(text, known, question) or _opposed(text, known, question) or _english(text, known, question)


def _all_but(text: str, known: Options, question: str) -> Found | None:
    """除C外，均为违规行为, or 均不属于…: the others, or what is left out."""
    match = _ALL_BUT.search(text)
    named = _named(match["letters"], known) if match else ""
    if match is None or not named or not question:
        return None
    denied = _DENIAL.match(match["said"])
    said = match["said"][denied.end() :] if denied else _VERB.sub("", match["said"])
    if not _is_asked_for(said, question):
        return None
    others = "".join(letter for letter in known.letters if letter not in named)
    chosen = others if bool(denied) == _asks_for_opposite(squeeze(said), question) else named
    return Found(chosen, "all_but") if known.multiple or len(chosen) == 1 else None


def _opposed(text: str, known: Options, question: str) -> Found | None:
    """BCD属于关联方交易，A为非关联方交易: every option is one thing or its opposite, in words of the question."""
    told: dict[str, bool] = {}
    cores: set[str] = set()
    for match in _SAID.finditer(text):
        letters = _named(match["letters"], known)
        denial = _DENIAL.match(match["said"])
        core = squeeze(match["said"][denial.end() :] if denial else match["said"])
        if not letters or (match["denied"] and denial) or any(letter in told for letter in letters):
            return None
        told.update(dict.fromkeys(letters, not (match["denied"] or denial)))
        cores |= {core} if core else set()
    if len(cores) != 1 or set(told) != set(known.letters) or len(set(told.values())) < 2:
        return None
    core = cores.pop()
    if not shares_words(core, question):
        return None
    opposite = _asks_for_opposite(core, question)
    right = "".join(sorted(letter for letter, positive in told.items() if positive != opposite))
    return Found(right, "verdicts") if known.multiple or len(right) == 1 else None


def _asks_for_opposite(core: str, question: str) -> bool:
    """Whether the question asks for what is not so: 不属于违规的, or 非关联方交易."""
    denied = any(denial + core[:2] in squeeze(question) for denial in "非不无未")
    return denied or is_negative(question)


def _is_asked_for(said: str, question: str) -> bool:
    kindred = of_the_kind(said, question)
    return shares_words(said, question) if kindred is None else kindred


def _named(listed: str, known: Options) -> str:
    letters = "".join(sorted(set(re.findall("[A-J]", listed))))
    return letters if set(letters) <= set(known.letters) else ""


_ENGLISH_LETTER = r"(?:(?:[Oo]ptions?|[Cc]hoices?)\s+)?\(?[A-J]\)?"
_ENGLISH = re.compile(
    rf"(?:^|(?<=[.;,\n]))\s*(?:(?:[Ss]o|Therefore|Thus|while|whereas|but|and),?\s+)?(?:[Oo]nly\s+)?"
    rf"(?P<letters>{_ENGLISH_LETTER}(?:\s*(?:,\s*and|,|and|&)\s*{_ENGLISH_LETTER})*)(?![A-Za-z])\s+(?:are|is)\s+"
    r"(?:all\s+|both\s+|each\s+)?(?P<denied>not\s+)?(?P<said>[^.;,\n]{3,60})"
)
_ENGLISH_NEGATION = re.compile(r"\b(?:not|except|least|never|incorrect|false|wrong|no)\b|n't", re.I)
_SMALL_WORDS = frozenset(
    "a an the of for to in on by with and or as is are be it its this that these those which what considered examples "
    "example types type forms form kinds kind part one some common all both also".split()
)


def _english(text: str, known: Options, question: str) -> Found | None:
    """Options A, B, and C are red flags. Option D is a normal transaction."""
    asked = set(_words(question))
    if not asked or _ENGLISH_NEGATION.search(question):
        return None
    right, told = "", ""
    for match in _ENGLISH.finditer(text):
        letters = _named(re.sub("[Oo]ptions?|[Cc]hoices?", "", match["letters"]), known)
        if not letters or set(letters) & set(told):
            return None
        words = _words(match["said"])
        if not match["denied"] and words and set(words) <= asked:
            right += letters
        elif len(letters) > 1 and not match["denied"]:
            return None  # said of several, in other words: what it means for the question is open
        told += letters
    named = set(
        re.findall(r"(?<![A-Za-z'])[A-J](?![A-Za-z'])", re.sub(r"\bA\s+(?=[a-z])(?!is\b|are\b|and\b)", "", text))
    )
    if not right or not named <= set(told) or (not known.multiple and len(right) != 1):
        return None
    return Found("".join(sorted(right)), "verdicts")


def _words(text: str) -> list[str]:
    words = re.findall(r"[a-z]{2,}", fold(text).lower())
    return [word.removesuffix("s") for word in words if word not in _SMALL_WORDS]
