"""The structural model and the hidden state: ranges hold, effects are exactly what is planted, events come and go."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tianjing.simulation.conftest import Corpus
from tianjing import acts
from tianjing.simulation import agents, structural
from tianjing.simulation.customer import CustomerState, after_act, after_days, after_event, after_recovery, new_state
from tianjing.simulation.planted import BUCKETS, HARMFUL_ACTS, SITUATIONS
from tianjing.simulation.sites import SITES

states = st.integers(0, 10**9).map(lambda seed: new_state(random.Random(seed)))
situations = st.sampled_from(tuple(SITUATIONS))


def test_no_probability_is_ever_clipped() -> None:
    extremes = (-structural.AGENT_EFFECT, structural.AGENT_EFFECT)
    for situation, act, bucket, agent, month, resources in product(
        SITUATIONS, acts.ACTS, BUCKETS, extremes, (1, 6), (0.0, 1.0)
    ):
        p = structural.kept_probability(situation, act, bucket, agent, month, resources)
        assert 0.03 - 1e-9 <= p <= 0.97 + 1e-9


@given(situations, st.sampled_from(tuple(acts.ACTS)), st.sampled_from(BUCKETS), st.integers(1, 6), st.floats(0, 1))
def test_an_effect_is_the_risk_difference_against_an_act_that_does_nothing(
    situation: str, act: str, bucket: str, month: int, resources: float
) -> None:
    neutral = next(other for other in acts.ACTS if not structural.effect(situation, other))
    rest = (bucket, 0.01, month, resources)
    difference = structural.kept_probability(situation, act, *rest) - structural.kept_probability(
        situation, neutral, *rest
    )
    assert difference == pytest.approx(structural.effect(situation, act))


def test_one_act_helps_in_each_situation_and_some_harm() -> None:
    for name, situation in SITUATIONS.items():
        effects = {act: structural.effect(name, act) for act in acts.ACTS}
        assert [act for act, value in effects.items() if value > 0] == [situation.act]
        assert {act for act, value in effects.items() if value < 0} <= set(HARMFUL_ACTS)
        assert min(effects.values()) < 0


@given(states, situations, st.integers(0, 10**6))
def test_after_the_recovery_means_are_the_usual_ones(state: CustomerState, situation: str, seed: int) -> None:
    struck = after_event(state, situation, random.Random(seed))
    assert struck.situation == situation
    healed = after_recovery(struck)
    changed = ("willingness", "trust", "deadline_days")
    assert replace(healed, **{name: getattr(state, name) for name in changed}) == state


@given(states, situations, st.lists(st.sampled_from(("", *acts.ACTS)), max_size=8), st.booleans(), st.integers(0, 99))
def test_shares_stay_shares_whatever_is_done(
    state: CustomerState, situation: str, done: list[str], breach: bool, days: int
) -> None:
    rng = random.Random(1)
    state = after_event(state, situation, rng)
    for act in done:
        state = after_days(after_act(state, act, rng, breach), days)
        assert 0 <= state.trust <= 1 and 0 <= state.willingness <= 1 and state.deadline_days >= 0
        assert 0 <= state.resources(500.0) <= 1


@given(states, situations)
def test_the_working_act_builds_trust_and_a_harmful_one_or_a_breach_costs_it(
    state: CustomerState, situation: str
) -> None:
    state = replace(after_event(state, situation, random.Random(1)), trust=0.5)
    assert after_act(state, SITUATIONS[situation].act, random.Random(1)).trust > 0.5
    assert after_act(state, "transfer_specialist", random.Random(1)).trust == 0.5
    for act in HARMFUL_ACTS:
        assert after_act(state, act, random.Random(1)).trust < 0.5
    assert after_act(state, "", random.Random(1), breach=True).trust < 0.5


def test_agents_learn_and_depend_on_the_seed_alone() -> None:
    hired = agents.hire(SITES["east"].agents, 7)
    assert hired == agents.hire(SITES["east"].agents, 7) != agents.hire(SITES["east"].agents, 8)
    for agent in hired:
        assert agent.working_act_rate(6) > agent.working_act_rate(1)
        assert abs(agent.effect) <= structural.AGENT_EFFECT
    assert sum(agent.senior for agent in hired) == len(hired) / 2


def test_the_corpus_keeps_to_its_propensities_and_loses_more_broken_promises(corpus: Corpus) -> None:
    rows = corpus.decisive
    expected = sum(row["propensity"] for row in rows)
    spread = sum(row["propensity"] * (1 - row["propensity"]) for row in rows) ** 0.5
    assert abs(sum(row["kept"] for row in rows) - expected) < 3 * spread
    by_bucket = {bucket: [row["kept"] for row in rows if row["bucket"] == bucket] for bucket in BUCKETS}
    rates = [sum(kept) / len(kept) for kept in by_bucket.values()]
    assert rates[0] > rates[2] > rates[3]
    lost = [row for row in rows if row["missing"] == "at random"]
    assert 0.5 < len(lost) / (structural.MISSING_AT_RANDOM * len(rows)) < 2
    missing = [row for row in rows if row["missing"] == "unreachable"]
    assert 0 < len(missing) < 0.05 * len(rows)
    assert sum(not row["kept"] for row in missing) > len(missing) / 2


def test_hard_cases_go_to_seniors_who_pass_them_on(corpus: Corpus) -> None:
    senior = {name for name, agent in corpus.parameters["agents"].items() if agent["senior"]}
    agent_of = {dialogue.id: dialogue.agent for dialogue in corpus.dialogues}
    share = {
        bucket: [agent_of[row["dialogue"]] in senior for row in corpus.decisive if row["bucket"] == bucket]
        for bucket in BUCKETS
    }
    assert sum(share["M3"]) / len(share["M3"]) > 0.7 > 0.3 > sum(share["M0"]) / len(share["M0"])
    passed_on = [row for row in corpus.decisive if row["act"] == agents.PLACEBO]
    assert sum(agent_of[row["dialogue"]] in senior for row in passed_on) > 0.55 * len(passed_on)


def test_customers_come_back_over_months_with_another_life_event(corpus: Corpus) -> None:
    months = [dialogue.started_at.month for dialogue in corpus.dialogues]
    assert min(months) == 1 and max(months) == 6
    situations_of: dict[str, set[str]] = {}
    customer_of = {dialogue.id: dialogue.customer for dialogue in corpus.dialogues}
    for row in corpus.decisive:
        situations_of.setdefault(customer_of[row["dialogue"]], set()).add(row["situation"])
    assert sum(len(found) > 1 for found in situations_of.values()) >= 10
