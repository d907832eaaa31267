"""What a reader found in an output, and the names of the rules that find nothing."""

from __future__ import annotations

from dataclasses import dataclass

TRUNCATED = "truncated"
EMPTY = "invalid_empty"
UNREADABLE = "invalid"
SEVERAL = "invalid_several"
CONTRADICTION = "invalid_contradiction"
OUTSIDE = "invalid_outside"
HEDGE = "invalid_hedge"
NEGATED = "invalid_negated"
MISMATCH = "invalid_letter_and_text"

LENGTH = "length"


@dataclass(frozen=True)
class Found:
    """An answer and how it was read.

    Attributes:
        answer: canonical within the reader (letters in order, 对, a number …); None when nothing could be read.
        rule: which rule read it, or why none did.
        final: the answer stands even if the output was cut off behind it.
    """

    answer: str | None
    rule: str
    final: bool = False

    def cut(self, finish_reason: str) -> Found:
        """The same for an output that ended for `finish_reason`: cut off before a final answer, it has none."""
        return self if self.final or finish_reason != LENGTH else Found(None, TRUNCATED)
