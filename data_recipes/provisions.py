"""Clauses as they are shown with a question: one compact unit per article, and the neighbours that distract."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from data_recipes.bm25 import BM25, bigrams
from data_recipes.knowledge import article_id, is_part, leaves
from tianjing.order import order_key
from tianjing.records import Clause
from tianjing.text import numbers

_PLACEHOLDER = re.compile(r"〔[^〕]*〕")
_SENTENCE = re.compile(r"[^。；;]+[。；;]?")
# A derived question is clear if its own clause scores this much above the next one.
_CLEAR_MARGIN = 1.2


class Provisions:
    """Clauses of some documents, searchable. A unit is a whole article if it is short, else its 款 and 项."""

    def __init__(self, clauses: Iterable[Clause], max_chars: int):
        found = list(clauses)
        self._max_chars = max_chars
        self.articles: dict[str, list[Clause]] = defaultdict(list)
        whole = {clause.id: clause for clause in found if not is_part(clause)}
        for clause in leaves(found):
            article = whole[article_id(clause)]
            unit = article if len(article.text) <= max_chars else clause
            if unit not in self.articles[article.id]:
                self.articles[article.id].append(unit)
        self.units = [unit for units in self.articles.values() for unit in units]
        self._index = BM25([f"{unit.document}{unit.text}" for unit in self.units])

    def show(self, clause: Clause, focus: str) -> dict[str, str]:
        """How a clause stands in a prompt."""
        return {"id": clause.id, "label": clause.label, "text": excerpt(clause.text, focus, self._max_chars)}

    def best_unit(self, article: str, answer: str) -> Clause | None:
        """The unit of an article that says what `answer` says: it has all its numbers and shares most bigrams."""
        stated, spoken = numbers(answer, claims=True), set(bigrams(answer))
        fitting = [unit for unit in self.articles.get(article, []) if stated <= numbers(unit.text)]
        return max(fitting, key=lambda unit: len(spoken & set(bigrams(unit.text))), default=None)

    def neighbours(
        self, question: str, count: int, exclude: Sequence[Clause] = (), without: str | None = None
    ) -> list[Clause]:
        """The units nearest to the question, one per article; none of the document `without`."""
        taken = {(unit.label) for unit in exclude}
        found: list[Clause] = []
        for index, _ in self._index.rank(question):
            unit = self.units[index]
            if unit.label not in taken and unit.document != without:
                taken.add(unit.label)
                found.append(unit)
                if len(found) == count:
                    break
        return found

    def finds(self, question: str, gold: Clause) -> bool:
        """Whether a search for the question finds `gold` first, clearly before any other article."""
        best = self._index.rank(question, limit=8)
        if not best or self.units[best[0][0]].label != gold.label:
            return False
        rival = next((score for index, score in best if self.units[index].label != gold.label), 0.0)
        return best[0][1] >= _CLEAR_MARGIN * rival

    def reaches(self, question: str, gold: Clause, top: int) -> bool:
        """Whether a search for the question brings the article of `gold` among the first `top` articles."""
        found: dict[str, None] = {}
        for index, _ in self._index.rank(_PLACEHOLDER.sub("", question)):
            found.setdefault(self.units[index].label)
            if len(found) == top:
                break
        return gold.label in found

    def choices(
        self,
        question: str,
        gold: Clause | None,
        count: int,
        seed: int,
        key: str,
        focus: str,
        without: str | None = None,
    ) -> list[dict[str, str]]:
        """`count` clauses to choose from, in seeded order; `focus` chooses the sentences of the gold clause.

        Fewer only where there are no more; none of the document `without`.
        """
        fixed = [gold] if gold is not None else []
        near = self.neighbours(question, count - len(fixed), fixed, without)
        near += self._others(count - len(fixed) - len(near), [*near, *fixed], f"{seed}|{key}", without)
        shown = [self.show(unit, question) for unit in near]
        shown += [self.show(unit, focus) for unit in fixed]
        return sorted(shown, key=lambda clause: order_key(seed, f"{key}|{clause['id']}"))

    def _others(self, count: int, taken: Sequence[Clause], key: str, without: str | None) -> list[Clause]:
        """Units of other articles, where too few have anything in common with the question."""
        if count <= 0:
            return []
        labels = {unit.label for unit in taken}
        rest = {
            unit.label: unit for unit in reversed(self.units) if unit.label not in labels and unit.document != without
        }
        return sorted(rest.values(), key=lambda unit: order_key(0, f"{key}|{unit.id}"))[:count]


def excerpt(text: str, focus: str, max_chars: int) -> str:
    """The run of whole sentences nearest to `focus` within `max_chars`; a single longer sentence is cut at a comma."""
    if len(text) <= max_chars:
        return text
    sentences = [match[0] for match in _SENTENCE.finditer(text)]
    wanted = set(bigrams(focus))
    best, best_score = "", -1.0
    for start in range(len(sentences)):
        run = ""
        for sentence in sentences[start:]:
            if run and len(run) + len(sentence) > max_chars:
                break
            run += sentence
        score = float(len(wanted & set(bigrams(run))))
        if score > best_score:
            best, best_score = run, score
    if len(best) > max_chars:
        cut = best.rfind("，", 0, max_chars)
        best = best[: cut if cut > max_chars // 2 else max_chars]
    return best.strip()
