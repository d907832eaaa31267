"""Associations: every (situation, action) pair with treated and untreated cases, tested among like cases.

Like cases share the configured strata, and whether they have the *other* actions that go with the outcome in that
situation. Agents who do one thing mostly do not do another, so without that an action that does nothing would look
harmful wherever its absence means that the action that works was taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.doubtful import doubting_situations
from data_recipes.experience.practices.groups import Association, Group, groups
from data_recipes.experience.statistics import (
    Floats,
    RiskDifference,
    benjamini_hochberg,
    mantel_haenszel,
    tabulate,
)

_ALPHA = 0.05
_MAX_GIVEN = 3


def associations(found: Sequence[Case], config: PracticesConfig) -> list[Association]:
    """All pairs with enough cases to be tested; `q` is Benjamini and Hochberg's over all of them."""
    tested: list[tuple[Group, int, tuple[int, ...], Floats, RiskDifference]] = []
    for group in groups(found, config):
        testable = [
            action for action in range(len(group.actions)) if _smaller_group(group, action) >= config.min_tested_cases
        ]
        helping = _associated(group, testable, config)
        for action in testable:
            given = _given(group, action, helping, config)
            counts, effect = _test(group, action, given)
            if effect is not None:
                tested.append((group, action, given, counts, effect))
    q_values = benjamini_hochberg([effect.p for *_, effect in tested])
    pairs = [
        Association(group, action, given, counts, effect, q, _exploratory(group, action, config))
        for (group, action, given, counts, effect), q in zip(tested, q_values, strict=True)
    ]
    if config.situation == "logged":
        return pairs
    return doubting_situations(pairs, config.max_situation_error)


def _associated(group: Group, testable: Sequence[int], config: PracticesConfig) -> list[int]:
    """Actions that go with the outcome, the surest first, each tested among cases alike in those before it.

    Forward selection at 5 % over all actions of the situation (Bonferroni), of those with enough cases.
    """
    chosen: list[int] = []
    candidates = [action for action in testable if not _exploratory(group, action, config)]
    while candidates and len(chosen) < _MAX_GIVEN:
        p_values = []
        for action in candidates:
            effect = _test(group, action, _given(group, action, chosen, config))[1]
            p_values.append(effect.p if effect is not None else 1.0)
        best = int(np.argmin(p_values))
        if p_values[best] > _ALPHA / len(testable):
            break
        chosen.append(candidates.pop(best))
    return chosen


def _given(group: Group, action: int, helping: Sequence[int], config: PracticesConfig) -> tuple[int, ...]:
    """The actions to hold alike, the surest first, as many as leave enough treated and untreated cases to compare."""
    given = [other for other in helping if other != action and not _follows(group, other, action)]
    while given:
        counts, _ = _test(group, action, given)
        treated, untreated = counts[:, :2].sum(1), counts[:, 2:].sum(1)
        both = (treated > 0) & (untreated > 0)
        if min(treated[both].sum(), untreated[both].sum()) >= config.min_tested_cases:
            break
        given.pop()
    return tuple(given)


def _follows(group: Group, other: int, action: int) -> bool:
    """Whether `other` mostly comes after `action` where a case has both: it may be how the action works."""
    both = (group.turns[:, other] >= 0) & (group.turns[:, action] >= 0)
    later = group.turns[both, other] > group.turns[both, action]
    return bool(len(later)) and float(later.mean()) > 0.5


def _test(group: Group, action: int, given: Sequence[int]) -> tuple[Floats, RiskDifference | None]:
    cell, cells = group.cells(given)
    counts = tabulate(cell, group.turns[:, action] >= 0, group.kept, cells)
    return counts, mantel_haenszel(counts)


def _smaller_group(group: Group, action: int) -> int:
    treated = int((group.turns[:, action] >= 0).sum())
    return min(treated, len(group.cases) - treated)


def _exploratory(group: Group, action: int, config: PracticesConfig) -> bool:
    """Too few cases on one side, or one agent: nothing that may be taught."""
    return _smaller_group(group, action) < config.min_group_cases or len({case.agent for case in group.cases}) < 2
