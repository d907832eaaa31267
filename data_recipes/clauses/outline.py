"""The outline of a rule document: 编/分编/章/节 headings over 条, 款, 项 and 目, or numbered paragraphs (段).

Every paragraph ends up in exactly one place: in an article, as a heading, in the preamble, or among the orphans.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_recipes.readers.document import Paragraph, RuleDocument
from data_recipes.readers.office import han
from tianjing.text import chinese_number

N = "零〇一二三四五六七八九十百千"
_HEADING = re.compile(rf"第([{N}\d]+)(编|分编|章|节)[\s　]*([^。；，]{{0,40}})$")
_NAMED_HEADING = re.compile(rf"[{N}]{{1,3}}、[^。；，：:]{{1,30}}$|附\s*则$|总\s*则$")
ARTICLE = re.compile(rf"第([{N}\d]+)条(?:之([{N}]+))?(?=([\s　]*)(.?))")
_ITEM = re.compile(
    rf"(?P<round>[（(]([{N}]+)[)）])\s*|(?P<digits>[（(](\d+)[)）])\s*|(?P<point>(\d{{1,2}})[.．、](?!\d))\s*"
)
_APPENDIX = re.compile(r"附\s*[件录表]|附\s*[:：]")
_SENTENCE_END = "。；：;:！”"
_DEPTH = {"编": 0, "分编": 1, "章": 2, "节": 3}


@dataclass
class Item:
    """A 项, or below it a 目: `label` is its address, `mark` how the document writes it."""

    label: str
    mark: str
    style: str
    text: str
    start: int
    end: int
    points: list[Item] = field(default_factory=list)

    @property
    def whole(self) -> str:
        return self.text + "".join(point.mark + point.text for point in self.points)


@dataclass
class Unit:
    """A 款: its own text and its items."""

    text: str
    start: int
    end: int
    items: list[Item] = field(default_factory=list)

    @property
    def whole(self) -> str:
        return self.text + "".join(item.label + item.whole for item in self.items)


@dataclass
class Article:
    """A 条 or a 段 with the headings above it; `start` is where its label stands in the extracted text."""

    label: str
    headings: tuple[str, ...]
    start: int
    page: int | None = None
    units: list[Unit] = field(default_factory=list)

    @property
    def whole(self) -> str:
        return "".join(unit.whole for unit in self.units)

    @property
    def end(self) -> int:
        last: Unit | Item = self.units[-1]
        last = last.items[-1] if isinstance(last, Unit) and last.items else last
        return last.points[-1].end if isinstance(last, Item) and last.points else last.end

    @property
    def is_numbered(self) -> bool:
        """Whether it is a 条 that the document itself numbers."""
        return not self.label.endswith("段")


@dataclass(frozen=True)
class Outline:
    """Articles in their order, numbers that did not follow on the one before, and the text in no article."""

    articles: tuple[Article, ...]
    gaps: tuple[str, ...]
    preamble: tuple[Paragraph, ...]
    orphans: tuple[Paragraph, ...]


class _Reader:
    def __init__(self) -> None:
        self.articles: list[Article] = []
        self.gaps: list[str] = []
        self.preamble: list[Paragraph] = []
        self.headings: dict[int, Paragraph] = {}
        self.unused: list[Paragraph] = []  # headings with nothing below them yet
        self.number, self.insert, self.paragraphs = 0, 0, 0

    def head(self, depth: int, paragraph: Paragraph) -> None:
        self.headings = {level: value for level, value in self.headings.items() if level < depth}
        self.headings[depth] = paragraph
        self.unused.append(paragraph)

    def open(self, label: str, start: int, page: int | None) -> Article:
        above = [self.headings[level] for level in sorted(self.headings)]
        self.unused = [paragraph for paragraph in self.unused if paragraph not in above]
        article = Article(label, tuple(paragraph.text.replace("　", " ") for paragraph in above), start, page)
        self.articles.append(article)
        return article

    def open_paragraph(self, paragraph: Paragraph) -> None:
        """A paragraph in no article stands for itself, unless it is an item of the one before."""
        if self.articles and not self.articles[-1].is_numbered and _add_item(self.articles[-1], paragraph):
            return
        self.paragraphs += 1
        article = self.open(f"第{han(self.paragraphs)}段", paragraph.start, paragraph.page)
        article.units.append(Unit(paragraph.text, paragraph.start, paragraph.start + len(paragraph.text)))


def outline(document: RuleDocument) -> Outline:
    """Read the outline; a document without articles, and an appendix, become numbered paragraphs."""
    reader, paragraphs = _Reader(), document.paragraphs
    if any(_opens(paragraph, 0, 0, first=True) for paragraph in paragraphs):
        _read_articles(reader, paragraphs)
    else:
        _read_paragraphs(reader, paragraphs)
    empty = {article.start for article in reader.articles if not article.units}
    orphans = [*reader.unused, *(paragraph for paragraph in paragraphs if paragraph.start in empty)]
    return Outline(
        articles=tuple(article for article in reader.articles if article.units),
        gaps=tuple(reader.gaps),
        preamble=tuple(reader.preamble),
        orphans=tuple(sorted(orphans, key=lambda paragraph: paragraph.start)),
    )


def _read_articles(reader: _Reader, paragraphs: Sequence[Paragraph]) -> None:
    in_appendix = False
    for position, paragraph in enumerate(paragraphs):
        text, start = paragraph.text, paragraph.start
        heading = _HEADING.match(text)
        if heading:
            reader.head(_DEPTH[heading[2]], paragraph)
            in_appendix = False
            continue
        opened = _opens(paragraph, reader.number, reader.insert, first=not reader.articles)
        if opened:
            value, inserted = int(numeral(opened[1])), int(numeral(opened[2])) if opened[2] else 0
            follows = (value == reader.number + 1 and not inserted) or (
                value == reader.number and inserted == reader.insert + 1
            )
            if reader.articles and not follows:
                reader.gaps.append(opened[0])
            reader.number, reader.insert, in_appendix = value, inserted, False
            article = reader.open(article_label(value, inserted), start, paragraph.page)
            body = text[opened.end() :].lstrip(" 　:：")
            if body:
                article.units.append(Unit(body, start, start + len(text)))
            continue
        if (paragraph.heading_level > 1 or _NAMED_HEADING.match(text)) and _leads_to_article(
            reader, paragraphs[position + 1 :]
        ):
            reader.head(_DEPTH["章"], paragraph)
            in_appendix = False
        elif not reader.articles:
            reader.preamble.append(paragraph)
        elif paragraph.heading_level or _APPENDIX.match(text):
            in_appendix = True
            reader.headings = {}
            reader.head(0, paragraph)
        elif in_appendix:
            reader.open_paragraph(paragraph)
        else:
            _add(reader.articles[-1], paragraph)


def _read_paragraphs(reader: _Reader, paragraphs: Sequence[Paragraph]) -> None:
    begun = False
    ended = any(paragraph.text[-1] in _SENTENCE_END for paragraph in paragraphs)
    for position, paragraph in enumerate(paragraphs):
        heading = _HEADING.match(paragraph.text)
        if heading:
            reader.head(_DEPTH[heading[2]], paragraph)
        elif paragraph.heading_level > 1 or (
            _NAMED_HEADING.match(paragraph.text) and position + 1 < len(paragraphs) and paragraph.heading_level != 1
        ):
            reader.head(_DEPTH["章"], paragraph)
        elif paragraph.heading_level or (not begun and ended and paragraph.text[-1] not in _SENTENCE_END):
            (reader.unused if begun else reader.preamble).append(paragraph)
            continue
        else:
            reader.open_paragraph(paragraph)
        begun = True


def _leads_to_article(reader: _Reader, rest: Sequence[Paragraph]) -> bool:
    """Whether the next paragraph that is no heading opens the article that is due."""
    for paragraph in rest:
        opened = _opens(paragraph, reader.number, reader.insert, first=not reader.articles)
        if opened:
            return int(numeral(opened[1])) == reader.number + 1
        if not paragraph.heading_level and not _HEADING.match(paragraph.text):
            return False
    return False


def _opens(paragraph: Paragraph, number: int, insert: int, first: bool) -> re.Match[str] | None:
    """“第三条、第五条规定” inside a sentence opens nothing, unless the number follows on and text does."""
    match = ARTICLE.match(paragraph.text)
    if match is None:
        return None
    value = int(numeral(match[1]))
    if match[4] and match[4] in "、和至及规之的款第":
        return match if match[3] and value == number + 1 else None
    follows = value == number + 1 or (bool(match[2]) and value == number)
    return match if first or follows or (match[3] and value > number) else None


def _add(article: Article, paragraph: Paragraph) -> None:
    """A further paragraph: an item of the open 款 if the numbers go on, else a new 款."""
    if not _add_item(article, paragraph):
        article.units.append(Unit(paragraph.text, paragraph.start, paragraph.start + len(paragraph.text)))


def _add_item(article: Article, paragraph: Paragraph) -> bool:
    text, start, end = paragraph.text, paragraph.start, paragraph.start + len(paragraph.text)
    mark = _ITEM.match(text)
    if mark is None or not article.units:
        return False
    items = article.units[-1].items
    style = next(name for name in ("round", "digits", "point") if mark[name])
    value = int(numeral(mark[2] or mark[4] or mark[6]))
    body = text[mark.end() :].strip()
    if value == len(items) + 1 and (not items or items[-1].style == style):
        if not article.is_numbered and not items and article.units[-1].text[-1] not in "：:":
            return False  # （一） under no lead-in is a paragraph of its own
        items.append(Item(f"（{han(value)}）", mark[0].strip(), style, body, start, end))
        return True
    if items and style != items[-1].style and style != "round":  # 目
        points = items[-1].points
        points.append(Item(f"{value}.", mark[0].strip(), style, body, start, end))
        return True
    return False


def article_label(value: int, inserted: int = 0) -> str:
    return f"第{han(value)}条" + (f"之{han(inserted)}" if inserted else "")


def canonical_article(label: str) -> str:
    """第8条 and 第八条 are one article.

    Raises:
        ValueError: it is no article label.
    """
    match = ARTICLE.match(label)
    if match is None:
        raise ValueError(f"not an article: {label}")
    return article_label(int(numeral(match[1])), int(numeral(match[2])) if match[2] else 0)


@functools.lru_cache(maxsize=4096)
def numeral(text: str) -> float:
    """Value of 8 or 八."""
    return float(text) if text.isdigit() else chinese_number(text)
