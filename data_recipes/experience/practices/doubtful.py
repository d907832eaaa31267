"""Where situations are inferred, some cases of one are mistaken for another: what they may have brought along.

An association that they alone would explain is exploratory; of every other one the interval holds what they may have
moved it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from data_recipes.experience.practices.exposure import ActionKind
from data_recipes.experience.practices.groups import Association, Group

_ALPHA = 0.05
# Cases of other situations are never taken for more than this share of those compared.
_MOST_MISTAKEN = 0.9


def doubting_situations(pairs: Sequence[Association], max_error: float) -> list[Association]:
    """The pairs, each with what mistaken cases may have done to it. Certain cases (`Case.probability` 1) do nothing."""
    by_situation = {(pair.group.kind, pair.group.situation): pair.group for pair in pairs}
    return [_wider(_borrowed(pair, pairs, max_error), by_situation) for pair in pairs]


def _borrowed(pair: Association, pairs: Sequence[Association], max_error: float) -> Association:
    """The pair, exploratory if cases of another situation, taken for this one, would be enough to explain it.

    Let the action go with the outcome by D in situation t, and by d here among n treated cases, of the same sign. If a
    share d/D of these were cases of t, the rest would show nothing. That is n·d/D cases of t, out of the treated ones
    that are known as t and these: the share of t that must have been mistaken. Up to `max_error` it may have been.
    """
    action, treated = pair.group.actions[pair.action], int(pair.treated.sum())
    for other in pairs:
        same = other.group.kind == pair.group.kind and other.group.actions[other.action] == action
        if not same or other.group is pair.group or other.q > _ALPHA:
            continue
        share = pair.effect.difference / other.effect.difference if other.effect.difference else 0.0
        strayed = treated * share
        if 0 < share < 1 and strayed / (int(other.treated.sum()) + strayed) <= max_error:
            return replace(pair, exploratory=True, borrowed_from=other.group.situation)
    return pair


def _wider(pair: Association, groups: Mapping[tuple[ActionKind, str], Group]) -> Association:
    """The pair with an interval that also holds the difference without the cases that are expected to be mistaken.

    A case whose situation has probability p counts 1 − p as one of the next probable situation, where the action is
    taken and goes well as often as in that situation's own cases (the matrix method for misclassification: Barron 1977,
    Biometrics 33:414). Taking these cases off moves the difference, which the interval must hold before and after, and
    leaves fewer: it grows by as much.
    """
    strayed: dict[str, float] = defaultdict(float)
    for case in pair.group.cases:
        strayed[case.otherwise] += 1 - case.probability
    others = [
        (groups[pair.group.kind, name], cases) for name, cases in strayed.items() if (pair.group.kind, name) in groups
    ]
    if not others:
        return pair
    with_it, without = _rates(pair, others, True), _rates(pair, others, False)
    moved = (with_it.corrected - without.corrected) - (with_it.found - without.found)
    growth = 1 / min(with_it.left, without.left)
    effect = pair.effect
    low = effect.difference - (effect.difference - effect.ci_low) * growth + min(0.0, moved)
    high = effect.difference + (effect.ci_high - effect.difference) * growth + max(0.0, moved)
    return replace(pair, effect=replace(effect, ci_low=max(-1.0, low), ci_high=min(1.0, high)))


class _Rates(NamedTuple):
    """How many cases of one side went well, before and after the mistaken ones are taken off, and the share left."""

    found: float
    corrected: float
    left: float


def _rates(pair: Association, others: Sequence[tuple[Group, float]], taken: bool) -> _Rates:
    """Of the cases with the action (`taken`), or without. `others` are the situations that cases may belong to."""
    action = pair.group.actions[pair.action]
    here = pair.treated == taken
    count, kept = float(here.sum()), float(pair.group.kept[here].sum())
    gone = gone_kept = 0.0
    for group, cases in others:
        there = np.full(len(group.cases), not taken)
        if action in group.actions:
            there = (group.turns[:, group.actions.index(action)] >= 0) == taken
        gone += cases * float(there.mean())
        gone_kept += cases * float((there & group.kept).mean())
    least = min(1.0, _MOST_MISTAKEN * count / gone) if gone else 1.0
    corrected = (kept - gone_kept * least) / (count - gone * least)
    return _Rates(kept / count, min(1.0, max(0.0, corrected)), 1 - gone * least / count)
