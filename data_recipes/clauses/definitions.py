"""Terms a document defines (本办法所称X，是指…；以下简称X), when it takes effect and what it repeals (附则)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta

from tianjing.records import Definition
from tianjing.text import arabic

_CALLED = re.compile(
    r"(?:所称的?|所指的?|中的)[“\"]?(?P<term>[^，。；：“”\"]{1,40}?)[”\"]?(?:，|\s)?(?:系指|是指|指的是|指)(?P<meaning>[^。；]+)"
)
_COUNTED = re.compile(r"(?:所称的?|所指的?)[“\"]?(?P<term>[^，。；：“”\"]{1,40}?)[”\"]?，?包括：?(?P<meaning>[^。]+)")
_LISTED = re.compile(
    r"^(?![^，。；：]*所[称指])[“\"]?(?P<term>[^，。；：“”\"（）()]{1,24})[”\"]?(?:，|：)?(?:系指|是指|指的是|(?<=，)指)(?P<meaning>[^。；]+)"
)
_SHORT = re.compile(
    r"(?P<meaning>《[^》]{2,80}》|[^，。；：（）()《》]{2,60})"
    r"[（(](?:以下|下文)(?:简称|统称|称)为?[“\"]?(?P<term>[^()（）“”\"]{1,30})[”\"]?[)）]"
)
_PREPOSITION = re.compile(r"^(?:根据|依照|依据|按照|为了|为|对于|对|向|由|经|与|和|以及|或者|包括|在|从事|违反)")
_IN_FORCE = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日\s*(?:起\s*)?(?:施行|实施|执行|生效)")
_ON_PUBLICATION = re.compile(
    r"自(?:公布|发布|颁布|印发|下发)之日起(?:满?(\d+)(?:日|天)(?:后|起))?(?:施行|实施|执行|生效)"
)
_DATE = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
_SENTENCE = re.compile(r"[^。；]+")
_TITLE = re.compile(r"《([^》]{2,80})》")


def definitions(text: str) -> tuple[Definition, ...]:
    """Terms that the text defines or shortens, in its order; 指定 and 指导 define nothing."""
    if "指" not in text and "称" not in text:
        return ()
    found: dict[str, tuple[int, str]] = {}
    for pattern in (_CALLED, _COUNTED, _LISTED, _SHORT):
        for match in pattern.finditer(text):
            meaning = match["meaning"].strip("，：: ")
            if pattern is _SHORT:
                meaning = _PREPOSITION.sub("", meaning)
            if meaning and not re.match(r"[定导示派引令控标]", match["meaning"]):
                found.setdefault(match["term"].strip(), (match.start(), meaning))
    return tuple(Definition(term=term, meaning=found[term][1]) for term in sorted(found, key=lambda t: found[t][0]))


def effective_date(preamble: str, text: str) -> str | None:
    """ISO date from which the document holds: the last one its preamble names, else that of its 附则.

    An amended law names several dates before its first article: the last is that of this text. 自公布之日起施行 counts
    from the last date of the preamble.
    """
    named = _dates(_IN_FORCE, preamble) or _dates(_IN_FORCE, text)
    if named:
        return max(named)
    relative, published = _ON_PUBLICATION.search(arabic(text)), _dates(_DATE, preamble)
    if relative and published:
        return (date.fromisoformat(max(published)) + timedelta(days=int(relative[1] or 0))).isoformat()
    return None


def version(preamble: str, file: str) -> str:
    """The last date the preamble or the file's name gives: of two versions of one document the greater is newer."""
    return max([*_dates(_DATE, preamble), *re.findall(r"\d{4}-\d{2}-\d{2}", file)], default="")


def repeals(texts: Iterable[str]) -> tuple[str, ...]:
    """Titles of the documents that this one repeals (同时废止), in its order."""
    found = [
        title
        for text in texts
        for sentence in _SENTENCE.findall(text)
        if re.search(r"(?:同时|予以|即行)废止", sentence)
        for title in _TITLE.findall(sentence)
    ]
    return tuple(dict.fromkeys(found))


def _dates(pattern: re.Pattern[str], text: str) -> list[str]:
    found = []
    for match in pattern.finditer(text):
        try:
            found.append(date(int(match[1]), int(match[2]), int(match[3])).isoformat())
        except ValueError:  # 2021年2月31日: a slip of the pen is no date
            continue
    return found
