"""Stated numbers in a guarded stream: what a model says about a loan, held against the facts while it is being said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from tianjing.finance.statements import Facts, Statement
from tianjing.finance.statements.check import LOOKBEHIND_CHARS, statement
from tianjing.finance.statements.context import read
from tianjing.finance.statements.finder import settled
from tianjing.finance.statements.view import View
from tianjing.guard.detectors import Scanned
from tianjing.guard.verdicts import Action, Span

Untrue = Literal["wrong", "unsupported", "ambiguous"]
# A wrong number ends the stream; what the facts cannot settle is reported.
DEFAULT_ACTIONS: Mapping[Untrue, Action] = {"wrong": "block", "unsupported": "allow", "ambiguous": "allow"}


class StatementDetector:
    """Finds stated values that the facts do not bear out: `stated_number.wrong`, `.unsupported`, `.ambiguous`.

    Text is held back while a value may still go on, and then for the few words that may change its meaning.

    Args:
        facts: the truth about the customer's loan.
        actions: what a verdict causes where it is not the default; right values are never reported.
    """

    name: ClassVar[str] = "stated_number"

    def __init__(self, facts: Facts, actions: Mapping[Untrue, Action] | None = None):
        self.facts = facts
        self._actions: dict[str, Action] = dict([*DEFAULT_ACTIONS.items(), *(actions or {}).items()])

    def open(self) -> StatementScan:
        return StatementScan(self)

    def span(self, said: Statement, offset: int) -> Span:
        """What to do about a statement of a text that begins at `offset` of the stream."""
        kind = f"{self.name}.{said.verdict}"
        return Span(said.start + offset, said.end + offset, kind, self._actions[said.verdict])


class StatementScan:
    """One stream: only the undecided tail is read, with the text before it at hand for what the words mean."""

    def __init__(self, detector: StatementDetector):
        self._detector = detector
        self._text = ""
        self._offset = 0  # of `_text` in the stream
        self._done = 0  # decided, in `_text`
        self._value_end = 0  # of the last value, in `_text`

    def push(self, text: str, closed: bool) -> Scanned:
        self._text += text
        view = View(self._text)
        start = view.at(self._done)
        decided = view.length if closed else settled(view, start)
        spans: list[Span] = []
        if decided > self._done:
            spans = self._judge(view, start, view.at(decided))
            self._forget(decided)
        return spans, self._offset + self._done

    def _judge(self, view: View, start: int, stop: int) -> list[Span]:
        spans = []
        for said in read(view, start, stop, view.at(self._value_end)):
            judged = statement(view, said, self._detector.facts)
            self._value_end = judged.end
            if judged.verdict != "right":
                spans.append(self._detector.span(judged, self._offset))
        return spans

    def _forget(self, decided: int) -> None:
        drop = max(0, decided - LOOKBEHIND_CHARS)
        self._text, self._offset = self._text[drop:], self._offset + drop
        self._done, self._value_end = decided - drop, max(0, self._value_end - drop)
