"""Earlier outcomes: does an action go to customers who did better, or worse, before it was taken?

It cannot have changed that, so a difference there is confounding: a trait of the customer that lasts, which no stratum
holds. An earlier outcome is a negative control (Lipsitch, Tchetgen Tchetgen and Cohen 2010, Epidemiology 21:383).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.clock import instant
from data_recipes.experience.practices.groups import Association
from data_recipes.experience.statistics import Floats, RiskDifference, mantel_haenszel, tabulate
from tianjing.records import EarlierOutcome

# Of sound practices with earlier outcomes one in two hundred is called confounded: half of the level, one side.
_ALPHA = 0.01
# What a trait may make of the effect before it counts: an earlier difference below this share of it is not seen.
_SHARE = 0.5


def earlier_outcomes(pairs: Sequence[Association], found: Sequence[Case]) -> list[EarlierOutcome]:
    """For each pair the difference that its action seems to make to the customer's outcome before.

    The Mantel-Haenszel risk difference of the *earlier* outcome between cases with the action and cases without, over
    the cells of the pair and whether the earlier case had the action, too: who is treated alike each time would
    otherwise bring the action's own earlier effect along. All situations in which the action is tested count
    together, each in its own cells, since whom an agent picks for an action is a matter of the customer and one
    situation alone has few customers who were called before.

    *Confounded*: p at most 0.01 and the sign of the effect. *Not seen*: the 95 % interval excludes a difference of half
    the effect. *Cannot tell*: neither. A trait of the moment leaves no trace in earlier outcomes.
    """
    earlier = earlier_cases(found)
    tables: dict[tuple[str, str], list[Floats]] = defaultdict(list)
    for pair in pairs:
        tables[_action(pair)].append(_table(pair, earlier))
    tested = {}
    for action, parts in tables.items():
        counts = np.concatenate(parts)
        tested[action] = (_compared(counts), mantel_haenszel(counts))
    return [_said(pair, *tested[_action(pair)]) for pair in pairs]


def earlier_cases(found: Sequence[Case]) -> dict[str, Case]:
    """By case id the same customer's last case before it, of those whose outcome was known when it began.

    An outcome that came later, or nobody knows when, may be the work of the case itself.
    """
    known: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        if case.kept is not None and case.known_at is not None and case.dialogue.customer:
            known[case.dialogue.customer].append(case)
    earlier = {}
    for case in found:
        began = instant(case.dialogue.started_at)
        before = [
            one
            for one in known.get(case.dialogue.customer, ())
            if one.known_at is not None and instant(one.known_at) <= began and instant(one.dialogue.started_at) < began
        ]
        if before:
            earlier[case.id] = max(before, key=lambda one: (instant(one.dialogue.started_at), one.id))
    return earlier


def _action(pair: Association) -> tuple[str, str]:
    return pair.group.kind, pair.group.actions[pair.action]


def _table(pair: Association, earlier: Mapping[str, Case]) -> Floats:
    """Counts (S, 4) of the earlier outcome by the action now."""
    group, (kind, action) = pair.group, _action(pair)
    cell, cells = group.cells(pair.given)
    use = np.flatnonzero([case.id in earlier for case in group.cases])
    before = [earlier[group.cases[index].id] for index in use]
    had = np.array([any((e.kind, e.action) == (kind, action) for e in one.exposures) for one in before], dtype=bool)
    kept = np.array([bool(one.kept) for one in before], dtype=bool)
    return tabulate(cell[use] * 2 + had, pair.treated[use], kept, cells * 2)


def _compared(counts: Floats) -> int:
    """Cases in cells that hold both treated and untreated ones."""
    both = (counts[:, :2].sum(1) > 0) & (counts[:, 2:].sum(1) > 0)
    return int(counts[both].sum())


def _said(pair: Association, cases: int, before: RiskDifference | None) -> EarlierOutcome:
    if before is None:
        return EarlierOutcome(says="cannot tell", cases=cases)
    effect = pair.effect.difference
    sign = 1 if effect >= 0 else -1
    most = before.ci_high if sign > 0 else -before.ci_low
    if before.p <= _ALPHA and before.difference * sign > 0:
        says = "confounded"
    else:
        says = "not seen" if most < _SHARE * abs(effect) else "cannot tell"
    return EarlierOutcome(
        says=says,
        cases=cases,
        effect=round(before.difference, 6),
        ci_low=round(before.ci_low, 6),
        ci_high=round(before.ci_high, 6),
        p=float(f"{before.p:.6g}"),
    )
