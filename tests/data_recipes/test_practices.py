"""Practices: planted truth is recovered, confounding is not mistaken for it, and intervals are honest."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices import Case, best_practices, cases, mine
from data_recipes.experience.statistics import Table, benjamini_hochberg, mantel_haenszel
from tianjing.records import Customer, Dialogue, Event, Outcome, Practice, Turn

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _simulate(rng: random.Random, effect: float, cases_per_stratum: int = 150) -> list[Table]:
    """Two strata with different baselines and different shares of treated cases: a confounder."""
    tables = []
    for baseline, treated_share in ((0.6, 0.2), (0.25, 0.7)):
        counts = [0, 0, 0, 0]
        for _ in range(cases_per_stratum):
            treated = rng.random() < treated_share
            good = rng.random() < baseline + (effect if treated else 0)
            counts[(0 if treated else 2) + (0 if good else 1)] += 1
        tables.append(Table(*counts))
    return tables


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_the_interval_covers_the_true_difference_despite_confounding(effect: float) -> None:
    rng = random.Random(5)
    results = [mantel_haenszel(_simulate(rng, effect)) for _ in range(400)]
    covered = [r for r in results if r is not None and r.ci_low <= effect <= r.ci_high]
    assert 0.92 <= len(covered) / len(results) <= 0.98
    assert sum(r.difference for r in results if r is not None) / len(results) == pytest.approx(effect, abs=0.01)
    crude = Table(*(sum(getattr(t, f) for t in _simulate(rng, 0.0, 20_000)) for f in "abcd"))
    assert crude.a / (crude.a + crude.b) - crude.c / (crude.c + crude.d) < -0.1  # what no stratification would report


def test_one_stratum_is_the_plain_difference_of_two_proportions() -> None:
    result = mantel_haenszel([Table(40, 10, 25, 25)])
    assert result is not None
    assert result.difference == pytest.approx(0.3)
    wald = 1.96 * math.sqrt(0.8 * 0.2 / 50 + 0.25 / 50)
    assert result.ci_high - result.ci_low == pytest.approx(2 * wald, rel=0.05)
    assert result.p == pytest.approx(0.00175, rel=0.01)  # chi-squared 9.89 · 99/100, one degree of freedom


def test_the_variance_agrees_with_greenland_and_robins_in_large_unbalanced_strata() -> None:
    tables = [Table(300, 100, 700, 900), Table(120, 180, 131, 1369)]  # one difference, 0.31
    result = mantel_haenszel(tables)
    assert result is not None
    weight = variance = 0.0
    for t in tables:
        n1, n0 = t.a + t.b, t.c + t.d
        n = n1 + n0
        weight += n1 * n0 / n
        variance += (n1 * n0 / n) ** 2 * (t.a * t.b / n1**3 + t.c * t.d / n0**3)
    expected = 2 * 1.96 * math.sqrt(variance) / weight
    assert result.ci_high - result.ci_low == pytest.approx(expected, rel=0.02)


def test_strata_without_a_comparison_say_nothing() -> None:
    assert mantel_haenszel([Table(5, 5, 0, 0), Table(0, 0, 3, 1)]) is None


def test_adjusted_p_values() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.0533333, 0.0533333, 0.5])


def _case(number: int, bucket: str, act: str, kept: bool, agent: str = "A1") -> Case:
    turns = (Turn(speaker="customer", text="没收入了"), Turn(speaker="agent", text=act))
    dialogue = Dialogue(id=f"D{number:05d}", customer="C", agent=agent, channel="phone", started_at=NOW, turns=turns)
    return Case(dialogue, "失业", 0, frozenset({act}), kept, (bucket,))


def test_the_planted_act_is_found_and_the_confounded_one_is_not() -> None:
    """offer_autopay never works but is used in easy cases; offer_deferral works everywhere."""
    rng = random.Random(1)
    found = []
    for number in range(900):
        easy = rng.random() < 0.5
        act = rng.choices(
            ["offer_deferral", "offer_autopay", "empathise"], [0.4, 0.5, 0.1] if easy else [0.4, 0.1, 0.5]
        )[0]
        kept = rng.random() < (0.6 if easy else 0.2) + (0.25 if act == "offer_deferral" else 0)
        found.append(_case(number, "M1" if easy else "M3", act, kept, f"A{number % 9}"))
    practices = {practice.action: practice for practice in mine(found, PracticesConfig())}
    good = practices["offer_deferral"]
    assert good.ci_low <= 0.25 <= good.ci_high and good.q < 0.001 and not good.exploratory
    assert good.support.agents == 9 and good.support.cases == 900
    assert practices["offer_autopay"].effect < 0.02
    assert best_practices(practices.values(), 0.05)["失业"].action == "offer_deferral"
    unstratified = {p.action: p for p in mine([Case(**{**vars(c), "stratum": ()}) for c in found], PracticesConfig())}
    assert unstratified["offer_autopay"].effect > practices["offer_autopay"].effect + 0.1


@pytest.mark.parametrize("change", [{"verdict": "vetoed"}, {"exploratory": True}, {"q": 0.2}, {"ci_low": -0.1}])
def test_only_a_sure_and_lawful_practice_is_taught(change: dict[str, object]) -> None:
    rng = random.Random(2)
    acts = ["offer_deferral", "empathise"]
    found = [_case(i, "M1", acts[i % 2], rng.random() < (0.8 if i % 2 == 0 else 0.3)) for i in range(400)]
    practices = mine(found, PracticesConfig())
    assert "失业" in best_practices(practices, 0.05)
    assert best_practices([Practice(**{**p.model_dump(), **change}) for p in practices], 0.05) == {}


def _dialogue(*turns: tuple[str, str]) -> Dialogue:
    spoken = tuple(
        Turn(speaker=speaker, text=text, at=NOW + timedelta(seconds=i))  # type: ignore[arg-type]
        for i, (speaker, text) in enumerate(turns)
    )
    return Dialogue(id="D1", customer="C1", agent="A1", channel="phone", started_at=NOW, turns=spoken)


def test_an_act_counts_only_between_the_reason_and_the_decision() -> None:
    dialogue = _dialogue(
        ("agent", "需要您提供证明材料"),  # before the reason
        ("customer", "我失业了"),
        ("agent", "可以给您办延期"),
        ("customer", "行，就这么办"),
        ("agent", "那您几号还款"),  # after the decision
    )
    event = Event(
        case="D1", at=NOW + timedelta(seconds=1), actor="A", activity="登记逾期原因", attributes={"reason": "失业"}
    )
    outcome = Outcome(case="D1", name="promise_kept", value=1)
    customer = Customer.model_validate({"customer": "C1", "overdue_bucket": "M2"})
    found, dropped = cases([dialogue], [event], [outcome], {"C1": customer}, PracticesConfig())
    assert found[0].acts == {"offer_deferral"} and found[0].stratum == ("M2",) and found[0].kept and not dropped


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
    procedures = [json.loads(line) for line in (knowledge / "procedures.jsonl").read_text("utf-8").splitlines()]
    assert sum(row["support"] for row in procedures) == learned
