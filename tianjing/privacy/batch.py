"""Thousands of short texts at once: one pass of the hints over all of them, the scanner only where a hint stands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from tianjing.privacy import hints
from tianjing.privacy.engine import Masked, Session
from tianjing.privacy.findings import Finding, Match, findings_of, fold

# Texts joined for one pass; more than fits the cache of a core gains nothing.
_JOINED = 512


def find_many(texts: Sequence[str], known: Mapping[str, str] | None = None) -> list[tuple[Finding, ...]]:
    """`[find(text, known) for text in texts]`, many times faster where most texts hold no personal data.

    Args:
        known: one customer's record for all texts; None for texts of different people.
    """
    session = Session(known)
    if known:
        return [session.find(text) for text in texts]
    found: list[tuple[Finding, ...]] = [()] * len(texts)
    for number, matches in _matches(session, texts):
        found[number] = findings_of(texts[number], matches)
    return found


def mask_many(texts: Sequence[str]) -> list[Masked]:
    """`[mask(text) for text in texts]`: each text by itself, so placeholders begin at 1 in each."""
    masked = [Masked(text, ()) for text in texts]
    for number, matches in _matches(Session(), texts):
        masked[number] = Session().replace(texts[number], matches)
    return masked


def _matches(session: Session, texts: Sequence[str]) -> Iterator[tuple[int, list[tuple[int, Match]]]]:
    """(number of the text, what the scanner finds) of each text in which something may begin."""
    for first in range(0, len(texts), _JOINED):
        some = texts[first : first + _JOINED]
        joined = fold(hints.SEPARATOR + hints.SEPARATOR.join(some))
        starts = list(itertools.accumulate((len(text) + 1 for text in some[:-1]), initial=1))
        for number, places in hints.places_of_many(joined, starts):
            start = starts[number]
            matches = session.matches(joined[start : start + len(some[number])], places, folded=True)
            if matches:
                yield first + number, matches
