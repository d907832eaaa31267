"""How the tests cut a text into a stream, and what a stream in which personal data is masked releases of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tianjing.guard import Guard, PrivacyDetector, Released, Span
from tianjing.guard.detectors import Incremental, scan
from tianjing.privacy import Session

# More than any text of the tests, so that a cap never decides.
_HELD_CHARS = 1024


def cut(text: str, cuts: Sequence[int]) -> list[str]:
    """`text` in pieces, cut wherever a number of `cuts` falls (counted round its end)."""
    bounds = sorted({0, len(text), *(at % (len(text) + 1) for at in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


def masked_stream(text: str, cuts: Sequence[int], known: Mapping[str, str] | None = None) -> list[Released]:
    """What comes out for each piece of `text`, and at last for its end."""
    stream = Guard([PrivacyDetector(Session(known))], max_held_chars=_HELD_CHARS).open()
    return [*(stream.push(piece) for piece in cut(text, cuts)), stream.finish()]


def followed(detector: Incremental, text: str, cuts: Sequence[int]) -> list[Span]:
    """What `detector` reports of `text` in pieces; each span must lie in what the piece decided."""
    state, found, before = scan(detector), [], 0
    for piece, closed in [*((piece, False) for piece in cut(text, cuts)), ("", True)]:
        spans, decided = state.push(piece, closed)
        assert all(before <= span.start and span.end <= decided for span in spans)
        found += spans
        before = decided
    return found


def text_of(released: Sequence[Released]) -> str:
    """All that went out, in order."""
    return "".join(part.text for part in released)
