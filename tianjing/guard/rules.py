"""The rulebook in a guarded stream: what an agent, or a model that speaks as one, must not say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from tianjing.guard.detectors import Scanned
from tianjing.guard.hearing import Hearing
from tianjing.guard.sieve import Sieve
from tianjing.guard.verdicts import WITHHELD, Action, Span
from tianjing.rulebook import Hit, PhraseMatcher
from tianjing.rulebook.folding import CODES, STOP

# A rule that only warns is reported and changes nothing.
_ACTIONS: Final[Mapping[str, Action]] = {
    "warn": "allow",
    "mask": "mask",
    "rewrite": "rewrite",
    "block": "block",
    "handoff": "handoff",
}
# The matcher sees a sentence from its beginning; of one longer than this, only what lies before the undecided part.
_SENTENCE_CHARS: Final = 256
_BEFORE_CHARS: Final = 128
# Once a sentence is suspicious, the matcher looks at it whenever the stream passes a multiple of this.
_LOOK_CHARS: Final = 16
_OPENING: Final = re.compile('[“「『‘"]')


_NOTHING: Final[list[Span]] = []


class RulebookDetector:
    """Finds what `matcher` finds and does what each rule says.

    Args:
        matcher: the phrase rules in force, e.g. `Rulebook.load().on(today).matcher()`.
        rewrites: rule id -> the words that replace its phrase, for rules whose action is rewrite.
    """

    name: ClassVar[str] = "rulebook"

    def __init__(self, matcher: PhraseMatcher, rewrites: Mapping[str, str] | None = None):
        self.matcher = matcher
        self.sieve = Sieve(matcher)
        self._rewrites = dict(rewrites or {})

    def open(self) -> RulebookScan:
        return RulebookScan(self)

    def span(self, hit: Hit, offset: int = 0) -> Span:
        """What to do about a hit whose text begins at `offset` of the stream."""
        rule = hit.rule
        replacement = self._rewrites.get(rule.id, WITHHELD)
        return Span(hit.start + offset, hit.end + offset, rule.id, _ACTIONS[rule.action], replacement)


class RulebookScan:
    """One stream: the sieve hears everything, the matcher looks at sentences that do not pass it."""

    def __init__(self, detector: RulebookDetector):
        self._detector = detector
        self._matcher = detector.matcher
        self._hearing = Hearing(detector.sieve)
        self._text = ""
        self._offset = 0  # of `_text` in the stream
        self._done = 0  # decided, in the stream
        self._suspicious = False

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        end = self._offset + len(self._text)
        spans = _NOTHING
        if not self._suspicious:
            decided = self._hearing.push(text)
            if decided is None or (closed and not self._hearing.close()):
                self._suspicious = True
            else:
                decided = end if closed else max(self._done, decided)
                self._suspicious = self._hearing.complete and not self._innocent(decided)
                if not self._suspicious:
                    self._done = decided
        elif not closed and (end - len(text)) // _LOOK_CHARS == end // _LOOK_CHARS:
            return spans, self._done
        if self._suspicious:
            spans = self._look(closed)
        self._forget()
        return spans, self._done

    def _window(self) -> tuple[str, int]:
        """The text that the matcher has to see, and where it begins in the stream."""
        sentence = self._hearing.sentence - self._offset
        if sentence > 0 and not _OPENING.search(self._text, 0, sentence):
            # Only an open quotation lets a guard look back behind the beginning of the sentence.
            return self._text[sentence:], self._offset + sentence
        return self._text, self._offset

    def _innocent(self, decided: int) -> bool:
        """Whether the matcher finds no phrase where the sieve heard all words of one, and expects none so far."""
        self._hearing.complete = False
        text, offset = self._window()
        done = self._done - offset
        return offset + self._matcher.decided(text) >= decided and all(
            hit.end <= done for hit in self._matcher.find(text)
        )

    def _look(self, closed: bool) -> list[Span]:
        text, offset = self._window()
        done = max(0, self._done - offset)
        decided = len(text) if closed else max(done, self._matcher.decided(text))
        if decided == done:
            return []
        hits = [hit for hit in self._matcher.find(text) if hit.start >= done]
        decided = min([decided, *(hit.start for hit in hits if hit.start < decided < hit.end)])
        self._done = offset + decided
        # No phrase crosses the end of a sentence: the sieve goes on behind the last one that is decided.
        following = offset + text[:decided].translate(CODES).rfind(STOP) + 1
        if following > max(offset, self._hearing.sentence):
            self._hearing.restart(following)
            heard = self._hearing.push(text[following - offset :])
            self._suspicious = heard is None
        return [self._detector.span(hit, offset) for hit in hits if hit.end <= decided]

    def _forget(self) -> None:
        before = self._matcher.left_context_chars
        keep = min(self._hearing.sentence, self._done) - before
        if self._done - keep > _SENTENCE_CHARS + before:
            keep = self._done - _BEFORE_CHARS - before
        if keep > self._offset:
            self._text = self._text[keep - self._offset :]
            self._offset = keep
