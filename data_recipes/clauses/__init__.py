"""Rule documents as clauses: parsed, understood, and two versions compared."""

from data_recipes.clauses.compare import ClauseChange, compare, same_law
from data_recipes.clauses.outline import canonical_article
from data_recipes.clauses.parse import ParsedDocument, parse_clauses

__all__ = ["ClauseChange", "ParsedDocument", "canonical_article", "compare", "parse_clauses", "same_law"]
