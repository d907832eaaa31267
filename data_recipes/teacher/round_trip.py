"""The retrieval round trip: whether a search for a question brings back the clause that answers it."""

from __future__ import annotations

from data_recipes.knowledge import Knowledge
from data_recipes.provisions import Provisions
from data_recipes.tasks.draft import Draft

DEPTH = 5
"""Among so many articles the right one must be: as many as a person would read through."""


class RoundTrip:
    """Searches the clauses a draft was made among: the company's own, or the statutes of its split."""

    def __init__(self, knowledge: Knowledge, max_clause_chars: int):
        self._knowledge = knowledge
        self._max_clause_chars = max_clause_chars
        self._splits = {info.document: info.split for info in knowledge.documents if info.split is not None}
        self._labels = {clause.id: clause.label for clause in knowledge.clauses}
        self._indexes: dict[str | None, Provisions] = {}

    def __call__(self, question: str, draft: Draft) -> bool:
        """Whether the article that `draft` cites is among the first `DEPTH` found for `question`."""
        split = self._splits.get(draft.group)
        if split not in self._indexes:
            clauses = [clause for clause in self._knowledge.clauses if self._splits.get(clause.document) == split]
            self._indexes[split] = Provisions(clauses, self._max_clause_chars)
        found = self._indexes[split].neighbours(question, DEPTH)
        return self._labels[draft.reference["clause_id"]] in {unit.label for unit in found}
