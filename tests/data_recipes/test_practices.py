"""Practices: planted truth is recovered, confounding is not mistaken for it, and what is doubtful is said to be."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices import Case, Exposure, best_practices, mine
from data_recipes.experience.practices.doubly_robust import FOLDS, doubly_robust, fit_logistic, predict
from data_recipes.experience.practices.robustness import e_values
from data_recipes.experience.statistics import (
    Floats,
    RiskDifference,
    benjamini_hochberg,
    differences,
    mantel_haenszel,
    risk_ratio,
)
from tianjing.records import Dialogue, Practice, Turn

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = st.integers(0, 40)
TABLES = st.lists(st.tuples(COUNT, COUNT, COUNT, COUNT), min_size=1, max_size=5)


def _effect(*tables: Iterable[int]) -> RiskDifference:
    effect = mantel_haenszel(np.array(tables, dtype=float))
    assert effect is not None
    return effect


def _simulate(rng: np.random.Generator, effect: float, cases_per_stratum: int = 150) -> Floats:
    """Two strata with different baselines and different shares of treated cases: a confounder."""
    tables = []
    for baseline, treated_share in ((0.6, 0.2), (0.25, 0.7)):
        treated = rng.random(cases_per_stratum) < treated_share
        good = rng.random(cases_per_stratum) < baseline + effect * treated
        tables.append(
            [(treated & good).sum(), (treated & ~good).sum(), (~treated & good).sum(), (~treated & ~good).sum()]
        )
    return np.array(tables, dtype=float)


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_the_interval_covers_the_true_difference_despite_confounding(effect: float) -> None:
    rng = np.random.default_rng(5)
    results = [_effect(*_simulate(rng, effect)) for _ in range(400)]
    covered = [r for r in results if r.ci_low <= effect <= r.ci_high]
    assert 0.92 <= len(covered) / len(results) <= 0.98
    assert sum(r.difference for r in results) / len(results) == pytest.approx(effect, abs=0.01)
    crude = _effect(_simulate(rng, 0.0, 20_000).sum(0))
    assert crude.difference < -0.1  # what no stratification would report


def test_the_interval_covers_in_small_groups() -> None:
    """Six treated cases in four strata, as of a rare action."""
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(1500):
        tables = []
        for baseline in (0.4, 0.35, 0.3, 0.2):
            a, c = rng.binomial(2, baseline + 0.1), rng.binomial(20, baseline)
            tables.append([a, 2 - a, c, 20 - c])
        result = _effect(*tables)
        covered.append(result.ci_low <= 0.1 <= result.ci_high)
    assert np.mean(covered) > 0.94


def test_one_stratum_is_the_plain_difference_of_two_proportions() -> None:
    result = _effect([40, 10, 25, 25])
    assert result.difference == pytest.approx(0.3)
    wald = 1.96 * math.sqrt(0.8 * 0.2 / 50 + 0.25 / 50)
    assert result.ci_high - result.ci_low == pytest.approx(2 * wald, rel=0.05)
    assert result.p == pytest.approx(0.00175, rel=0.01)  # chi-squared 9.89 · 99/100, one degree of freedom


def test_the_variance_agrees_with_greenland_and_robins_in_large_unbalanced_strata() -> None:
    tables = [(300, 100, 700, 900), (120, 180, 131, 1369)]  # one difference, 0.31
    result = _effect(*tables)
    weight = variance = 0.0
    for a, b, c, d in tables:
        n1, n0 = a + b, c + d
        n = n1 + n0
        weight += n1 * n0 / n
        variance += (n1 * n0 / n) ** 2 * (a * b / n1**3 + c * d / n0**3)
    expected = 2 * 1.96 * math.sqrt(variance) / weight
    assert result.ci_high - result.ci_low == pytest.approx(expected, rel=0.02)


def test_strata_without_a_comparison_say_nothing() -> None:
    assert mantel_haenszel(np.array([[5, 5, 0, 0], [0, 0, 3, 1.0]])) is None


@given(TABLES)
def test_swapping_the_groups_turns_the_sign_and_keeps_the_test(tables: list[tuple[int, int, int, int]]) -> None:
    counts = np.array(tables, dtype=float)
    one, other = mantel_haenszel(counts), mantel_haenszel(counts[:, [2, 3, 0, 1]])
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.difference == pytest.approx(-other.difference, abs=1e-9)
        assert one.p == pytest.approx(other.p, abs=1e-9)
        assert (one.ci_low, one.ci_high) == pytest.approx((-other.ci_high, -other.ci_low), abs=1e-9)
        assert -1 <= one.ci_low <= one.difference + 1e-9 and one.difference - 1e-9 <= one.ci_high <= 1
        assert one.difference == pytest.approx(float(differences(counts[None])[0]))


def test_adjusted_p_values() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.0533333, 0.0533333, 0.5])


def test_the_e_value_is_the_published_one() -> None:
    """VanderWeele and Ding 2017: a risk ratio of 3.9 with the limit 1.8 has E-values 7.26 and 3.0."""
    ratio = risk_ratio(np.array([[390, 610, 100, 900.0]]))
    assert ratio is not None and ratio.ratio == pytest.approx(3.9)
    sensitivity = e_values(np.array([[390, 610, 100, 900.0]]))
    assert sensitivity is not None
    assert sensitivity.estimate == pytest.approx(7.26, abs=0.01)
    assert sensitivity.limit == pytest.approx(ratio.ci_low + math.sqrt(ratio.ci_low * (ratio.ci_low - 1)))
    harmful = e_values(np.array([[100, 900, 390, 610.0]]))
    assert harmful is not None and harmful.estimate == pytest.approx(7.26, abs=0.01)
    nothing = e_values(np.array([[50, 50, 48, 52.0]]))
    assert nothing is not None and nothing.limit == 1


def test_logistic_regression_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    covariates = rng.random((300, 4))
    outcome = rng.random(300) < 0.3 + 0.4 * covariates[:, 0]
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(covariates, outcome)
    ours = fit_logistic(covariates, outcome)
    assert predict(ours, covariates) == pytest.approx(theirs.predict_proba(covariates)[:, 1], abs=1e-5)


@pytest.mark.parametrize("hidden_from", ["propensity", "outcome"])
def test_one_right_model_of_two_is_enough(hidden_from: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strong confounder that one of the two models may not use: the estimate stays right, the crude one does not."""
    from data_recipes.experience.practices import doubly_robust as module

    def blind(covariates: Floats, outcome: np.ndarray, free: int = 0) -> Floats:
        hide = (free == 1) == (hidden_from == "outcome")
        shown = covariates.copy()
        shown[:, -1] *= not hide
        return fit_logistic(shown, outcome, free)

    monkeypatch.setattr(module, "fit_logistic", blind)
    rng = np.random.default_rng(4)
    n = 40_000
    hard = rng.random(n) < 0.5
    treated = rng.random(n) < np.where(hard, 0.7, 0.3)
    kept = rng.random(n) < np.where(hard, 0.2, 0.6) + 0.15 * treated
    effect = doubly_robust(treated, kept, hard[:, None].astype(float), np.arange(n) % FOLDS)
    assert effect is not None and effect.ci_low <= 0.15 <= effect.ci_high
    assert kept[treated].mean() - kept[~treated].mean() < 0.05


def _case(number: int, bucket: str, act: str, kept: bool | None, agent: str = "", month: int = 0) -> Case:
    dialogue = Dialogue(
        id=f"D{number:05d}",
        customer=f"C{number}",
        agent=agent or f"A{number % 9}",
        channel="phone",
        started_at=NOW.replace(month=month or 1 + number % 4),
        turns=(Turn(speaker="customer", text="没收入了"),),
    )
    return Case(dialogue, "失业", 0, (Exposure("act", act, 1),), kept, (bucket,))


def _confounded(seed: int = 1, number: int = 900) -> list[Case]:
    """offer_autopay never works but is used in easy cases; offer_deferral works everywhere."""
    rng = random.Random(seed)
    found = []
    for index in range(number):
        easy = rng.random() < 0.5
        weights = [0.4, 0.5, 0.1] if easy else [0.4, 0.1, 0.5]
        act = rng.choices(["offer_deferral", "offer_autopay", "empathise"], weights)[0]
        kept = rng.random() < (0.6 if easy else 0.2) + (0.25 if act == "offer_deferral" else 0)
        found.append(_case(index, "M1" if easy else "M3", act, kept))
    return found


def test_the_planted_act_is_found_and_the_confounded_one_is_not() -> None:
    found = _confounded()
    practices = {practice.action: practice for practice in mine(found, PracticesConfig())}
    good = practices["offer_deferral"]
    assert good.ci_low <= 0.25 <= good.ci_high and good.q < 0.001 and not good.exploratory
    assert good.support.agents == 9 and good.support.cases == 900 and len(good.agents) == 9
    assert good.agent_stability == 1 and good.holdout is not None and good.holdout.replicated
    assert good.doubly_robust is not None and good.doubly_robust.effect == pytest.approx(good.effect, abs=0.03)
    assert best_practices(practices.values(), 0.05)["失业"].action == "offer_deferral"
    unstratified = {p.action: p for p in mine([replace(case, stratum=()) for case in found], PracticesConfig())}
    assert practices["empathise"].q > 0.05 > unstratified["empathise"].q and unstratified["empathise"].effect < -0.1


def test_an_act_that_does_nothing_is_not_harmful_because_another_works() -> None:
    """Where agents do one thing or the other, its absence often means that the working act was taken."""
    practices = {practice.action: practice for practice in mine(_confounded(2, 3000), PracticesConfig())}
    for nothing in ("offer_autopay", "empathise"):
        practice = practices[nothing]
        assert practice.given == ("offer_deferral",)
        assert practice.q > 0.05 and practice.ci_low <= 0 <= practice.ci_high
    assert practices["offer_deferral"].given == ()


def test_a_consequence_of_the_act_is_not_held_alike() -> None:
    """confirm_date follows offer_deferral, which works through it: adjusting for it would hide that."""
    rng = random.Random(3)
    found = []
    for number in range(1200):
        offered = rng.random() < 0.5
        agreed = rng.random() < (0.8 if offered else 0.1)
        kept = rng.random() < (0.7 if agreed else 0.3)
        done = [("offer_deferral", 2)] * offered + [("confirm_date", 4)] * agreed
        exposures = tuple(Exposure("act", act, turn) for act, turn in done)
        found.append(replace(_case(number, "M1", "", kept), exposures=exposures))
    practices = {practice.action: practice for practice in mine(found, PracticesConfig())}
    assert practices["offer_deferral"].given == ()
    assert practices["offer_deferral"].effect == pytest.approx(0.7 * 0.4, abs=0.07)


def test_activities_of_the_log_are_actions_by_their_own_name() -> None:
    found = [
        replace(case, exposures=(*case.exposures, Exposure("activity", "发起延期申请", 2)))
        if case.exposures[0].action == "offer_deferral"
        else case
        for case in _confounded()
    ]
    practices = {practice.action: practice for practice in mine(found, PracticesConfig())}
    assert practices["发起延期申请"].kind == "activity"
    assert practices["发起延期申请"].effect == practices["offer_deferral"].effect
    assert best_practices(practices.values(), 0.05)["失业"].kind == "act"  # only what can be said is taught
    only_acts = mine(found, PracticesConfig(actions=("act",)))
    assert {practice.kind for practice in only_acts} == {"act"}


@pytest.mark.parametrize(
    ("easy_taken", "hard_taken", "easy_kept"), [(0.5, 0.25, 0.5), (0.8, 0.2, 0.7)], ids=["modest", "strong"]
)
def test_a_practice_that_a_hidden_confounder_makes_is_fragile(
    easy_taken: float, hard_taken: float, easy_kept: float
) -> None:
    """Half of the customers are easy, nobody knows which, and empathy goes to them: it does nothing itself."""
    rng = random.Random(6)
    found = []
    for number in range(3000):
        easy = rng.random() < 0.5
        act = "empathise" if rng.random() < (easy_taken if easy else hard_taken) else "explain_fees"
        found.append(_case(number, "M1", act, rng.random() < (easy_kept if easy else 0.3)))
    practice = next(p for p in mine(found, PracticesConfig()) if p.action == "empathise")
    assert practice.q < 0.05 and practice.effect > 0 and not practice.exploratory
    assert practice.fragile and "unmeasured confounder" in practice.doubts
    true = next(p for p in mine(_confounded(), PracticesConfig()) if p.action == "offer_deferral")
    assert true.e_value is not None and practice.e_value is not None and true.e_value > practice.e_value


def test_what_one_star_does_is_doubted() -> None:
    rng = random.Random(7)
    found = []
    for number in range(1200):
        star = number % 4 == 0
        act = "empathise" if rng.random() < (0.9 if star else 0.2) else "explain_fees"
        works = star and act == "empathise"
        kept = rng.random() < (0.9 if works else 0.3 if act == "explain_fees" else 0.22)
        found.append(_case(number, "M1", act, kept, agent="star" if star else f"A{number % 3}"))
    practice = next(p for p in mine(found, PracticesConfig()) if p.action == "empathise")
    assert practice.effect > 0 and practice.agent_stability is not None and practice.agent_stability < 0.9
    assert "agents" in practice.doubts


def test_what_no_longer_holds_in_the_last_month_is_doubted() -> None:
    rng = random.Random(8)
    found = []
    for number in range(1600):
        month = 1 + number % 4
        act = rng.choice(["empathise", "explain_fees"])
        gain = 0.3 if month != 4 else -0.3
        kept = rng.random() < 0.4 + (gain if act == "empathise" else 0)
        found.append(_case(number, "M1", act, kept, month=month))
    practice = next(p for p in mine(found, PracticesConfig()) if p.action == "empathise")
    assert practice.holdout is not None and practice.holdout.month == "2026-04" and not practice.holdout.replicated
    assert "last month" in practice.doubts


def test_what_mistaken_cases_of_another_situation_bring_along_is_not_believed() -> None:
    """One in ten of the unemployed is taken for ill: what works for the unemployed seems to work for the ill."""
    rng = random.Random(11)
    found = []
    for number in range(4000):
        unemployed = number % 2 == 0
        act = rng.choices(["offer_deferral", "request_proof"], [0.5, 0.5] if unemployed else [0.04, 0.96])[0]
        kept = rng.random() < (0.85 if unemployed and act == "offer_deferral" else 0.3)
        mistaken = unemployed and rng.random() < 0.1
        found.append(replace(_case(number, "M1", act, kept), situation="失业" if unemployed > mistaken else "生病住院"))
    logged = {p.id: p for p in mine(found, PracticesConfig())}
    assert logged["生病住院/offer_deferral"].q < 0.05 and not logged["生病住院/offer_deferral"].exploratory
    inferred = {p.id: p for p in mine(found, PracticesConfig(situation="text"))}
    borrowed = inferred["生病住院/offer_deferral"]
    assert borrowed.exploratory and borrowed.borrowed_from == "失业" and "situation" in borrowed.doubts
    assert not inferred["失业/offer_deferral"].exploratory and not inferred["失业/offer_deferral"].borrowed_from


def _with_mistakes(seed: int, probability: float) -> list[Case]:
    """Deferral works for the unemployed and is rare with the ill; one in five unemployed is taken for ill."""
    rng = random.Random(seed)
    found = []
    for number in range(3000):
        unemployed = rng.random() < 0.5
        act = "offer_deferral" if rng.random() < (0.6 if unemployed else 0.1) else "explain_fees"
        kept = rng.random() < 0.2 + (0.5 if unemployed and act == "offer_deferral" else 0.0)
        mistaken = unemployed and rng.random() < 0.2
        case = replace(_case(number, "M1", act, kept), situation="失业")
        if mistaken or not unemployed:
            case = replace(case, situation="生病住院", probability=probability, otherwise="失业")
        found.append(case)
    return found


def test_the_interval_holds_what_mistaken_cases_may_have_brought_along() -> None:
    """In truth deferral does nothing for the ill."""
    held = Counter[float]()
    for seed in range(20):
        for probability in (1.0, 0.83):
            practices = {p.id: p for p in mine(_with_mistakes(seed, probability), PracticesConfig(situation="text"))}
            held[probability] += practices["生病住院/offer_deferral"].ci_low <= 0
    assert held[1.0] < 5 and held[0.83] >= 16


def test_the_doubt_of_a_situation_widens_the_interval_and_changes_no_other_figure() -> None:
    config = PracticesConfig(situation="text")
    sure, doubtful = (mine(_with_mistakes(1, probability), config) for probability in (1.0, 0.83))
    for narrow, wide in zip(sure, doubtful, strict=True):
        assert (wide.effect, wide.p, wide.q, wide.exploratory) == (
            narrow.effect,
            narrow.p,
            narrow.q,
            narrow.exploratory,
        )
        doubted = wide.situation == "生病住院"
        assert (wide.ci_high - wide.ci_low > narrow.ci_high - narrow.ci_low) == doubted
        assert wide.ci_low <= narrow.ci_low and wide.ci_high >= narrow.ci_high


def test_what_works_in_two_situations_is_borrowed_from_neither() -> None:
    found = [replace(case, situation="失业" if int(case.id[1:]) % 2 else "生病住院") for case in _confounded(4, 2000)]
    practices = {p.id: p for p in mine(found, PracticesConfig(situation="text"))}
    assert not practices["失业/offer_deferral"].borrowed_from and not practices["生病住院/offer_deferral"].borrowed_from


@pytest.mark.parametrize("change", [{"verdict": "vetoed"}, {"exploratory": True}, {"q": 0.2}, {"ci_low": -0.1}])
def test_only_a_sure_and_lawful_practice_is_taught(change: dict[str, object]) -> None:
    practices = mine(_confounded(), PracticesConfig())
    assert "失业" in best_practices(practices, 0.05)
    assert best_practices([Practice(**{**p.model_dump(), **change}) for p in practices], 0.05) == {}


def test_an_act_whose_turns_break_rules_is_vetoed_however_well_it_worked() -> None:
    found = _confounded()
    treated = [case.id for case in found if case.exposures[0].action == "offer_deferral"]
    some, many = ({(case, 1): frozenset({"R07"}) for case in treated[::step]} for step in (3, 1))
    allowed = next(p for p in mine(found, PracticesConfig(), some) if p.action == "offer_deferral")
    assert allowed.verdict == "allowed" and allowed.breach_share == pytest.approx(1 / 3, abs=0.01)
    assert not set(allowed.evidence) & {f"{case}#{turn}" for case, turn in some}  # no exemplar breaks a rule
    vetoed = next(p for p in mine(found, PracticesConfig(), many) if p.action == "offer_deferral")
    assert vetoed.verdict == "vetoed" and vetoed.rules == ("R07",) and vetoed.effect == allowed.effect
    assert "失业" not in best_practices([vetoed], 0.05)


def test_evidence_points_to_the_acting_turn_and_the_outcome_it_goes_with() -> None:
    found = {case.id: case for case in _confounded()}
    for practice in mine(list(found.values()), PracticesConfig()):
        for place in practice.evidence:
            case, _, turn = place.partition("#")
            assert int(turn) == found[case].exposures[0].turn and found[case].kept == (practice.effect >= 0)
        assert practice.exemplars == tuple(place.partition("#")[0] for place in practice.evidence)


def test_rare_pairs_are_not_tested_and_small_ones_are_exploratory() -> None:
    found = [
        _case(n, "M1", "empathise" if n < 4 else "explain_fees" if n < 20 else "offer_deferral", n % 3 > 0)
        for n in range(300)
    ]
    practices = {practice.action: practice for practice in mine(found, PracticesConfig())}
    assert "empathise" not in practices and practices["explain_fees"].exploratory
    assert practices["explain_fees"].doubly_robust is None


def test_harmful_and_vetoed_practices_are_listed(knowledge: Path) -> None:
    rows = [json.loads(line) for line in (knowledge / "practices.jsonl").read_text("utf-8").splitlines()]
    harmful = next(row for row in rows if row["id"] == "失业/demand_full_payment")
    assert harmful["effect"] < 0 and harmful["verdict"] == "vetoed" and harmful["rules"] == ["Q01"]


def test_held_out_customers_feed_no_practice_and_no_procedure(knowledge: Path) -> None:
    split = {
        row["customer"]: row["split"]
        for row in map(json.loads, (knowledge / "customers.jsonl").read_text("utf-8").splitlines())
    }
    customer = {
        row["id"]: row["customer"]
        for row in map(json.loads, (knowledge / "dialogues.jsonl").read_text("utf-8").splitlines())
    }
    practices = [json.loads(line) for line in (knowledge / "practices.jsonl").read_text("utf-8").splitlines()]
    assert all(split[customer[case]] != "test" for row in practices for case in row["exemplars"])
    learned = sum(1 for case in customer if case.startswith("P") and split[customer[case]] != "test")
    per_situation = {row["situation"]: row["support"]["cases"] for row in practices}
    assert sum(per_situation.values()) == learned == 160
    evidence = {place for row in practices for place in row["evidence"]}
    assert evidence and all(split[customer[place.partition("#")[0]]] != "test" for place in evidence)
    procedures = [json.loads(line) for line in (knowledge / "procedures.jsonl").read_text("utf-8").splitlines()]
    assert sum(row["support"] for row in procedures) == learned
