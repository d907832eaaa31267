"""Practices: in which situation which action of the agent goes with a better or worse outcome.

Agents do not choose actions at random (seniors get the harder cases), so treated and untreated cases are compared among
like ones, and every tested pair counts in the correction for multiple testing. The result is an association, not a
cause: each carries how it stands without any one agent, in the last month, by another method, how strong a
confounder that nobody measured would have to be, and whether the customers differed before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices.associations import Association, associations
from data_recipes.experience.practices.cases import Case
from data_recipes.experience.practices.doubly_robust import FOLDS, doubly_robust
from data_recipes.experience.practices.earlier import earlier_outcomes
from data_recipes.experience.practices.robustness import agent_stability, e_values, last_month
from data_recipes.experience.practices.verdicts import Breaches, judge
from data_recipes.experience.statistics import Floats, RiskDifference, mantel_haenszel
from tianjing.records import Doubt, EarlierOutcome, Estimate, HoldoutMonth, Practice, Support


def mine(found: Sequence[Case], config: PracticesConfig, breaches: Breaches | None = None) -> list[Practice]:
    """Every tested (situation, action) pair, strongest effect first within a situation.

    `breaches` says which agents' turns break which rules: an action whose turns break them is vetoed.
    """
    pairs = associations(found, config)
    earlier = earlier_outcomes(pairs, found)
    practices = [_practice(pair, one, config, breaches or {}) for pair, one in zip(pairs, earlier, strict=True)]
    return sorted(practices, key=lambda practice: (practice.situation, -practice.effect, practice.action))


def best_practices(practices: Iterable[Practice], max_q: float) -> dict[str, Practice]:
    """Per situation the act that may be taught: positive, sure enough, supported and not vetoed.

    Of several, the one with the fewest doubts, then with the strongest effect. Activities of the log are not taught:
    what is learned is what to say.
    """
    best: dict[str, Practice] = {}
    for practice in practices:
        good = practice.effect > 0 and practice.ci_low > 0 and practice.q < max_q and practice.kind == "act"
        if good and not practice.exploratory and practice.verdict == "allowed":
            known = best.get(practice.situation)
            if known is None or _rank(practice) < _rank(known):
                best[practice.situation] = practice
    return best


def _rank(practice: Practice) -> tuple[int, float]:
    return len(practice.doubts), -practice.effect


def _practice(pair: Association, earlier: EarlierOutcome, config: PracticesConfig, breaches: Breaches) -> Practice:
    group, effect, treated = pair.group, pair.effect, pair.treated
    action = group.actions[pair.action]
    cell, cells = group.cells(pair.given)
    agent = _numbers([case.agent for case in group.cases])
    months = [case.month for case in group.cases]
    stability = agent_stability(cell, treated, group.kept, agent, cells)
    month = last_month(cell, treated, group.kept, months, cells)
    sensitivity = e_values(pair.counts)
    crude = mantel_haenszel(pair.counts.sum(0)[None])
    checked = None if pair.exploratory else _doubly_robust(pair, config)
    turn_of = group.turns[:, pair.action]
    acted = [(case, int(turn)) for case, turn in zip(group.cases, turn_of, strict=True) if turn >= 0]
    verdict = judge(
        [(case.id, turn) for case, turn in acted], breaches, config.veto.get(action), config.max_breach_share
    )
    told = sorted(
        (case.id, turn)
        for case, turn in acted
        if bool(case.kept) == (effect.difference >= 0) and (case.id, turn) not in breaches
    )[: config.max_exemplars]
    modest = _modest(pair, crude, sensitivity.limit if sensitivity else 1.0, config)
    fragile = modest or earlier.says == "confounded"
    return Practice(
        id=f"{group.situation}/{action}",
        situation=group.situation,
        action=action,
        kind=group.kind,
        outcome=config.outcome,
        support=Support(cases=len(group.cases), treated=len(acted), agents=len({case.agent for case, _ in acted})),
        rate_treated=round(float(group.kept[treated].mean()), 6),
        rate_control=round(float(group.kept[~treated].mean()), 6),
        effect=round(effect.difference, 6),
        ci_low=round(effect.ci_low, 6),
        ci_high=round(effect.ci_high, 6),
        p=_significant(effect.p),
        q=_significant(pair.q),
        strata=config.strata,
        given=tuple(group.actions[other] for other in pair.given),
        exploratory=pair.exploratory,
        borrowed_from=pair.borrowed_from,
        crude=round(crude.difference, 6) if crude else None,
        doubly_robust=_estimate(checked),
        agent_stability=None if stability is None else round(stability, 6),
        holdout=HoldoutMonth(month=month.month, effect=round(month.effect, 6), replicated=month.replicated)
        if month
        else None,
        e_value=round(sensitivity.estimate, 6) if sensitivity else None,
        e_value_limit=round(sensitivity.limit, 6) if sensitivity else None,
        earlier_outcome=earlier,
        fragile=fragile,
        doubts=tuple(_doubts(pair, fragile, stability, month.replicated if month else None, checked, config)),
        exemplars=tuple(case for case, _ in told),
        evidence=tuple(f"{case}#{turn}" for case, turn in told),
        agents=tuple(sorted({case.agent for case, _ in acted})),
        verdict=verdict.verdict,
        rules=verdict.rules,
        breach_share=round(verdict.share, 6),
    )


def _modest(pair: Association, crude: RiskDifference | None, e_limit: float, config: PracticesConfig) -> bool:
    """Whether a confounder of modest strength that nobody measured could explain the association.

    It could where the E-value of the confidence limit is below `min_e_value`, or where one that moves the estimate as
    far as all measured ones together do would take the limit across zero.
    """
    effect = pair.effect
    limit = effect.ci_low if effect.difference >= 0 else -effect.ci_high
    moved = abs(crude.difference - effect.difference) if crude else 0.0
    return e_limit < config.min_e_value or limit < moved


def _doubts(
    pair: Association,
    fragile: bool,
    stability: float | None,
    replicated: bool | None,
    checked: RiskDifference | None,
    config: PracticesConfig,
) -> list[Doubt]:
    found: list[Doubt] = ["situation"] if pair.borrowed_from else []
    if fragile:
        found.append("unmeasured confounder")
    if stability is None or stability < config.min_agent_stability:
        found.append("agents")
    if replicated is not True:
        found.append("last month")
    if checked is None or max(checked.ci_low * pair.effect.difference, checked.ci_high * pair.effect.difference) <= 0:
        found.append("doubly robust")
    return found


def _doubly_robust(pair: Association, config: PracticesConfig) -> RiskDifference | None:
    """The second estimate, over the cases of cells that hold both treated and untreated ones, as in the first.

    Covariates: cell (strata and other actions), agent, month. Folds go by customer, so that nobody is learned from who
    is then predicted.
    """
    group = pair.group
    cell, _ = group.cells(pair.given)
    compared = (pair.counts[:, :2].sum(1) > 0) & (pair.counts[:, 2:].sum(1) > 0)
    use = np.flatnonzero(compared[cell])
    cases = [group.cases[index] for index in use]
    handled = Counter(case.agent for case in cases)
    agents = [case.agent if handled[case.agent] >= config.min_agent_cases else "" for case in cases]
    covariates = np.hstack([_indicators(cell[use]), _indicators(agents), _indicators([case.month for case in cases])])
    fold = _numbers([case.dialogue.customer for case in cases]) % FOLDS
    return doubly_robust(pair.treated[use], group.kept[use], covariates, fold)


def _indicators(values: Sequence[object] | NDArray[np.int64]) -> Floats:
    """One column for each value but the most frequent one."""
    _, number, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    columns = np.eye(len(count))[number.reshape(-1)]
    return np.delete(columns, int(count.argmax()), axis=1)


def _numbers(values: Sequence[str]) -> NDArray[np.int64]:
    known: Mapping[str, int] = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([known[value] for value in values], dtype=np.int64)


def _estimate(effect: RiskDifference | None) -> Estimate | None:
    if effect is None:
        return None
    return Estimate(
        effect=round(effect.difference, 6),
        ci_low=round(effect.ci_low, 6),
        ci_high=round(effect.ci_high, 6),
        p=_significant(effect.p),
    )


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
