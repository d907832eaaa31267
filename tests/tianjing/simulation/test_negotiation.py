"""The negotiating customer is deterministic and truthful, opens up to those it trusts, and feels threats."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tianjing.records import Turn
from tianjing.simulation.negotiation import (
    NegotiatingCustomer,
    Offer,
    find_offer,
    make_debtor,
    negotiate,
    report,
)

GREETING = "您好，这里是晨舟消费金融，请问现在方便吗？"
REASON = "您这笔款是遇到什么情况了？"
AMOUNT = "您每个月能承受多少？"
DATE = "那咱们约个日期，您几号能还？"
SORRY = "实在抱歉，理解您的难处，您别着急。"
THREAT = "再不还就上门找你家里人，让你坐牢。"
EVERYTHING_AWAY = Offer(instalments=24, deferral_days=30, waiver_percent=50)


def patient(turns: Sequence[Turn]) -> str | tuple[str, Offer]:
    """Asks first, then offers as little as possible and a little more each time."""
    script: list[str | tuple[str, Offer]] = [GREETING, SORRY, REASON, AMOUNT, DATE]
    offers = [Offer(3), Offer(6, 7), Offer(12, 15), Offer(24, 30), Offer(24, 30, 20), EVERYTHING_AWAY]
    script += [("您看这个方案行吗？", offer) for offer in offers]
    return script[min(len(turns) // 2, len(script) - 1)]


def generous(turns: Sequence[Turn]) -> str:
    return GREETING if not turns else "给您分24期，延期30天，再减免百分之五十。"


def harsh(turns: Sequence[Turn]) -> str:
    return GREETING if not turns else THREAT


def test_same_debtor_seed_and_turns_give_the_same_answers() -> None:
    runs = [negotiate(make_debtor(5, "west"), patient, seed) for seed in (1, 1, 2)]
    assert runs[0].turns == runs[1].turns and runs[0].state == runs[1].state
    assert runs[0].turns != runs[2].turns


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(("east", "west")))
def test_what_the_customer_says_of_money_and_days_is_true_and_kept(seed: int, site: str) -> None:
    debtor = make_debtor(seed, site)  # type: ignore[arg-type]
    customer = NegotiatingCustomer(debtor, seed)
    for said in (GREETING, SORRY, SORRY, SORRY, REASON, AMOUNT, DATE):
        turn, state = customer.reply(said)
        numbers = [int(number) for number in re.findall(r"\d+", turn.text)]
        if state.move == "affordable":
            assert numbers == [debtor.monthly_limit_yuan]
        if state.move == "deadline":
            assert numbers == [debtor.state.deadline_days]
    if debtor.best_offer is not None:
        assert debtor.best_offer.instalment(debtor.outstanding) <= debtor.monthly_limit_yuan
        _, state = customer.reply("您看这样行吗？", debtor.best_offer)
        assert state.agreed == debtor.best_offer or state.inner.mood == "upset" or state.inner.trust < 0.2


def test_facts_come_out_step_by_step_and_only_in_trust() -> None:
    told_by_trust: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(60):
        for kind in (True, False):
            customer = NegotiatingCustomer(make_debtor(seed, situation="情绪激动"), seed)
            _, first = customer.reply(GREETING)
            assert not first.told & {"affordable", "deadline"}
            for said in (SORRY, SORRY, SORRY) if kind else (REASON,):
                customer.reply(said)
            _, state = customer.reply(DATE)
            told_by_trust[kind].append("deadline" in state.told)
    assert sum(told_by_trust[True]) > sum(told_by_trust[False]) + 10


def test_empathy_calms_and_a_threat_upsets() -> None:
    customer = NegotiatingCustomer(make_debtor(3, situation="情绪激动"), 1)
    _, before = customer.reply(GREETING)
    _, calmed = customer.reply(SORRY)
    assert (before.inner.mood, calmed.inner.mood) == ("upset", "worried")
    assert calmed.inner.trust > before.inner.trust
    _, threatened = customer.reply(THREAT)
    assert threatened.inner.mood == "upset" and threatened.inner.trust < calmed.inner.trust
    assert threatened.breaches == 1


def test_threats_end_in_a_hang_up_and_nothing_can_be_said_after_it() -> None:
    result = negotiate(make_debtor(3), harsh, 1)
    assert result.state.ended and result.state.agreed is None and result.recovery == 0
    customer = NegotiatingCustomer(make_debtor(3), 1)
    while not customer.state.ended:
        customer.reply(THREAT)
    with pytest.raises(ValueError, match="hung up"):
        customer.reply(SORRY)


def test_report_tells_patience_from_giving_everything_away_and_from_threats() -> None:
    reports = {
        agent.__name__: report(negotiate(make_debtor(seed), agent, seed) for seed in range(80))
        for agent in (patient, generous, harsh)
    }
    assert reports["patient"].recovery > reports["generous"].recovery + 0.2 > reports["harsh"].recovery
    assert reports["patient"].over_concession < 0.1 < 0.4 < reports["generous"].over_concession
    assert 0 < reports["patient"].instalment_share < 1
    assert reports["harsh"].complained > 0.15 > reports["patient"].complained
    assert reports["harsh"].hung_up == 1 and math.isnan(reports["harsh"].over_concession)


def test_offers_are_read_from_the_text() -> None:
    assert find_offer("给您分12期，延期15天，减免百分之十") == Offer(12, 15, 10)
    assert find_offer("给您申请半个月以后再说吧") is None
    debtor = make_debtor(8)
    assert Offer(12, 0, 50).instalment(debtor.outstanding) * 24 == pytest.approx(debtor.outstanding, abs=1)


def test_present_value_falls_with_every_concession() -> None:
    debtor = make_debtor(8)
    values = [debtor.present_value(offer) for offer in (Offer(), Offer(12), Offer(12, 30), Offer(12, 30, 20))]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(float(debtor.outstanding))


def test_the_documented_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "docs" / "simulation.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    exec(example[1], {})
    assert "NegotiationReport(negotiations=50, agreed=0." in capsys.readouterr().out
