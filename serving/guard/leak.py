"""The system prompt, word for word, in what the model writes."""

from __future__ import annotations

from typing import ClassVar, Final

from tianjing.guard import Action, Scanned, Span
from tianjing.guard.detectors import CHECK_CHARS
from tianjing.guard.verdicts import WITHHELD

# Longer prompts are compared up to here: a text that long is material to quote, and the time grows with it.
MOST_PROMPT_CHARS: Final = 16_000
_GRAM: Final = 3
_NOTHING: Final[list[Span]] = []


class LeakDetector:
    """Finds stretches of at least `least_chars` that also stand in `prompt`.

    Text is held back only while its end agrees with some place of the prompt, and no longer than `least_chars`.
    """

    name: ClassVar[str] = "prompt_leak"

    def __init__(self, prompt: str, least_chars: int, action: Action):
        self.prompt = prompt[:MOST_PROMPT_CHARS]
        self.least = least_chars
        self.action = action
        self.grams = {self.prompt[at : at + _GRAM] for at in range(len(self.prompt) - _GRAM + 1)}

    def open(self) -> LeakScan:
        return LeakScan(self)


class LeakScan:
    """One stream. A leak is the union of all stretches of `least_chars` that stand in the prompt."""

    def __init__(self, detector: LeakDetector):
        self._detector = detector
        self._tail = ""  # the end of the text that agrees with the prompt, and at least the last characters
        self._end = 0  # of the text so far, in the stream
        self._agrees = 0  # length of the longest end that stands in the prompt, `least_chars` at most
        self._leak = -1  # where the part of a leak begins that has not been reported; -1: there is none
        self._reported = 0  # end of what has been reported

    def push(self, text: str, closed: bool) -> Scanned:
        detector, tail = self._detector, self._tail + text
        if self._agrees < _GRAM and len(text) <= detector.least - _GRAM and tail[-_GRAM:] not in detector.grams:
            # No agreement reaches the end, and none within this piece is long enough.
            self._tail, self._end = tail[1 - _GRAM :], self._end + len(text)
            self._agrees = min(self._agrees + len(text), _GRAM - 1)  # at most so much
            return _NOTHING, self._end if closed else max(self._reported, self._end - self._agrees)
        spans: list[Span] = []
        begin = 0
        while begin < len(text):
            # Followed in the pieces in which a whole text is followed, so that no span depends on the cut.
            size = CHECK_CHARS - self._end % CHECK_CHARS
            self._follow(text[begin : begin + size], spans)
            begin += size
        if closed:
            self._report(self._end, spans)
            return spans, self._end
        return spans, self._leak if self._leak >= 0 else max(self._reported, self._end - self._agrees)

    def _follow(self, piece: str, spans: list[Span]) -> None:
        prompt, least = self._detector.prompt, self._detector.least
        text, agrees = self._tail + piece, min(self._agrees, len(self._tail))
        for end in range(len(self._tail) + 1, len(text) + 1):
            agrees = min(agrees + 1, least)
            if text[end - agrees : end] not in prompt:
                self._report(self._end, spans)
                agrees = _longest_end(text[end - agrees + 1 : end], prompt)
            self._end += 1
            if agrees >= least and self._leak < 0:
                self._leak = max(self._reported, self._end - agrees)
        if self._end % CHECK_CHARS == 0 and self._leak >= 0:
            self._report(self._end, spans)  # a long leak is not held back until it is over
            self._leak = self._end
        self._agrees = agrees
        self._tail = text[-max(agrees, _GRAM - 1) :]

    def _report(self, end: int, spans: list[Span]) -> None:
        if 0 <= self._leak < end:
            goes_on = 0 < self._leak == self._reported
            withheld = "" if goes_on else WITHHELD
            spans.append(Span(self._leak, end, self._detector.name, self._detector.action, withheld))
            self._reported = end
        self._leak = -1


def _longest_end(text: str, prompt: str) -> int:
    """Length of the longest end of `text` that stands in the prompt; of an end that does, so does every shorter one."""
    least, most = 0, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        if text[len(text) - middle :] in prompt:
            least = middle
        else:
            most = middle - 1
    return least
