"""The call of the cost engine: what a model writes is read back, leniently, and its answer names exact amounts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tianjing.finance.offers import PlanPolicy
from tianjing.simulation.negotiation import Offer, find_offer
from tianjing.tasks.plan_call import PlanCall, days_until, find_call, plan_text, run_call, stated_amounts

FIELDS: dict[str, Any] = {
    "outstanding": "12345.67",
    "as_of": "2026-04-15",
    "policy": PlanPolicy().model_dump(mode="json"),
}


@given(
    st.one_of(
        st.builds(PlanCall, st.integers(200, 9999).map(Decimal), wait_days=st.integers(0, 60)),
        st.builds(PlanCall, st.none(), st.integers(1, 36), st.just(0), st.integers(1, 31)),
    )
)
def test_a_call_reads_back_as_it_was_written(call: PlanCall) -> None:
    assert find_call(f"好的{call.text()}") == call


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("【试算：每月1,200元，22号】", PlanCall(Decimal(1200), day=22)),
        ("试算:每期六百块", PlanCall(Decimal(600))),
        ("【试算：分24期，延期30天后】", PlanCall(None, 24, 30)),
        ("【试算：一次付清，现在】", PlanCall(None, 1)),
        ("我给您试算一下", None),
        ("【问能力】您每月能还多少？", None),
    ],
)
def test_calls_are_read_in_any_recognisable_form(text: str, call: PlanCall | None) -> None:
    assert find_call(text) == call


@given(st.integers(200, 6000), st.integers(0, 40))
def test_the_answer_is_heard_by_a_customer_as_the_plan_that_was_quoted(monthly: int, wait: int) -> None:
    call = PlanCall(Decimal(monthly), wait_days=wait)
    plan = run_call(call, FIELDS)
    said = plan_text(plan)
    assert stated_amounts(said) == {plan.payment}
    assert find_offer(f"给您{said}，您看行吗？") == Offer(plan.instalments, plan.deferral_days)


@pytest.mark.parametrize(("asked", "given"), [(0, 1), (2, 3), (12, 12), (40, 24)])
def test_a_plan_outside_the_policy_is_answered_with_the_nearest_permitted_one(asked: int, given: int) -> None:
    assert run_call(PlanCall(None, asked), FIELDS).instalments == given


def test_a_small_debt_is_not_cut_into_instalments_below_the_smallest() -> None:
    small = {**FIELDS, "outstanding": "850.00"}
    assert run_call(PlanCall(None, 12), small).instalments == 4
    assert run_call(PlanCall(None, 12), {**FIELDS, "outstanding": "400.00"}).instalments == 1


@pytest.mark.parametrize(("day", "today", "days"), [(20, "2026-04-15", 5), (15, "2026-04-15", 0), (3, "2026-12-30", 4)])
def test_a_day_of_the_month_is_the_next_of_its_number(day: int, today: str, days: int) -> None:
    assert days_until(day, date.fromisoformat(today)) == days
