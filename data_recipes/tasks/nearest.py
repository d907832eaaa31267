"""Hard negatives (难负例): the texts that are most like those they must be told from."""

from __future__ import annotations

from collections.abc import Sequence

from data_recipes.bm25 import BM25


def nearest(wanted: Sequence[str], candidates: Sequence[str], count: int) -> list[int]:
    """Indexes of up to `count` candidates, by BM25 score to the nearest of the `wanted` texts; ties in their order.

    Each wanted text gives its best candidate first, then each its second, so that no single one decides the choice.
    """
    index = BM25(candidates)
    ranked = [index.rank(text, limit=count) for text in sorted(set(wanted))]
    found: dict[int, None] = {}
    for depth in range(count):
        level = sorted((-ranking[depth][1], ranking[depth][0]) for ranking in ranked if depth < len(ranking))
        for _, candidate in level:
            if len(found) == count:
                return list(found)
            found.setdefault(candidate)
    return list(found)
