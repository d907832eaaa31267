"""Associations: every (situation, action) pair with treated and untreated cases, tested among like cases.

Like cases share the configured strata, and whether they have the *other* actions that go with the outcome in that
situation. Agents who do one thing mostly do not do another, so without that an action that does nothing would look
harmful wherever its absence means that the action that works was taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.exposure import ActionKind
from data_recipes.experience.statistics import (
    Floats,
    RiskDifference,
    benjamini_hochberg,
    mantel_haenszel,
    tabulate,
)

_ALPHA = 0.05
_MAX_GIVEN = 3


@dataclass(frozen=True)
class Group:
    """The cases of one situation whose outcome is known, as arrays of N cases by K actions of one kind.

    `turns` (N, K) holds the turn of each exposure, −1 where there is none.
    """

    situation: str
    kind: ActionKind
    actions: tuple[str, ...]
    cases: tuple[Case, ...]
    turns: NDArray[np.int64]
    kept: NDArray[np.bool_]
    stratum: NDArray[np.int64]

    def cells(self, given: Sequence[int]) -> tuple[NDArray[np.int64], int]:
        """Cell of each case by stratum and presence of the `given` actions, and how many cells there are."""
        cell = self.stratum
        for action in given:
            cell = cell * 2 + (self.turns[:, action] >= 0)
        return cell, (int(self.stratum.max()) + 1) * 2 ** len(given)


@dataclass(frozen=True)
class Association:
    """One tested pair. `given` are indices of the actions that like cases share, `counts` (S, 4) the cells compared.

    `borrowed_from` is the situation whose cases, taken for this one, may have brought the association with them.
    """

    group: Group
    action: int
    given: tuple[int, ...]
    counts: Floats
    effect: RiskDifference
    q: float
    exploratory: bool
    borrowed_from: str = ""

    @property
    def treated(self) -> NDArray[np.bool_]:
        """Which of the group's cases have the action."""
        return self.group.turns[:, self.action] >= 0


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
    return [_doubting_situation(pair, pairs, config.max_situation_error) for pair in pairs]


def _doubting_situation(pair: Association, pairs: Sequence[Association], max_error: float) -> Association:
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


def groups(found: Sequence[Case], config: PracticesConfig) -> Iterator[Group]:
    """Cases with a known outcome by situation, once for each kind of action."""
    by_situation: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        if case.kept is not None:
            by_situation[case.situation].append(case)
    for situation in sorted(by_situation):
        cases = tuple(by_situation[situation])
        strata = {value: number for number, value in enumerate(sorted({case.stratum for case in cases}))}
        for kind in config.actions:
            done = [{e.action: e.turn for e in case.exposures if e.kind == kind} for case in cases]
            actions = tuple(sorted({action for row in done for action in row}))
            yield Group(
                situation=situation,
                kind=kind,
                actions=actions,
                cases=cases,
                turns=np.array([[row.get(action, -1) for action in actions] for row in done], dtype=np.int64).reshape(
                    len(cases), len(actions)
                ),
                kept=np.array([bool(case.kept) for case in cases]),
                stratum=np.array([strata[case.stratum] for case in cases], dtype=np.int64),
            )


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
