"""Each stated value with what the words around it say: what it is about, and how it is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tianjing.finance.statements.finder import find
from tianjing.finance.statements.qualifiers import Qualifiers, qualifiers
from tianjing.finance.statements.subjects import Subject, subject
from tianjing.finance.statements.value import Value
from tianjing.finance.statements.view import View


@dataclass(frozen=True, slots=True)
class Said:
    """A value in its sentence: `before` and `after` are the windows that decide about it."""

    value: Value
    about: Subject
    how: Qualifiers
    before: str
    after: str


def read(view: View, start: int = 0, stop: int | None = None, previous_end: int = 0) -> Iterator[Said]:
    """The values that a text states from `start` on and before `stop`, in order.

    Args:
        previous_end: end of the last value before `start`.
    """
    for value in find(view, start, stop):
        before, after = view.before(value.start), view.after(value.end)
        gap = value.start - previous_end
        yield Said(
            value,
            subject(value.kind, value.unit, before, after, gap),
            qualifiers(before, after, value.vague, gap),
            before,
            after,
        )
        previous_end = value.end
