"""Personal data in a guarded stream: `tianjing.privacy`'s scanner, resumed where it stopped."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from tianjing.guard.detectors import CHECK_CHARS, Scanned
from tianjing.guard.verdicts import Span
from tianjing.privacy import Session
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS, View, fold
from tianjing.privacy.scanner import Scanner

_NOTHING: Final[list[Span]] = []
# Decided text that is kept, so that not every call has to cut it off.
_KEPT_CHARS: Final = 256


class PrivacyDetector:
    """Masks what `tianjing.privacy.find` finds, by the placeholders of `session`.

    Each stream goes on from the placeholders that the session has given so far (those of the question) and numbers new
    ones by itself, so that one choice's text does not depend on another's.
    """

    name: ClassVar[str] = "privacy"

    def __init__(self, session: Session | None = None):
        self._session = session or Session()

    def open(self) -> PrivacyScan:
        return PrivacyScan(self._session.trial())


class PrivacyScan:
    """One stream. Only the undecided tail is scanned again, at most 200 characters (an e-mail address), and only when
    what it waits for has come; at the positions where the guard looks at its cap it is scanned in any case."""

    def __init__(self, session: Session):
        self._session = session
        self._scanner: Scanner = session.scanner
        self._text = ""
        self._folded = ""
        self._offset = 0  # of `_text` and `_folded` in the stream
        self._done = 0  # decided, in them
        self._needed = 0  # as in `View`
        self._run_of: re.Pattern[str] | None = None

    def push(self, text: str, closed: bool) -> Scanned:
        before = len(self._folded)
        self._text += text
        self._folded += fold(text)
        if not closed and self._still_waits(before):
            return _NOTHING, self._offset + self._done
        view = View(self._folded, closed)
        matches, done = self._scanner.scan(view, self._done)
        spans = [] if matches else _NOTHING
        for start, match in matches:
            replacement = self._session.replacement(match, self._text[start : match.end])
            spans.append(Span(start + self._offset, match.end + self._offset, match.kind, "mask", replacement))
        decided = self._offset + done
        self._needed, self._run_of = view.needed, view.run_of
        if done > _KEPT_CHARS:
            self._forget(done - LEFT_CONTEXT_CHARS)
            done = LEFT_CONTEXT_CHARS
        self._done = done
        return spans, decided

    def _still_waits(self, before: int) -> bool:
        """Whether the text that came behind `before` cannot decide anything yet."""
        length = len(self._folded)
        if length >= self._needed or (self._offset + before) // CHECK_CHARS != (self._offset + length) // CHECK_CHARS:
            return False
        if self._run_of is None:
            return True
        taken = self._run_of.match(self._folded, before)
        return taken is not None and taken.end() == length

    def _forget(self, drop: int) -> None:
        self._text, self._folded = self._text[drop:], self._folded[drop:]
        self._offset += drop
        self._needed -= drop
