"""Plans add up to the cent and keep to the policy, and what is owed follows from an account's row."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tianjing.finance.errors import FinanceError
from tianjing.finance.offers import PlanPolicy, covering_deferral, fewest_instalments, outstanding, quote_plan
from tianjing.records import Account
from tianjing.simulation.negotiation import Offer, make_debtor
from tianjing.simulation.negotiation.debtor import TODAY

POLICY = PlanPolicy()
OWED = st.decimals(Decimal("600"), Decimal("99999"), places=2)


@given(OWED, st.integers(3, 24), st.sampled_from(POLICY.deferral_days))
def test_a_permitted_plan_adds_up_and_is_worth_what_an_offer_of_the_simulator_says(
    owed: Decimal, count: int, days: int
) -> None:
    try:
        plan = quote_plan(owed, TODAY, count, days, POLICY)
    except FinanceError as error:
        assert "below 200.00" in error.message and owed / count < 200
        return
    assert plan.payment * (count - 1) + plan.last_payment == owed
    assert abs(plan.last_payment - plan.payment) <= Decimal("0.005") * count
    assert (plan.first_due_on - TODAY).days == days
    assert plan.payment == Offer(count, days).instalment(owed)


@given(OWED, st.decimals(Decimal("200"), Decimal("9000"), places=2))
def test_the_fewest_instalments_are_within_what_can_be_paid_if_any_permitted_are(
    owed: Decimal, monthly: Decimal
) -> None:
    count = fewest_instalments(owed, monthly, POLICY)
    plan = quote_plan(owed, TODAY, count, 0, POLICY)
    if plan.payment > monthly:
        permitted = [n for n in range(3, 25) if owed / n >= 200]
        assert count == max(permitted, default=1)
    elif count > 3:
        assert quote_plan(owed, TODAY, count - 1, 0, POLICY).payment > monthly


@pytest.mark.parametrize(("days", "deferral"), [(0, 0), (1, 7), (7, 7), (16, 30), (45, 30)])
def test_a_deferral_covers_the_wait_or_is_the_longest(days: int, deferral: int) -> None:
    assert covering_deferral(days, POLICY) == deferral


@pytest.mark.parametrize(("count", "days", "limit"), [(2, 0, "3 to 24"), (25, 0, "3 to 24"), (3, 20, "0, 7, 15, 30")])
def test_a_plan_outside_the_policy_is_refused_with_its_limit(count: int, days: int, limit: str) -> None:
    with pytest.raises(FinanceError) as failure:
        quote_plan(Decimal("12000.00"), TODAY, count, days, POLICY)
    assert limit in failure.value.remedy


@pytest.mark.parametrize("policy", [{"min_instalments": 30}, {"deferral_days": ()}, {"deferral_days": (7, 0)}])
def test_a_policy_that_contradicts_itself_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"min_instalments|deferral_days"):
        PlanPolicy.model_validate(policy)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_owed_follows_from_the_row_of_the_account(seed: int) -> None:
    debtor = make_debtor(seed)
    oldest = debtor.loan.oldest_overdue(TODAY, debtor.person.bucket)
    assert oldest is not None
    row = debtor.loan.row(TODAY, debtor.loan.arrears(TODAY, oldest))
    assert outstanding(Account.model_validate(row)) == debtor.outstanding


def test_an_account_that_does_not_fit_its_arrears_is_refused_with_its_name() -> None:
    debtor = make_debtor(1)
    oldest = debtor.loan.oldest_overdue(TODAY, debtor.person.bucket)
    assert oldest is not None
    account = Account.model_validate(debtor.loan.row(TODAY, debtor.loan.arrears(TODAY, oldest)))
    early = account.model_copy(update={"as_of": date(2000, 1, 1)})
    with pytest.raises(FinanceError, match=account.account):
        outstanding(early)
