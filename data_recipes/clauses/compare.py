"""Two versions of one document, clause by clause."""

from __future__ import annotations

from data_recipes.clauses.parse import ParsedDocument


class ClauseChange:
    pass


def compare() -> None:
    pass


def same_law(one: ParsedDocument, other: ParsedDocument) -> bool:
    """Two versions of one document: the same title, or half of the articles of the shorter one word for word."""
    if one.document == other.document:
        return True
    mine, theirs = ({clause.text for clause in parsed.clauses} for parsed in (one, other))
    return 2 * len(mine & theirs) > min(len(mine), len(theirs))
