"""The 编/章/节/条/款/项 grammar of Chinese rule documents.

A provision is addressed by its article (条), the paragraph in it (款: every further paragraph under an article)
and the item (项: （一）…). An item only means something with the sentence that leads it in, so the two stand
together as one clause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_recipes import norms
from data_recipes.readers.document import Paragraph, RuleDocument
from data_recipes.readers.office import han
from tianjing.records import Clause, Span
from tianjing.text import chinese_number

_N = "零〇一二三四五六七八九十百千"
_HEADING = re.compile(rf"第([{_N}\d]+)(编|分编|章|节)[\s　]*([^。；，]{{0,40}})$")
_ARTICLE = re.compile(rf"第([{_N}\d]+)条(?:之([{_N}]+))?(?=([\s　]*)(.?))")
_ITEM = re.compile(rf"[（(]([{_N}\d]+)[)）]\s*|(\d{{1,2}})[.．、](?!\d)\s*")
_APPENDIX = re.compile(r"附\s*[件录表]|附\s*[:：]")
_EFFECTIVE = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日\s*(?:起\s*)?(?:施行|实施|执行|生效)")
_DATE = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
_DEPTH = {"编": 0, "分编": 1, "章": 2, "节": 3}


@dataclass
class _Unit:
    """A 款: its own text and its items."""

    text: str
    start: int
    end: int
    items: list[tuple[str, str, int, int]] = field(default_factory=list)  # label, text, start, end


@dataclass
class _Article:
    label: str
    headings: tuple[str, ...]
    start: int
    units: list[_Unit] = field(default_factory=list)

    @property
    def end(self) -> int:
        last = self.units[-1]
        return last.items[-1][3] if last.items else last.end


@dataclass(frozen=True)
class ParsedDocument:
    """Clauses of one document. `gaps` are article numbers that did not follow on the one before."""

    document: str
    file: str
    clauses: tuple[Clause, ...]
    articles: int
    gaps: tuple[str, ...]
    effective_from: str | None
    version: str


def parse_clauses(document: RuleDocument, strength: str = "internal") -> ParsedDocument:
    """Parse a document into clauses: one per article, and one per 款 and 项 of articles that have several.

    Args:
        strength: `internal` for a company's own rules, `law` for statutes.
    """
    articles, gaps = _articles(document.paragraphs)
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    preamble = text[: articles[0].start if articles else len(text)]
    dates = [_iso(match) for match in _DATE.finditer(preamble)]
    # an amended law names several dates before its first article: the last is that of this text
    in_force = [_iso(match) for match in _EFFECTIVE.finditer(preamble)] or [
        _iso(match) for match in _EFFECTIVE.finditer(text)
    ]
    effective = max(in_force, default=None)
    dates += re.findall(r"\d{4}-\d{2}-\d{2}", document.file)
    clauses: list[Clause] = []
    for article in articles:
        clauses.extend(_clauses(article, document, strength, effective))
    return ParsedDocument(
        document=document.title,
        file=document.file,
        clauses=tuple(clauses),
        articles=len(articles),
        gaps=tuple(gaps),
        effective_from=effective,
        version=max(dates, default=""),
    )


def _articles(paragraphs: Sequence[Paragraph]) -> tuple[list[_Article], list[str]]:
    articles: list[_Article] = []
    gaps: list[str] = []
    headings: dict[int, str] = {}
    number, insert = 0, 0  # the last article: 八 and 之一
    in_appendix = False
    for paragraph in paragraphs:
        text, start = paragraph.text, paragraph.start
        heading = _HEADING.match(text)
        if heading:
            depth = _DEPTH[heading[2]]
            headings = {level: value for level, value in headings.items() if level < depth}
            headings[depth] = text.replace("　", " ")
            in_appendix = False
            continue
        opened = _ARTICLE.match(text)
        if opened and _is_article(opened, number, insert, first=not articles):
            value, inserted = int(_value(opened[1])), int(_value(opened[2])) if opened[2] else 0
            if (
                articles
                and not (value == number + 1 and not inserted)
                and not (value == number and inserted == insert + 1)
            ):
                gaps.append(opened[0])
            number, insert, in_appendix = value, inserted, False
            body = text[opened.end() :].lstrip(" 　:：")
            label = f"第{han(value)}条" + (f"之{han(inserted)}" if inserted else "")
            articles.append(_Article(label, tuple(headings[level] for level in sorted(headings)), start))
            if body:
                articles[-1].units.append(_Unit(body, start, start + len(text)))
            continue
        if paragraph.heading_level or _APPENDIX.match(text):
            in_appendix = in_appendix or bool(articles)
        if articles and not in_appendix:
            _add(articles[-1], text, start)
    return [article for article in articles if article.units], gaps


def _is_article(match: re.Match[str], number: int, insert: int, first: bool) -> bool:
    """“第三条、第五条规定” inside a sentence opens nothing, unless the number follows on and text does."""
    value = int(_value(match[1]))
    if match[4] in "、和至及规之的款第":
        return bool(match[3]) and value == number + 1
    follows = value == number + 1 or (bool(match[2]) and value == number)
    return first or follows or (bool(match[3]) and value > number)


def _add(article: _Article, text: str, start: int) -> None:
    """A further paragraph: an item of the open 款 if the numbers go on, else a new 款."""
    end = start + len(text)
    item = _ITEM.match(text)
    if item and article.units:
        unit = article.units[-1]
        value = int(_value(item[1] or item[2]))
        if value == len(unit.items) + 1:
            unit.items.append((f"（{han(value)}）", text[item.end() :].strip(), start, end))
            return
    if article.units and article.units[-1].items and item and item[2]:  # 目 below an item
        label, body, begin, _ = article.units[-1].items[-1]
        article.units[-1].items[-1] = (label, f"{body}{text}", begin, end)
        return
    article.units.append(_Unit(text, start, end))


def _clauses(article: _Article, document: RuleDocument, strength: str, effective: str | None) -> list[Clause]:
    identity = f"{document.title}:{article.label}"
    path = (*article.headings, article.label)
    inherited = norms.subject(article.units[0].text)

    def clause(suffix: str, extra: tuple[str, ...], text: str, start: int, end: int) -> Clause:
        return Clause(
            id=identity + suffix,
            document=document.title,
            path=(*path, *extra),
            text=text,
            modality=norms.modality(text),
            subject=norms.subject(text, inherited),
            quantities=norms.quantities(text),
            effective_from=effective,
            strength=strength,
            span=Span(file=document.file, start=start, end=end),
        )

    whole = "".join(unit.text + "".join(label + body for label, body, _, _ in unit.items) for unit in article.units)
    found = [clause("", (), whole, article.start, article.end)]
    if len(article.units) == 1 and not article.units[0].items:
        return found
    for number, unit in enumerate(article.units, start=1):
        part = (f"第{han(number)}款",)
        if not unit.items:
            found.append(clause(f":{number}", part, unit.text, unit.start, unit.end))
        for position, (label, body, start, end) in enumerate(unit.items, start=1):
            lead_in = unit.text.rstrip("：:")
            found.append(clause(f":{number}:{position}", (*part, label), f"{lead_in}：{body}", start, end))
    return found


def same_law(one: ParsedDocument, other: ParsedDocument) -> bool:
    """Two versions of one document: the same title, or half of the articles of the shorter one word for word."""
    if one.document == other.document:
        return True
    mine, theirs = ({clause.text for clause in parsed.clauses} for parsed in (one, other))
    return 2 * len(mine & theirs) > min(len(mine), len(theirs))


def canonical_article(label: str) -> str:
    """第8条 and 第八条 are one article.

    Raises:
        ValueError: it is no article label.
    """
    match = _ARTICLE.match(label)
    if match is None:
        raise ValueError(f"not an article: {label}")
    return f"第{han(int(_value(match[1])))}条" + (f"之{han(int(_value(match[2])))}" if match[2] else "")


def _value(numeral: str) -> float:
    return float(numeral) if numeral.isdigit() else chinese_number(numeral)


def _iso(match: re.Match[str]) -> str:
    return f"{int(match[1]):04d}-{int(match[2]):02d}-{int(match[3]):02d}"
