"""BM25 over character bigrams: finds the clauses nearest to a question without a word segmenter."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence

from tianjing.text import arabic, compact


def bigrams(text: str) -> list[str]:
    """Character bigrams of the text without white space, Chinese numerals as digits."""
    folded = compact(arabic(text))
    return [folded[i : i + 2] for i in range(len(folded) - 1)]


class BM25:
    """Okapi BM25 (Robertson and Zaragoza 2009) with k1 = 1.2, b = 0.75 over an inverted index."""

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75):
        documents = [Counter(bigrams(text)) for text in texts]
        lengths = [sum(document.values()) for document in documents]
        mean = sum(lengths) / len(lengths) if lengths else 1.0
        frequency = Counter(term for document in documents for term in document)
        size = len(documents)
        self._postings: dict[str, list[tuple[int, float]]] = {term: [] for term in frequency}
        for index, document in enumerate(documents):
            penalty = k1 * (1 - b + b * lengths[index] / (mean or 1.0))
            for term, count in document.items():
                idf = math.log(1 + (size - frequency[term] + 0.5) / (frequency[term] + 0.5))
                self._postings[term].append((index, idf * count * (k1 + 1) / (count + penalty)))

    def rank(self, query: str, limit: int = 60) -> list[tuple[int, float]]:
        """(index, score) of up to `limit` texts that share a bigram with the query, best first; ties in text order."""
        scores: dict[int, float] = {}
        for term in sorted(set(bigrams(query))):  # sorted: the order of addition decides the last digit
            for index, score in self._postings.get(term, ()):
                scores[index] = scores.get(index, 0.0) + score
        return heapq.nsmallest(limit, scores.items(), key=lambda item: (-item[1], item[0]))
