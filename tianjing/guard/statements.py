"""Stated numbers in a guarded stream: what a model says about a loan, held against the facts while it is being said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from tianjing.finance.statements import Facts, check_statements
from tianjing.finance.statements.check import LOOKBEHIND_CHARS, settled_chars
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
    lookbehind_chars: ClassVar[int] = LOOKBEHIND_CHARS

    def __init__(self, facts: Facts, actions: Mapping[Untrue, Action] | None = None):
        self._facts = facts
        self._actions: dict[str, Action] = dict([*DEFAULT_ACTIONS.items(), *(actions or {}).items()])

    def find(self, text: str) -> Sequence[Span]:
        return [
            Span(one.start, one.end, f"{self.name}.{one.verdict}", self._actions[one.verdict])
            for one in check_statements(text, self._facts)
            if one.verdict != "right"
        ]

    def decided(self, text: str) -> int:
        return settled_chars(text)
