"""What is compared: the cases of one situation as arrays, and an association found among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.exposure import ActionKind
from data_recipes.experience.statistics import Floats, RiskDifference


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
