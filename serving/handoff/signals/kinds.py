"""The kinds of reason for which a person takes over, in order of urgency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal[
    "self_harm",
    "fraud",
    "third_party",
    "lawyer",
    "complaint",
    "dispute",
    "hardship",
    "human_wanted",
    "repeated_failure",
]
# Most urgent first: the order of `tianjing.tasks.handoff_triage.REASONS`, then what only a conversation shows.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# A reason that the guard gives is a rule's id: as urgent as a complaint.
_OTHER: Final = KINDS.index("complaint")
_RANK: Final[dict[str, int]] = {kind: rank for rank, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Signal:
    """Why a person must take over; `words` is what was said."""

    kind: Kind
    words: str


def urgency(reasons: Iterable[str]) -> int:
    """Rank of the most urgent reason, 0 for self-harm; a larger one may wait longer."""
    return min((_RANK.get(reason, _OTHER) for reason in reasons), default=_OTHER)
