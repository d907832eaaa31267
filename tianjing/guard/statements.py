"""Stated numbers in a guarded stream: what a model says about a loan, held against the facts while it is being said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from tianjing.finance.statements import Facts, check_statements
from tianjing.finance.statements.finder import LONGEST_VALUE, OPEN_CHARS, is_open
from tianjing.finance.statements.view import AFTER_CHARS, BEFORE_CHARS
from tianjing.guard.verdicts import Action, Span

# A wrong number ends the stream; what the facts cannot settle is reported.
DEFAULT_ACTIONS: Mapping[str, Action] = {"wrong": "block", "unsupported": "allow", "ambiguous": "allow"}


class StatementDetector:
    """Finds stated values that the facts do not bear out, as `stated_number.wrong`, `.unsupported` and `.ambiguous`.

    Args:
        facts: the truth about the customer's loan.
        actions: what each verdict causes; `right` values are never reported.
    """

    name: ClassVar[str] = "stated_number"
    lookbehind_chars: ClassVar[int] = 2 * BEFORE_CHARS + LONGEST_VALUE

    def __init__(self, facts: Facts, actions: Mapping[str, Action] = DEFAULT_ACTIONS):
        self._facts = facts
        self._actions = {**DEFAULT_ACTIONS, **actions}

    def find(self, text: str) -> Sequence[Span]:
        return [
            Span(one.start, one.end, f"{self.name}.{one.verdict}", self._actions[one.verdict])
            for one in check_statements(text, self._facts)
            if one.verdict != "right"
        ]
