"""Stated numbers in a guarded stream: what a model says about a loan, held against the facts while it is being said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Literal

from tianjing.finance.statements import Facts, Statement
from tianjing.finance.statements.check import LOOKBEHIND_CHARS, statement
from tianjing.finance.statements.context import read
from tianjing.finance.statements.finder import START_CHARS, settled
from tianjing.finance.statements.view import View
from tianjing.guard.detectors import CHECK_CHARS, Scanned
from tianjing.guard.verdicts import WITHHELD, Action, Span
from tianjing.text import fold_words

Untrue = Literal["wrong", "unsupported", "ambiguous"]
# (a wrong statement, the words of its sentence before it) -> the words to put in its place; "": nothing is certain.
Correct = Callable[[Statement, str], str]
# A wrong number ends the stream; what the facts cannot settle is reported.
DEFAULT_ACTIONS: Mapping[Untrue, Action] = {"wrong": "block", "unsupported": "allow", "ambiguous": "allow"}

_START: Final = re.compile(f"[{START_CHARS}]")
_PAUSE: Final = re.compile("[，。！？；,!?;\n]")
# A value that has begun is looked at again at a pause, after so many characters, and where the guard looks at its cap.
_LOOK_CHARS: Final = 12


class StatementDetector:
    """Finds stated values that the facts do not bear out: `stated_number.wrong`, `.unsupported`, `.ambiguous`.

    Text is held back while a value may still go on, and then for the few words that may change its meaning.

    Args:
        facts: the truth about the customer's loan.
        actions: what a verdict causes where it is not the default; right values are never reported.
        correct: says what a wrong value should have been; where it does, the value is rewritten.
    """

    name: ClassVar[str] = "stated_number"

    def __init__(self, facts: Facts, actions: Mapping[Untrue, Action] | None = None, correct: Correct | None = None):
        self.facts = facts
        self._actions: dict[str, Action] = dict([*DEFAULT_ACTIONS.items(), *(actions or {}).items()])
        self._correct = correct

    def open(self) -> StatementScan:
        return StatementScan(self)

    def span(self, said: Statement, before: str, offset: int) -> Span:
        """What to do about a statement of a text that begins at `offset` of the stream."""
        kind, action, words = f"{self.name}.{said.verdict}", self._actions[said.verdict], WITHHELD
        if self._correct is not None and said.verdict == "wrong" and (right := self._correct(said, before)):
            action, words = "rewrite", right
        return Span(said.start + offset, said.end + offset, kind, action, words)


class StatementScan:
    """One stream: only the undecided tail is read, with the text before it at hand for what the words mean."""

    def __init__(self, detector: StatementDetector):
        self._detector = detector
        self._text = ""
        self._folded = ""  # the same, as long, for a quick look
        self._offset = 0  # of both in the stream
        self._done = 0  # decided, in `_text`
        self._looked = 0  # length of `_text` at the last look
        self._value_end = 0  # of the last value, in `_text`

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        self._folded += fold_words(text).replace("幺", "一")
        if not closed and self._may_wait():
            return (), self._offset + self._done
        view = View(self._text)
        start = view.at(self._done)
        decided = view.length if closed else settled(view, start)
        spans: list[Span] = []
        if decided > self._done:
            spans = self._judge(view, start, view.at(decided))
            self._forget(decided)
        self._looked = len(self._text)
        return spans, self._offset + self._done

    def _may_wait(self) -> bool:
        """Whether another look can be put off, or is not needed: no value begins in the undecided text."""
        begun = _START.search(self._folded, self._done)
        size = len(self._text)
        if begun is None:
            self._done = self._looked = size
            if size > 2 * LOOKBEHIND_CHARS:
                self._forget(size)
                self._looked = len(self._text)
            return True
        if self._done == self._looked:
            self._done = begun.start()
        end = self._offset + size
        return (
            size - self._looked < _LOOK_CHARS
            and (self._offset + self._looked) // CHECK_CHARS == end // CHECK_CHARS
            and not _PAUSE.search(self._folded, self._looked)
        )

    def _judge(self, view: View, start: int, stop: int) -> list[Span]:
        spans = []
        for said in read(view, start, stop, view.at(self._value_end)):
            judged = statement(view, said, self._detector.facts)
            self._value_end = judged.end
            if judged.verdict != "right":
                spans.append(self._detector.span(judged, said.before, self._offset))
        return spans

    def _forget(self, decided: int) -> None:
        drop = max(0, decided - LOOKBEHIND_CHARS)
        self._text, self._folded = self._text[drop:], self._folded[drop:]
        self._offset += drop
        self._done, self._value_end = decided - drop, max(0, self._value_end - drop)
