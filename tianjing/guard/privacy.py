"""Personal data in a guarded stream: `tianjing.privacy`'s scanner, resumed where it stopped."""

from __future__ import annotations

import copy
from typing import ClassVar

from tianjing.guard.detectors import Scanned
from tianjing.guard.verdicts import Span
from tianjing.privacy import Session
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS, View, fold

_NOTHING: list[Span] = []


class PrivacyDetector:
    """Masks what `tianjing.privacy.find` finds, by the placeholders of `session`.

    Each stream goes on from the placeholders that the session has given so far (those of the question) and numbers new
    ones by itself, so that one choice's text does not depend on another's.
    """

    name: ClassVar[str] = "privacy"

    def __init__(self, session: Session | None = None):
        self._session = session or Session()

    def open(self) -> PrivacyScan:
        return PrivacyScan(copy.deepcopy(self._session))


class PrivacyScan:
    """One stream. Only the undecided tail is scanned again, at most 200 characters (an e-mail address)."""

    def __init__(self, session: Session):
        self._session = session
        self._text = ""
        self._folded = ""
        self._offset = 0  # of `_text` and `_folded` in the stream
        self._done = 0  # decided, in them

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        self._folded += fold(text)
        matches, done = self._session.scanner.scan(View(self._folded, closed), self._done)
        spans = [] if matches else _NOTHING
        for start, match in matches:
            replacement = self._session.replacement(match, self._text[start : match.end])
            spans.append(Span(start + self._offset, match.end + self._offset, match.kind, "mask", replacement))
        decided = self._offset + done
        if (drop := done - LEFT_CONTEXT_CHARS) > 0:
            self._text, self._folded, done = self._text[drop:], self._folded[drop:], LEFT_CONTEXT_CHARS
            self._offset += drop
        self._done = done
        return spans, decided
