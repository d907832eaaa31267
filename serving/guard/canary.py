"""Secrets of the deployment, known by their digests: an answer that holds one is ended in front of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from serving.guard.settings import Canary, EndingAction
from tianjing.guard import Scanned, Span

PREFIX_CHARS: Final = 6


def canary(name: str, secret: str) -> Canary:
    """What to write into the settings for `secret` (12 to 256 characters); its first six stay readable.

    Raises:
        ValueError: the secret is too short or too long, or the name is no name.
    """
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return Canary(name=name, prefix=secret[:PREFIX_CHARS], chars=len(secret), sha256=digest)


class CanaryDetector:
    """Finds the secrets; text is held back from the first character of a prefix until it is clear that none follows."""

    name: ClassVar[str] = "canary"

    def __init__(self, canaries: Sequence[Canary], action: EndingAction):
        self.canaries = tuple(canaries)
        self.action = action
        starts = "|".join(sorted({re.escape(one.prefix[0]) for one in canaries}))
        self.start = re.compile(starts)

    def open(self) -> CanaryScan:
        return CanaryScan(self)


class CanaryScan:
    """One stream: only the undecided end is kept."""

    def __init__(self, detector: CanaryDetector):
        self._detector = detector
        self._text = ""
        self._offset = 0  # of `_text` in the stream

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        spans: list[Span] = []
        position, size = 0, len(self._text)
        while match := self._detector.start.search(self._text, position):
            position = match.start()
            found = self._at(position)
            if found is None and not closed:
                break
            if found:
                begin = self._offset + position
                spans.append(Span(begin, begin + found.chars, found.name, self._detector.action))
            position += found.chars if found else 1
        else:
            position = size
        self._text, self._offset = self._text[position:], self._offset + position
        return spans, self._offset

    def _at(self, start: int) -> Canary | Literal[False] | None:
        """The secret that begins here; False: none does; None: more text is needed."""
        short = False
        for one in self._detector.canaries:
            said = self._text[start : start + one.chars]
            if len(said) == one.chars:
                if said.startswith(one.prefix) and hashlib.sha256(said.encode()).hexdigest() == one.sha256:
                    return one
            elif said.startswith(one.prefix) or one.prefix.startswith(said):
                short = True
        return None if short else False
