"""Practices: in which situation which act of the agent goes with a better or worse outcome.

Agents do not choose acts at random (seniors get the harder cases), so treated and untreated cases are compared within
strata, and every tested pair counts in the correction for multiple testing. The result is an association, not a cause.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_recipes.config import PracticesConfig
from data_recipes.experience.statistics import StratifiedEffect, Table, benjamini_hochberg, mantel_haenszel
from tianjing.acts import ACTS, tag
from tianjing.records import Customer, Dialogue, Event, Outcome, Practice, Support

# The customer's turn that settles the matter: a promise or a refusal.
_DECIDING = re.compile(
    r"(?:行|好|可以|没问题|成|中)(?:吧|的|啊|嘞|，|。|,|$)|就这么|答应|保证|我(?:一定|会|马上|尽量|来)|同意|还不了|还不上|不还|没办法|"
    r"不行|不同意|做不到|没法|不接受|算了|再说吧|不用了|拒绝"
)


@dataclass(frozen=True)
class Case:
    """One post-loan dialogue with its situation, the turns that matter, and what became of it.

    `reason_turn` is the index of the customer turn that tells the reason; `acts` are those of the agent's turns
    after it and before the customer's deciding turn.
    """

    dialogue: Dialogue
    situation: str
    reason_turn: int
    acts: frozenset[str]
    kept: bool | None
    stratum: tuple[str, ...]


def cases(
    dialogues: Iterable[Dialogue],
    events: Iterable[Event],
    outcomes: Iterable[Outcome],
    customers: Mapping[str, Customer],
    config: PracticesConfig,
) -> tuple[list[Case], dict[str, int]]:
    """Cases with a logged situation, and how many dialogues fell out by reason."""
    logged: dict[str, Event] = {}
    for event in events:
        if event.activity == config.reason_activity and config.reason_attribute in event.attributes:
            logged.setdefault(event.case, event)
    results = {outcome.case: outcome.value > 0 for outcome in outcomes if outcome.name == config.outcome}
    found: list[Case] = []
    dropped: dict[str, int] = defaultdict(int)
    for dialogue in dialogues:
        reason = logged.get(dialogue.id)
        if reason is None:
            continue
        turn = customer_turn_at(dialogue, reason.at)
        if turn is None:
            dropped["practices: no customer turn at the time of the logged reason"] += 1
            continue
        customer = customers.get(dialogue.customer)
        stratum = tuple(str(customer.field(name)) if customer else "" for name in config.strata)
        situation = str(reason.attributes[config.reason_attribute])
        found.append(Case(dialogue, situation, turn, _acts(dialogue, turn), results.get(dialogue.id), stratum))
    return found, dict(dropped)


def mine(found: Sequence[Case], config: PracticesConfig) -> list[Practice]:
    """Every (situation, act) pair with treated and untreated cases, strongest effect first within a situation.

    Pairs with enough cases are corrected among themselves: support does not depend on the outcome, so this filter
    keeps the false discovery rate (Bourgon, Gentleman and Huber 2010, PNAS 107:9546). Exploratory pairs are corrected
    among all.
    """
    by_situation: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        if case.kept is not None:
            by_situation[case.situation].append(case)
    tested: list[tuple[str, str, list[Case], list[Case], StratifiedEffect]] = []
    for situation in sorted(by_situation):
        for act in ACTS:
            treated = [case for case in by_situation[situation] if act in case.acts]
            control = [case for case in by_situation[situation] if act not in case.acts]
            effect = mantel_haenszel(_tables(treated, control))
            if effect is not None:
                tested.append((situation, act, treated, control, effect))
    supported = [min(len(treated), len(control)) >= config.min_group_cases for _, _, treated, control, _ in tested]
    every = benjamini_hochberg([effect.p for *_, effect in tested])
    p_supported = [pair[-1].p for pair, enough in zip(tested, supported, strict=True) if enough]
    confirmatory = iter(benjamini_hochberg(p_supported))
    practices = [
        _practice(*pair, next(confirmatory) if enough else q, not enough, config)
        for pair, enough, q in zip(tested, supported, every, strict=True)
    ]
    return sorted(practices, key=lambda practice: (practice.situation, -practice.effect, practice.action))


def best_practices(practices: Iterable[Practice], max_q: float) -> dict[str, Practice]:
    """Per situation the strongest practice that may be taught: positive, sure enough, supported and not vetoed."""
    best: dict[str, Practice] = {}
    for practice in practices:
        good = practice.effect > 0 and practice.ci_low > 0 and practice.q < max_q
        if good and not practice.exploratory and practice.verdict == "allowed":
            known = best.get(practice.situation)
            if known is None or practice.effect > known.effect:
                best[practice.situation] = practice
    return best


def customer_turn_at(dialogue: Dialogue, at: datetime) -> int | None:
    """The last customer turn up to a moment of the operation log."""
    turns = [
        index
        for index, turn in enumerate(dialogue.turns)
        if turn.speaker == "customer" and turn.at is not None and turn.at <= at
    ]
    return turns[-1] if turns else None


def _acts(dialogue: Dialogue, reason_turn: int) -> frozenset[str]:
    customer_turns = [i for i, turn in enumerate(dialogue.turns) if turn.speaker == "customer" and i > reason_turn]
    deciding = next((i for i in customer_turns if _DECIDING.search(dialogue.turns[i].text)), None)
    if deciding is None:
        deciding = customer_turns[-1] if customer_turns else len(dialogue.turns)
    agent_turns = [turn for turn in dialogue.turns[reason_turn + 1 : deciding] if turn.speaker == "agent"]
    return frozenset(act for turn in agent_turns for act in tag(turn.text))


def _tables(treated: Sequence[Case], control: Sequence[Case]) -> list[Table]:
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for offset, group in ((0, treated), (2, control)):
        for case in group:
            counts[case.stratum][offset + (0 if case.kept else 1)] += 1
    return [Table(*counts[stratum]) for stratum in sorted(counts)]


def _practice(
    situation: str,
    act: str,
    treated: Sequence[Case],
    control: Sequence[Case],
    effect: StratifiedEffect,
    q: float,
    exploratory: bool,
    config: PracticesConfig,
) -> Practice:
    kept = sorted(case.dialogue.id for case in treated if case.kept)
    veto = config.veto.get(act, ())
    return Practice(
        id=f"{situation}/{act}",
        situation=situation,
        action=act,
        outcome=config.outcome,
        support=Support(
            cases=len(treated) + len(control),
            treated=len(treated),
            agents=len({case.dialogue.agent for case in treated}),
        ),
        rate_treated=_rate(treated),
        rate_control=_rate(control),
        effect=round(effect.difference, 6),
        ci_low=round(effect.ci_low, 6),
        ci_high=round(effect.ci_high, 6),
        p=_significant(effect.p),
        q=_significant(q),
        strata=config.strata,
        exploratory=exploratory,
        exemplars=tuple(kept[: config.max_exemplars]),
        verdict="vetoed" if act in config.veto else "allowed",
        rules=tuple(veto),
    )


def _rate(group: Sequence[Case]) -> float:
    return round(sum(bool(case.kept) for case in group) / len(group), 6)


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
