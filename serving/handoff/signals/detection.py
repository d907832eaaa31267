"""Reads signals from words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Final

from serving.handoff.signals.context import customer_words, sentences, taken_back
from serving.handoff.signals.kinds import KINDS, Kind, Signal
from serving.handoff.signals.learned import learned
from serving.handoff.signals.patterns import PATTERNS, UNHELPFUL, compiled

# Tasks asked by an inspector, a supervisor or a router at his desk, not by a customer.
STAFF_TASKS: Final = frozenset(
    {"quality_inspection", "intent", "call_summary", "handoff_triage", "complaint_prediction"}
)


def detect(text: str, task: str | None = None, margin: float | None = 0.0) -> tuple[Signal, ...]:
    """Signals in the last user message, most urgent first; empty when the model may answer.

    Args:
        task: id of the task the request names; work of the staff about a customer's words is never handed off.
        margin: logits that a kind must score beyond its learned threshold; None reads by patterns alone.
    """
    if task in STAFF_TASKS:
        return ()
    words = customer_words(text)
    found, withdrawn = matched(words)
    if margin is None:
        return tuple(found.values())
    model = learned()
    counts = model.decide(model.scores(words, found, withdrawn), found, margin)
    return tuple(found.get(kind) or Signal(kind, words) for kind in KINDS if kind in counts)


def matched(words: str) -> tuple[dict[Kind, Signal], frozenset[Kind]]:
    """What the patterns find in `customer_words`, most urgent first, and the kinds that the context takes back."""
    said = tuple(sentences(words))
    found: dict[Kind, Signal] = {}
    withdrawn: set[Kind] = set()
    for kind in KINDS:
        for signal in _every(kind, said):
            if signal:
                found[kind] = signal
                break
            withdrawn.add(kind)
    return found, frozenset(withdrawn - found.keys())


def policy() -> str:
    """SHA-256 of the patterns and the weights in force, for the records of what was decided by what.

    Raises:
        ServeError: the file of weights is missing or broken.
    """
    listed = json.dumps([list(PATTERNS.items()), UNHELPFUL.pattern, learned().digest], ensure_ascii=False)
    return hashlib.sha256(listed.encode()).hexdigest()


def prepare() -> None:
    """Compile the patterns and read the weights, so that no request waits for it.

    Raises:
        ServeError: the file of weights is missing or broken.
    """
    learned()
    for kind in KINDS:
        compiled(kind)


def unhelpful(texts: Iterable[str]) -> int:
    """How many of a customer's messages say that the answer before them did not help."""
    return sum(UNHELPFUL.search(customer_words(text)) is not None for text in texts)


def _every(kind: Kind, said: tuple[str, ...]) -> Iterator[Signal | None]:
    """Each match of a kind; None for one that the words around it take back."""
    anything, patterns = compiled(kind)
    for sentence in filter(anything.search, said):
        for pattern in patterns:
            for match in pattern.finditer(sentence):
                yield None if taken_back(kind, sentence, match) else Signal(kind, match[0])
