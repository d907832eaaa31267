"""Citations as agents speak them: 《document》第N条, found and led back to a clause that exists."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from data_recipes.clauses import canonical_article
from tianjing.text import compact

CITATION = re.compile(r"《([^》]{2,40})》\s*(第[零〇一二三四五六七八九十百千\d]+条(?:之[一二三四五六七八九十])?)")


def article_cited(citation: re.Match[str], names: Mapping[str, str], articles: Collection[str]) -> str | None:
    """Id of the article a citation names, None if there is no such document or article.

    Args:
        names: document names as spoken -> document.
    """
    document = names.get(compact(citation[1]))
    article = f"{document}:{canonical_article(citation[2])}"
    return article if document is not None and article in articles else None


def articles_cited(text: str, names: Mapping[str, str], articles: Collection[str]) -> Iterator[str]:
    """Ids of the articles that a text cites and that exist, in the order of the text."""
    for citation in CITATION.finditer(text):
        article = article_cited(citation, names, articles)
        if article is not None:
            yield article
