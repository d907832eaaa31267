"""What the guard asks of a detector, and how it runs one over a text that is still growing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, cast

from tianjing.guard.verdicts import Span

Scanned = tuple[Sequence[Span], int]

# Positions of a stream at which the cap in characters is looked at; also the longest piece that detectors see at once.
CHECK_CHARS: Final = 64


class Detector(Protocol):
    """Finds spans in a text; must not keep state between calls.

    With k = `lookbehind_chars`, `find(text[i:])` and `find(text)` must agree on all spans that begin at i + k or later:
    that is what lets a stream forget what it has released.
    """

    @property
    def name(self) -> str:
        """Stands in the verdicts."""

    @property
    def lookbehind_chars(self) -> int:
        """How far before a span, in characters, the detector may look to judge it."""

    def find(self, text: str) -> Sequence[Span]:
        """All spans in `text`, taken as complete."""

    def decided(self, text: str) -> int:
        """Index up to which no further text can change what `find` says.

        Spans that end at or before it are final, and none that begins before it can appear later.
        """


class Scan(Protocol):
    """A detector at work on one stream. Offsets count from the beginning of the stream."""

    def push(self, text: str, closed: bool) -> Scanned:
        """Take the next piece; `closed` says that none follows.

        Returns the spans that have become final, and the index up to which all is decided: no span that begins
        before it may be reported later. All that has been said by a multiple of `CHECK_CHARS`, and at the end, may
        depend on the text so far, never on how it was cut; between them a scan may say things later than it could.
        """


class Incremental(Protocol):
    """A detector that follows a stream by itself, which is faster than being run again over the undecided tail."""

    @property
    def name(self) -> str:
        """Stands in the verdicts."""

    def open(self) -> Scan:
        """A new stream's state."""


class Rescan:
    """Follows a stream with a plain `Detector`: runs it over the undecided tail and `lookbehind_chars` before that."""

    def __init__(self, detector: Detector):
        self._detector = detector
        self._text = ""
        self._offset = 0  # of `_text` in the stream
        self._done = 0  # decided, in `_text`

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        decided = len(self._text) if closed else max(self._done, self._detector.decided(self._text))
        spans: list[Span] = []
        if decided > self._done:
            found = [span for span in self._detector.find(self._text) if span.start >= self._done]
            # What reaches beyond the decided part is not final, so nothing of it may go out yet.
            decided = min([decided, *(span.start for span in found if span.start < decided < span.end)])
            spans = [_shifted(span, self._offset) for span in found if span.end <= decided]
        decided_at = self._offset + decided
        drop = max(0, decided - self._detector.lookbehind_chars)
        self._text, self._done, self._offset = self._text[drop:], decided - drop, self._offset + drop
        return spans, decided_at


def _shifted(span: Span, offset: int) -> Span:
    return Span(span.start + offset, span.end + offset, span.kind, span.action, span.replacement)


def scan(detector: Detector | Incremental) -> Scan:
    """The state in which `detector` follows a new stream."""
    # Whether it is an instance of a protocol takes Python longer to say than a whole scan.
    opened = getattr(detector, "open", None)
    return Rescan(cast(Detector, detector)) if opened is None else cast(Scan, opened())
