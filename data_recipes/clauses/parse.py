"""Rule documents to clauses: one per 条 or 段, and one per 款, 项 and 目 of those that have several.

An item only means something with the sentence that leads it in, so the two stand together as one clause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from data_recipes.clauses import norms
from data_recipes.clauses.definitions import definitions, effective_date, repeals, version
from data_recipes.clauses.modality import modality
from data_recipes.clauses.outline import Article, Outline, Unit, outline
from data_recipes.clauses.quantities import quantities
from data_recipes.clauses.references import Place, References
from data_recipes.readers.document import RuleDocument
from data_recipes.readers.office import han
from tianjing.records import Clause, Definition, Quantity, Reference, Span

Found = TypeVar("Found", Quantity, Reference)


@dataclass(frozen=True)
class ParsedDocument:
    """Clauses of one document. `gaps` are article numbers that did not follow on the one before.

    `preamble` is what stands before the first provision (title, dates); `orphans` is text that no clause holds and no
    path names, such as a heading with nothing below it.
    """

    document: str
    file: str
    clauses: tuple[Clause, ...]
    articles: int
    gaps: tuple[str, ...]
    effective_from: str | None
    version: str
    preamble: str = ""
    orphans: tuple[str, ...] = ()
    repeals: tuple[str, ...] = ()

    @property
    def terms(self) -> dict[str, Definition]:
        """The term table: what the document means by a term; the first definition counts."""
        table: dict[str, Definition] = {}
        for clause in self.clauses:
            for definition in clause.definitions:
                table.setdefault(definition.term, definition)
        return table


@dataclass(frozen=True)
class _Piece:
    """A run of text that clauses are put together from, with what was found in it; offsets count from its start."""

    text: str
    quantities: tuple[Quantity, ...] = ()
    references: tuple[Reference, ...] = ()


def parse_clauses(document: RuleDocument, strength: str = "internal") -> ParsedDocument:
    """Parse a document into clauses.

    Args:
        strength: `internal` for a company's own rules, `law` for statutes.
    """
    found = outline(document)
    preamble = "\n".join(paragraph.text for paragraph in found.preamble)
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    effective = effective_date(preamble, text)
    clauses = _Clauses(document, found, strength, effective)
    return ParsedDocument(
        document=document.title,
        file=document.file,
        clauses=tuple(clause for number in range(len(found.articles)) for clause in clauses.of(number)),
        articles=sum(article.is_numbered for article in found.articles),
        gaps=found.gaps,
        effective_from=effective,
        version=version(preamble, document.file),
        preamble=preamble,
        orphans=tuple(paragraph.text for paragraph in found.orphans),
        repeals=repeals(article.whole for article in found.articles),
    )


class _Clauses:
    """Builds the clauses of one document; every run of text is searched once and shared by the clauses that hold it."""

    def __init__(self, document: RuleDocument, found: Outline, strength: str, effective: str | None):
        self._document, self._articles = document, found.articles
        self._strength, self._effective = strength, effective
        short = {
            one.term: one.meaning.strip("《》")
            for article in found.articles
            for one in definitions(article.whole)
            if one.meaning.startswith("《")
        }
        self._references = References(document.title, found.articles, short)

    def of(self, number: int) -> list[Clause]:
        """The clause of an article and those of its parts."""
        article = self._articles[number]
        inherited = norms.subject(article.units[0].text)
        pieces = [self._pieces(unit, number, position) for position, unit in enumerate(article.units)]
        whole = [piece for unit in pieces for piece in unit]
        first, last = article.start, article.end
        made = [self._clause(article, "", (), whole, 0, inherited, first, last)]
        if len(article.units) == 1 and not article.units[0].items:
            return made
        for position, unit in enumerate(article.units):
            address, part = f":{position + 1}", f"第{han(position + 1)}款"
            if not unit.items:
                made.append(
                    self._clause(article, address, (part,), pieces[position], 0, inherited, unit.start, unit.end)
                )
                continue
            made += self._items(article, unit, pieces[position], address, part, inherited)
        return made

    def _items(
        self, article: Article, unit: Unit, pieces: Sequence[_Piece], address: str, part: str, inherited: str
    ) -> list[Clause]:
        made = []
        lead, rest = _lead_in(pieces[0]), iter(pieces[1:])
        for number, item in enumerate(unit.items, start=1):
            next(rest)  # its label
            body = next(rest)
            points = [(next(rest), next(rest)) for _ in item.points]
            below = [piece for pair in points for piece in pair]
            held = [*lead, body, *below]
            end = item.points[-1].end if item.points else item.end
            path, identity = (part, item.label), f"{address}:{number}"
            made.append(self._clause(article, identity, path, held, len(lead), inherited, item.start, end))
            inner = [*lead, *_lead_in(body)]
            for position, (point, (_, text)) in enumerate(zip(item.points, points, strict=True), start=1):
                made.append(
                    self._clause(
                        article,
                        f"{identity}:{position}",
                        (*path, point.label),
                        [*inner, text],
                        len(inner),
                        inherited,
                        point.start,
                        point.end,
                    )
                )
        return made

    def _pieces(self, unit: Unit, article: int, position: int) -> list[_Piece]:
        """The text of a 款 in runs: its own, then label and text of each item, mark and text of each 目 below it."""
        made = [self._piece(unit.text, Place(article, position))]
        for number, item in enumerate(unit.items):
            place = Place(article, position, number)
            made += [_Piece(item.label), self._piece(item.text, place)]
            for point in item.points:
                made += [_Piece(point.mark), self._piece(point.text, place)]
        return made

    def _piece(self, text: str, place: Place) -> _Piece:
        return _Piece(text, quantities(text), self._references.find(text, place))

    def _clause(
        self,
        article: Article,
        address: str,
        path: tuple[str, ...],
        pieces: Sequence[_Piece],
        leading: int,
        inherited: str,
        start: int,
        end: int,
    ) -> Clause:
        """`leading` is how many of the pieces are the lead-in of an item."""
        text, counted, named, at, lead_in_chars = "", [], [], 0, 0
        for number, piece in enumerate(pieces):
            if number == leading:
                lead_in_chars = at
            counted += [_shift(one, at) for one in piece.quantities]
            named += [_shift(one, at) for one in piece.references]
            text += piece.text
            at += len(piece.text)
        return Clause(
            id=f"{self._document.title}:{article.label}{address}",
            document=self._document.title,
            path=(*article.headings, article.label, *path),
            text=text,
            modality=modality(text, lead_in_chars),
            subject=norms.subject(text, inherited),
            conditions=norms.conditions(text),
            exception=norms.exception(text),
            quantities=tuple(counted),
            references=tuple(named),
            definitions=definitions(text[lead_in_chars:]),
            lead_in_chars=lead_in_chars,
            effective_from=self._effective,
            strength=self._strength,
            span=Span(file=self._document.file, start=start, end=end, page=article.page),
        )


def _lead_in(piece: _Piece) -> list[_Piece]:
    """The sentence above a list as it stands before each item, ending in one colon."""
    text = piece.text.rstrip("：:")
    return [_Piece(text, piece.quantities, piece.references), _Piece("：")]


def _shift(found: Found, by: int) -> Found:
    return found.model_copy(update={"start": found.start + by, "end": found.end + by}) if by else found
