"""The rulebook's verdict: an action that breaks rules is never taught, however well it worked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Turn = tuple[str, int]
# (dialogue id, turn) -> the rules that an agent's turn breaks. Cleaning checks every turn with the rulebook before
# anything is masked, and quarantine.jsonl holds what it found.
Breaches = Mapping[Turn, frozenset[str]]


@dataclass(frozen=True)
class Verdict:
    """`share` is that of evidence turns that break a rule; `rules` are those that forbid the action."""

    verdict: Literal["allowed", "vetoed"]
    rules: tuple[str, ...]
    share: float


def judge(evidence: Sequence[Turn], breaches: Breaches, vetoed: Sequence[str] | None, max_share: float) -> Verdict:
    """Verdict on an action by the turns it was heard in, all of them, whether it worked or not.

    Args:
        vetoed: rules by which the configuration forbids the action; None where it does not.
        max_share: a larger share of breaching turns vetoes it. A single slip of one agent does not.
    """
    rules: Counter[str] = Counter(rule for turn in evidence for rule in breaches.get(turn, ()))
    share = sum(turn in breaches for turn in evidence) / len(evidence) if evidence else 0.0
    broken = tuple(rule for rule, _ in sorted(rules.items(), key=lambda item: (-item[1], item[0])))
    if vetoed is not None:
        return Verdict(
            "vetoed", tuple(dict.fromkeys((*vetoed, *broken))) if share > max_share else tuple(vetoed), share
        )
    return Verdict("vetoed", broken, share) if share > max_share else Verdict("allowed", (), share)
