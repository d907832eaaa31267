"""Knowledge from rule documents: clauses, and what they state."""

from __future__ import annotations

import re
from typing import Literal

from tianjing.config import StrictModel

_ARTICLE = re.compile(r"第[^条]+条(?:之.+)?|第[^段]+段")

Modality = Literal["must", "must_not", "may", "statement"]
Comparator = Literal["<", "<=", "=", ">=", ">"]


class Quantity(StrictModel):
    """A number that a clause states, e.g. value 24, unit 期, kind count."""

    value: float
    """In `unit`: yuan for 元 (also from 万元 and 亿元), per cent for %, hours after midnight for 时."""
    unit: str
    """As the clause names it, e.g. 个工作日; 元 also for 万元; 比 for a share such as 三分之二 (0.666667)."""
    kind: Literal["money", "rate", "duration", "count", "time", "age"]
    text: str
    """As the clause writes it."""
    comparator: Comparator = "="
    """The bound it sets: 不超过, 以下 and 内 are <=, 以上 and 不低于 >=, 不满 <, 超过 >."""
    period: str = ""
    """What it is counted per or within, as the clause says: 每日, 每年, 12个月内; empty where nothing is said."""
    until: float | None = None
    """End of a time window [value, until) in hours after midnight; above 24 it lies on the next day (21时至次日8时)."""
    start: int = 0
    """First character in the text of the clause."""
    end: int = 0
    """Past the last character in the text of the clause."""


class Span(StrictModel):
    """Where a clause stands in its source file: character offsets of the extracted text."""

    file: str
    start: int
    end: int
    page: int | None = None
    """Page it begins on, counted from 1; none for formats without pages."""


class Reference(StrictModel):
    """Another provision that a clause names."""

    text: str
    """As the clause writes it, e.g. 前款 or 《征信业管理条例》第二十条."""
    document: str = ""
    """Title of the other document it names; empty for its own."""
    clause_ids: tuple[str, ...] = ()
    """Clauses of the same document it leads to, in their order; empty where it leads to none."""
    start: int
    """First character in the text of the clause."""
    end: int
    """Past the last character in the text of the clause."""


class Definition(StrictModel):
    """A term and what the document means by it."""

    term: str
    meaning: str
    """The words after 是指, or for 以下简称 the words it shortens."""


class Clause(StrictModel):
    """One provision of a rule document, addressed by 章/节/条/款/项/目, or by 段 where it has no articles."""

    id: str
    document: str
    path: tuple[str, ...]
    text: str
    modality: Modality
    """What its main demand is: must, must_not, may, or a statement that demands nothing."""
    subject: str = ""
    """Whom it addresses; empty where the text does not say."""
    conditions: tuple[str, ...] = ()
    """When it applies: …的，/ 有下列情形之一 / 未经… / 自…之日起, in the words of the clause."""
    exception: str = ""
    """但书 or 除…外, in the words of the clause."""
    quantities: tuple[Quantity, ...] = ()
    references: tuple[Reference, ...] = ()
    definitions: tuple[Definition, ...] = ()
    lead_in_chars: int = 0
    """Characters at the start of `text` that are the sentence above the list, shared by all its items."""
    effective_from: str | None = None
    effective_to: str | None = None
    strength: str = "internal"
    span: Span

    @property
    def article(self) -> str:
        """The 条 or 段 this clause belongs to, e.g. 第八条, or the last heading when it has none."""
        return next((part for part in self.path if _ARTICLE.fullmatch(part)), self.path[-1])

    @property
    def label(self) -> str:
        """How a person cites it: 《document》第八条."""
        return f"《{self.document}》{self.article}"
