"""What became of a customer before tells a hidden trait that lasts from an action that works."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_recipes.config import PracticesConfig
from data_recipes.experience.practices import Case, Exposure, cases, mine
from data_recipes.experience.practices.earlier import earlier_cases
from tianjing.records import Dialogue, EarlierOutcome, Event, Outcome, Practice, Turn

START = datetime(2026, 1, 5, tzinfo=UTC)
CALL_DAYS, KNOWN_DAYS = 40, 20


def _case(number: int, customer: str, call: int, acted: bool, kept: bool, agent: str = "") -> Case:
    dialogue = Dialogue(
        id=f"D{number:05d}-{call}",
        customer=customer,
        agent=agent or f"A{(number + call) % 9}",
        channel="phone",
        started_at=START + timedelta(days=CALL_DAYS * call),
        turns=(Turn(speaker="customer", text="没收入了"),),
    )
    exposures = (Exposure("act", "empathise", 1),) if acted else ()
    known_at = dialogue.started_at + timedelta(days=KNOWN_DAYS)
    return Case(dialogue, "失业", 0, exposures, kept, ("M1",), known_at=known_at)


def _calls(acts: Callable[[bool, int], float], keeps: Callable[[bool, bool], float], seed: int = 1) -> list[Case]:
    """1,200 customers, half of them easy, who are called twice.

    `acts` is the probability of the act by (easy, agent), `keeps` that of a kept promise by (easy, act).
    """
    rng = random.Random(seed)
    found = []
    for number in range(1200):
        easy, agent = rng.random() < 0.5, rng.randrange(9)
        for call in range(2):
            acted = rng.random() < acts(easy, agent)
            kept = rng.random() < keeps(easy, acted)
            found.append(_case(number, f"C{number}", call, acted, kept, f"A{agent}"))
    return found


def _very_strong(seed: int = 1) -> list[Case]:
    """Empathy goes to the easy customers and does nothing."""
    return _calls(lambda easy, agent: 0.8 if easy else 0.1, lambda easy, acted: 0.65 if easy else 0.2, seed)


def _mined(found: list[Case]) -> tuple[Practice, EarlierOutcome]:
    practice = next(p for p in mine(found, PracticesConfig()) if p.action == "empathise")
    assert practice.earlier_outcome is not None
    return practice, practice.earlier_outcome


def test_a_practice_that_a_lasting_hidden_trait_makes_is_fragile_however_strong() -> None:
    practice, earlier = _mined(_very_strong())
    assert practice.q < 0.001 and practice.effect > 0.25 and practice.e_value_limit is not None
    assert practice.e_value_limit > 2.5  # the E-value alone would let it pass
    assert earlier.says == "confounded" and earlier.effect is not None and earlier.effect > 0.15
    assert earlier.p is not None and earlier.p < 0.01 and earlier.cases == 1200
    assert practice.fragile and "unmeasured confounder" in practice.doubts


def test_a_harmful_action_that_goes_to_those_who_did_worse_before_is_fragile() -> None:
    practice, earlier = _mined(
        _calls(lambda easy, agent: 0.1 if easy else 0.8, lambda easy, acted: 0.65 if easy else 0.2)
    )
    assert practice.effect < 0 and earlier.effect is not None and earlier.effect < 0
    assert earlier.says == "confounded" and practice.fragile


def test_what_works_is_not_called_confounded() -> None:
    """Easy customers are there, too, but the act is taken without regard to them."""
    said = []
    for seed in range(40):
        practice, earlier = _mined(
            _calls(lambda easy, agent: 0.5, lambda easy, acted: 0.2 + 0.3 * easy + 0.35 * acted, seed)
        )
        assert practice.effect == pytest.approx(0.35, abs=0.1)
        said.append(earlier.says)
    assert said.count("not seen") == 40


def test_an_agent_who_always_does_what_works_does_not_make_it_look_confounded() -> None:
    """Customers keep their agent and agents their habits: who has the act now mostly had it, and its effect, before."""
    found = _calls(lambda easy, agent: 0.9 if agent < 4 else 0.1, lambda easy, acted: 0.2 + 0.4 * acted)
    before = earlier_cases(found)
    now = [case for case in found if case.id in before]
    rates = [[before[case.id].kept for case in now if bool(case.exposures) == acted] for acted in (True, False)]
    with_it, without = (sum(map(bool, kept)) / len(kept) for kept in rates)
    assert with_it - without > 0.2
    practice, earlier = _mined(found)
    assert earlier.says == "not seen" and not practice.fragile


@pytest.mark.parametrize("known_days", [CALL_DAYS + 1, None])
def test_an_outcome_that_the_act_itself_may_have_changed_is_no_earlier_one(known_days: int | None) -> None:
    """The first promise fell due after the second call, or nobody knows when."""
    found = [
        replace(case, known_at=case.dialogue.started_at + timedelta(days=known_days) if known_days else None)
        for case in _very_strong()
    ]
    practice, earlier = _mined(found)
    assert earlier == EarlierOutcome(says="cannot tell")
    assert not practice.fragile


def test_few_customers_with_an_earlier_outcome_cannot_tell() -> None:
    found = [case for number, case in enumerate(_very_strong()) if number % 2 or number < 40]
    practice, earlier = _mined(found)
    assert earlier.says == "cannot tell" and 0 < earlier.cases < 40
    assert practice.q < 0.001 and not practice.fragile


def test_the_last_known_outcome_before_the_case_counts() -> None:
    calls = [_case(1, "C1", call, acted=False, kept=call == 1) for call in range(4)]
    lost = replace(calls[0], kept=None)
    before = earlier_cases([calls[1], lost, calls[3], calls[2], _case(2, "C2", 3, acted=True, kept=True)])
    assert {case: one.id for case, one in before.items()} == {calls[2].id: calls[1].id, calls[3].id: calls[2].id}
    naive = replace(calls[0], known_at=datetime(2026, 1, 25, 8))  # no offset: that of China
    assert calls[1].id in earlier_cases([naive, calls[1]])


def test_situations_count_together_each_among_its_own() -> None:
    """Two situations with other rates of kept promises and of the act: neither brings a difference about."""
    rng = random.Random(3)
    found = []
    for number in range(3000):
        ill = number % 2 == 0
        for call in range(2):
            acted = rng.random() < (0.8 if ill else 0.2)
            kept = rng.random() < (0.75 if ill else 0.1) + 0.15 * acted
            case = _case(number, f"C{number}", call, acted, kept)
            found.append(replace(case, situation="生病住院") if ill else case)
    practices = [p for p in mine(found, PracticesConfig()) if p.action == "empathise"]
    assert len(practices) == 2 and practices[0].earlier_outcome is not None
    assert practices[0].earlier_outcome.cases == 3000 and practices[0].earlier_outcome.says == "not seen"
    assert practices[0].earlier_outcome == practices[1].earlier_outcome


def test_a_case_knows_when_its_outcome_was_known() -> None:
    call = _case(1, "C1", 0, acted=False, kept=True).dialogue
    reason = Event(case=call.id, at=call.started_at, actor="A1", activity="登记逾期原因", attributes={"reason": "失业"})
    call = call.model_copy(update={"turns": tuple(t.model_copy(update={"at": call.started_at}) for t in call.turns)})
    outcome = Outcome(case=call.id, name="promise_kept", value=0, at=START + timedelta(days=9))
    (case,), _ = cases([call], [reason], [outcome], {}, PracticesConfig())
    assert case.kept is False and case.known_at == outcome.at
    (case,), _ = cases([call], [reason], [], {}, PracticesConfig())
    assert case.kept is None and case.known_at is None
