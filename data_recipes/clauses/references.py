"""References between provisions (前款, 第二十条, 第三条第一款第（二）项, 第三条至第五条) resolved to clause ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from data_recipes.clauses.outline import Article, N, Unit, numeral
from tianjing.records import Reference

_ARTICLE = rf"第(?P<article>[{N}\d]+)条(?:之(?P<insert>[{N}]+))?"
_RELATIVE = rf"(?P<relative>[前本上](?P<back>[两{N}]*)(?:条(?!例)|款|项(?!目)|章(?!程)|节(?!约)))"
_CHAPTER = rf"第(?P<chapter>[{N}\d]+)(?P<kind>编|分编|章)(?:第(?P<section>[{N}\d]+)节)?"
_ITEM = rf"第(?:[（(](?P<item>[{N}\d]+)[)）]|(?P<bare>[{N}\d]+))项"
_BELOW = rf"(?:第(?P<unit>[{N}\d]+)款)?(?:{_ITEM})?(?:第(?P<point>[{N}\d]+)目)?"
_PROVISION = re.compile(rf"(?:{_CHAPTER}|(?:{_ARTICLE}|{_RELATIVE})?{_BELOW})")
_START = re.compile(rf"第(?=[（({N}\d])|[前本上](?=[两{N}]*(?:条(?!例)|款|项(?!目)|章(?!程)|节(?!约)))|《")
_TITLE = re.compile(r"《([^》]{2,80})》(?:[（(][^()（）]{1,40}[)）])?(?:的)?")
_JOIN = re.compile(r"(?:、|和|或者|或|以及|及|与|，)?(?:本(?:法|条例|办法|规定|解释|细则|规范|指引))?")
_TO = re.compile(r"(?:至|到|-|—)(?=第)")
_OWN = re.compile(r"本(?:法|条例|办法|规定|解释|细则|规范|规则|指引|决定|制度|准则)$")
_NAMED = re.compile(r"([\u4e00-\u9fff]{1,16}(?:法典|法|条例|办法|规定|解释|规则|准则|细则|章程|规范))$")
# Laws that others cite by their bare name (民法典第五百条).
_WELL_KNOWN = re.compile(
    r"(?:民法典|民法总则|合同法|担保法|物权法|公司法|保险法|证券法|票据法|企业破产法|广告法|电子商务法|电子签名法|网络安全法|数据安全法"
    r"|个人信息保护法|消费者权益保护法|食品安全法|产品质量法|商业银行法|中国人民银行法|银行业监督管理法|反洗钱法|反垄断法"
    r"|反不正当竞争法|反电信网络诈骗法|宪法|刑法|民事诉讼法|刑事诉讼法|行政诉讼法|行政处罚法|行政许可法|行政强制法|行政复议法|立法法)$"
)
_NO_NAME = re.compile(
    r".*(?:依照|依据|根据|按照|违反|适用|符合|属于|参照|规定|有关|上述|前述|其他|以及|或者|对于|关于|认定为|作为|因|以|和|与|的|对|在|是|由|及|、)"
)


@dataclass(frozen=True)
class _Target:
    """One provision as named: numbers from 1, and what it leaves out."""

    document: str = ""
    article: tuple[int, int] | None = None
    relative: str = ""
    back: int = 1
    chapter: tuple[int, str] | None = None
    section: int = 0
    unit: int = 0
    item: int = 0
    point: int = 0


@dataclass(frozen=True)
class Place:
    """Where a text stands: article, 款 and 项 by position from 0; `item` is -1 in the text of the 款 itself."""

    article: int
    unit: int
    item: int = -1


class References:
    """Finds and resolves the references of one document."""

    def __init__(self, title: str, articles: Sequence[Article], short_names: Mapping[str, str] | None = None):
        self._title = title
        self._articles = articles
        self._short = short_names or {}
        self._numbers: dict[tuple[int, int], int] = {}
        for position, article in enumerate(articles):
            match = re.fullmatch(_ARTICLE, article.label)
            if match:
                number = (int(numeral(match["article"])), int(numeral(match["insert"])) if match["insert"] else 0)
                self._numbers.setdefault(number, position)

    def find(self, text: str, place: Place) -> tuple[Reference, ...]:
        """References in a text that stands at `place`, with offsets into it; a range is one, a list several."""
        return tuple(
            Reference(
                text=text[start:end],
                document=first.document,
                clause_ids=() if first.document else self._resolve(first, last, place),
                start=start,
                end=end,
            )
            for first, last, start, end in self._scan(text)
        )

    def _scan(self, text: str) -> Iterator[tuple[_Target, _Target | None, int, int]]:
        position, previous, previous_end = 0, None, -1
        while found := _START.search(text, position):
            start = begin = found.start()
            document = ""
            joined = previous is not None and _JOIN.fullmatch(text, previous_end, start) is not None
            if text[start] == "《":
                title = _TITLE.match(text, start)
                if title is None:
                    position = start + 1
                    continue
                document, begin = title[1], title.end()
            elif text[start] == "第":
                document = self._named(text[max(0, start - 20) : start])
                if document and document not in self._short:
                    start -= len(document)
                elif document:
                    start, document = start - len(document), self._short[document]
            document = document.removeprefix("中华人民共和国")
            document = "" if document == self._title else document
            own = _OWN.search(text, max(0, start - 6), start)
            match = _PROVISION.match(text, begin)
            if match is None or not match[0]:
                if text[found.start()] == "《":
                    yield _Target(document=document), None, start, text.index("》", start) + 1
                    previous = None
                position = max(begin, found.start() + 1)
                continue
            target = _target(match, document)
            if joined and previous is not None and not document and not own:
                target = _inherit(target, previous)
            last, end = None, match.end()
            to = _TO.match(text, end)
            through = _PROVISION.match(text, to.end()) if to else None
            if through and through[0]:
                last, end = _inherit(_target(through, target.document), target), through.end()
            yield target, last, start, end
            previous, previous_end, position = last or target, end, end

    def _named(self, before: str) -> str:
        """Name of another law that stands right before 第…条, such as 民法典; empty where none does."""
        for name in self._short:
            if before.endswith(name):
                return name
        if _OWN.search(before):
            return ""
        known = _WELL_KNOWN.search(before)
        if known:
            return known[0]
        match = _NAMED.search(before)
        if match is None:
            return ""
        name = match[1]
        stripped = _NO_NAME.match(name[:-1])
        name = name[stripped.end() :] if stripped else name
        return name if len(name) > 2 else ""

    def _resolve(self, first: _Target, last: _Target | None, place: Place) -> tuple[str, ...]:
        if first.chapter is not None or first.relative.endswith(("章", "节")):
            return self._chapter(first, last, place)
        here = self._articles[place.article]
        if first.relative.endswith("条") and first.relative[0] in "前上":
            if place.article < first.back:
                return ()
            positions = list(range(place.article - first.back, place.article))
        elif first.article is not None:
            if first.article not in self._numbers:
                return ()
            positions = [self._numbers[first.article]]
            if last is not None and last.article is not None and last.article != first.article:
                end = self._numbers.get(last.article)
                positions = list(range(positions[0], end + 1)) if end is not None else []
        else:
            positions = [place.article]
        if len(positions) != 1 or not (first.unit or first.item or first.relative.endswith(("款", "项"))):
            return tuple(self._id(self._articles[position]) for position in positions)
        article = self._articles[positions[0]]
        units = self._units(first, last, place, article, own=article is here)
        return tuple(name for unit in units for name in self._parts(article, unit, first, last, place))

    def _units(self, first: _Target, last: _Target | None, place: Place, article: Article, own: bool) -> list[int]:
        if first.relative.endswith("款"):
            if first.relative[0] == "本":
                return [place.unit]
            return list(range(place.unit - first.back, place.unit)) if place.unit >= first.back else []
        if first.unit:
            through = last.unit if last is not None and last.unit > first.unit else first.unit
            return [number - 1 for number in range(first.unit, through + 1) if number <= len(article.units)]
        if first.relative.endswith("项") or (own and first.item and article.units[place.unit].items):
            return [place.unit]
        return [number for number, unit in enumerate(article.units) if unit.items][:1]

    def _parts(self, article: Article, unit: int, first: _Target, last: _Target | None, place: Place) -> list[str]:
        items = article.units[unit].items
        identity = self._id(article)
        if first.relative.endswith("项") and first.relative[0] in "前上":
            chosen = range(place.item - first.back, place.item) if place.item >= first.back else range(0)
        elif first.relative.endswith("项"):
            chosen = range(place.item, place.item + 1) if place.item >= 0 else range(0)
        elif first.item:
            through = last.item if last is not None and last.item > first.item else first.item
            chosen = range(first.item - 1, min(through, len(items)))
        else:
            return unit_ids(identity, article, unit)
        if first.point:
            return [
                f"{identity}:{unit + 1}:{number + 1}:{first.point}"
                for number in chosen
                if first.point <= len(items[number].points)
            ]
        return [f"{identity}:{unit + 1}:{number + 1}" for number in chosen]

    def _chapter(self, first: _Target, last: _Target | None, place: Place) -> tuple[str, ...]:
        """The articles of a chapter or section, or of a run of them."""
        here = self._articles[place.article].headings
        if first.relative:
            kind = first.relative[-1]
            own = next((heading for heading in here if re.match(rf"第[{N}\d]+{kind}", heading)), None)
            if own is None or first.relative[0] != "本":
                return ()
            depth = here.index(own)
            return tuple(self._id(one) for one in self._articles if one.headings[: depth + 1] == here[: depth + 1])
        if first.chapter is None:
            return ()
        number, kind = first.chapter
        through = last.chapter[0] if last is not None and last.chapter is not None else number
        found = []
        for article in self._articles:
            named = {match[2]: int(numeral(match[1])) for match in map(_heading, article.headings) if match}
            if number <= named.get(kind, -1) <= through and first.section in (0, named.get("节")):
                found.append(self._id(article))
        return tuple(found)

    def _id(self, article: Article) -> str:
        return f"{self._title}:{article.label}"


def unit_ids(identity: str, article: Article, unit: int) -> list[str]:
    """Clause ids of a 款: itself, its items where it has any, or the article where it is all there is."""
    only: Unit = article.units[unit]
    if len(article.units) == 1 and not only.items:
        return [identity]
    if only.items:
        return [f"{identity}:{unit + 1}:{number + 1}" for number in range(len(only.items))]
    return [f"{identity}:{unit + 1}"]


def _heading(text: str) -> re.Match[str] | None:
    return re.match(rf"第([{N}\d]+)(分编|编|章|节)", text)


def _target(match: re.Match[str], document: str) -> _Target:
    def value(name: str) -> int:
        return int(numeral(match[name].replace("两", "二"))) if match[name] else 0

    return _Target(
        document=document,
        article=(value("article"), value("insert")) if match["article"] else None,
        relative=match["relative"] or "",
        back=value("back") or 1,
        chapter=(value("chapter"), match["kind"]) if match["chapter"] else None,
        section=value("section"),
        unit=value("unit"),
        item=value("item") or value("bare"),
        point=value("point"),
    )


def _inherit(target: _Target, previous: _Target) -> _Target:
    """第三条第一款、第二款: the second names its 款 only; the article is that of the first."""
    if target.relative or target.chapter or previous.chapter:
        return target
    if target.article is not None:
        return replace(target, document=target.document or previous.document)
    inherited = replace(
        target, document=target.document or previous.document, article=previous.article, relative=previous.relative
    )
    return inherited if target.unit else replace(inherited, unit=previous.unit, back=previous.back)
