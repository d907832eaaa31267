"""What detectors report (`Span`), what was done about it (`Verdict`), and what may be sent (`Released`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Action = Literal["allow", "mask", "rewrite", "block", "handoff"]

# allow < mask < rewrite < block, handoff: the last two end the stream alike.
RANK: Final[dict[Action, int]] = {"allow": 0, "mask": 1, "rewrite": 2, "block": 3, "handoff": 3}
ENDING: Final[frozenset[Action]] = frozenset(("block", "handoff"))

# Stands for text whose detector names no placeholder of its own, and for text withheld at a cap.
WITHHELD: Final = "〔略〕"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of the raw text, and what is to be done about them.

    `allow` reports without touching the text; `mask` and `rewrite` put `replacement` in its place; `block` and
    `handoff` end the stream in front of it.
    """

    start: int
    end: int
    kind: str
    action: Action = "mask"
    replacement: str = WITHHELD


class Verdict(NamedTuple):
    """One decision; holds positions and names, never the text itself, so that it can go into an audit log."""

    action: Action
    detector: str
    kind: str
    start: int
    end: int


class Released(NamedTuple):
    """Text that may be sent now, and the decisions taken since the last call."""

    text: str
    verdicts: tuple[Verdict, ...] = ()

    @property
    def action(self) -> Action:
        """The strongest of `verdicts`."""
        return strongest(verdict.action for verdict in self.verdicts)


def strongest(actions: Iterable[Action]) -> Action:
    """The strongest action, of equals the first; allow where there is none."""
    return max(actions, key=RANK.__getitem__, default="allow")


def leading(spans: Sequence[Span]) -> Span:
    """Of overlapping spans the one that decides: the strongest, then the first, then the longest."""
    return max(spans, key=lambda span: (RANK[span.action], -span.start, span.end))
