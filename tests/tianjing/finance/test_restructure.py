"""Restructuring keeps to the policy and names the clause it would break; a contradictory policy is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.tianjing.finance.loans import loan
from tianjing.errors import TianjingError
from tianjing.finance import FinanceError
from tianjing.finance.debt import debt_on
from tianjing.finance.policy import Policy, load_policy
from tianjing.finance.restructure import Request, Restructured, restructure
from tianjing.finance.schedule import make_schedule

POLICY = load_policy(REPOSITORY / "examples" / "cost" / "policy.yaml")
PENALTY = {"name": "逾期罚息", "payee": "晨舟消费金融有限公司", "markup_percent": 50}
# Equal principal: 1,000 a month and 1% of the balance; row 4 is due on 2026-12-15 with 9,000 left.
TERMS = loan(method="equal_principal", penalties=[PENALTY])
ANYTHING = Policy.model_validate(
    {
        "name": "全部准许",
        "effective_from": "2020-01-01",
        "waivable": ["penalty", "fees", "interest", "principal"],
        "clauses": [
            {"id": "1", "measure": "deferral", "days": {"minimum": 0}},
            {"id": "2", "measure": "reinstalment", "instalments": {"minimum": 1}},
            *({"id": of, "measure": "waiver", "of": of, "percent": {}} for of in ("penalty", "interest", "principal")),
        ],
    }
)


def plan(policy: Policy = POLICY, as_of: str = "2026-12-20", paid: int = 3, **asked: Any) -> Restructured:
    request = Request.model_validate({"as_of": as_of, "paid_instalments": paid, **asked})
    return restructure(TERMS, request, policy)


def test_deferral_worked_by_hand() -> None:
    # 30 days; row 4 is 5 days overdue: penalty 1,000 × 18% × 5 ÷ 365 = 2.47. Interest of the delay: 30 days on the
    # 8,000 not due and 25 on the 1,000 overdue, at 12% ÷ 365: 265,000 × 0.12 ÷ 365 = 87.12.
    made = plan(deferral={"days": 30})
    first, second = made.schedule[:2]
    assert (first.due_on.isoformat(), second.due_on.isoformat()) == ("2027-01-14", "2027-02-14")
    assert (str(first.interest), str(first.penalty), str(first.payment)) == ("177.12", "2.47", "1179.59")
    assert str(second.payment) == "1080.00"
    assert made.clauses == ("第四条（延期）",)


def test_new_instalments_worked_by_hand() -> None:
    # 9,000 at 1% a month in 3: 9,000 × 0.01 ÷ (1 − 1.01^−3) = 3,060.1990 → 3,060.20. Arrears without interest:
    # interest 90.00 + 5 days on 8,000 (13.15) = 103.15 → 34.39, 34.38, 34.38; penalty 2.47, waived.
    made = plan(reinstalment={"instalments": 3}, waivers=[{"of": "penalty", "percent": 100}])
    assert [str(row.payment) for row in made.schedule[:2]] == ["3094.59", "3094.58"]
    assert [str(row.due_on) for row in made.schedule] == ["2027-01-20", "2027-02-20", "2027-03-20"]
    assert made.waived == {"penalty": Decimal("2.47")}
    assert str(made.total_waived) == "2.47"


def test_without_a_waiver_new_instalments_at_the_contract_rate_give_up_nearly_nothing() -> None:
    # Equal value at the contract rate, but for arrears that bear no interest and for months of unequal length.
    made = plan(ANYTHING, as_of="2026-11-15", reinstalment={"instalments": 24})
    assert abs(made.given_up) < 10
    assert plan(ANYTHING, reinstalment={"instalments": 3}, waivers=[{"of": "principal", "percent": 10}]).given_up > 890


def test_a_first_instalment_within_days_accrues_by_days() -> None:
    # 5 days on 9,000 at 12% ÷ 365: 14.79; arrears in 3 parts: interest 34.39, penalty 2.47 → 0.83.
    made = plan(ANYTHING, reinstalment={"instalments": 3, "first_due_on": "2026-12-25"})
    assert (str(made.schedule[0].due_on), str(made.schedule[0].interest)) == ("2026-12-25", "49.18")
    assert str(made.schedule[0].penalty) == "0.83"


def test_a_drawn_line_is_put_into_instalments_by_days() -> None:
    drawn = loan(
        principal="5000",
        method="daily_interest",
        instalments=None,
        term_days=30,
        rate={"percent": "0.05", "per": "day"},
    )
    request = Request.model_validate({"as_of": "2026-09-24", "paid_instalments": 0, "reinstalment": {"instalments": 6}})
    made = restructure(drawn, request, POLICY)
    # 30 days on 5,000 at 18.25% ÷ 365: 75.00; overdue since 2026-09-14.
    assert (str(made.debt.interest), made.debt.overdue_days) == ("75.00", 10)
    assert (str(made.schedule[0].interest), str(made.schedule[0].due_on)) == ("87.50", "2026-10-24")


def test_a_waiver_alone_makes_what_is_overdue_due_at_once() -> None:
    made = plan(waivers=[{"of": "penalty", "percent": 100}])
    assert (str(made.schedule[0].due_on), str(made.schedule[0].payment)) == ("2026-12-20", "1090.00")
    assert str(made.schedule[1].due_on) == "2027-01-15"


@pytest.mark.parametrize(
    ("asked", "breach"),
    [
        ({"deferral": {"days": 31}}, "第四条（延期）: days 31; at most 30"),
        ({"deferral": {"days": 30, "granted_in_12_months": 2}}, "deferrals_in_12_months 3; at most 2"),
        ({"reinstalment": {"instalments": 25}}, "第八条（分期期数）: instalments 25; at least 3, at most 24"),
        (
            {"waivers": [{"of": "interest", "percent": 10}]},
            "no clause: waiver of interest for 晨舟轻享贷, 5 days overdue",
        ),
        ({"deferral": {"days": 95}, "as_of": "2027-03-16"}, "no clause: deferral for 晨舟轻享贷, 91 days overdue"),
        # 第九条 applies to every case, but a smallest payment is no permission.
        ({"reinstalment": {"instalments": 12}, "as_of": "2027-03-16"}, "no clause permits any instalments"),
        ({"deferral": {"days": 30}, "as_of": "2025-12-20", "paid": 0}, "no clause: deferral"),
    ],
)
def test_a_plan_outside_the_policy_names_clause_and_limit(asked: dict[str, Any], breach: str) -> None:
    terms = loan(method="equal_principal", disbursed_on="2025-12-15") if asked.get("paid") == 0 else TERMS
    fields = {"as_of": "2026-12-20", **asked}
    request = Request.model_validate({"paid_instalments": fields.pop("paid", 3), **fields})
    with pytest.raises(FinanceError) as caught:
        restructure(terms, request, POLICY)
    assert breach in caught.value.message
    assert caught.value.message.startswith("晨舟规〔2025〕21号")


def test_the_smallest_payment_of_the_policy_is_kept() -> None:
    terms = loan(principal="3000")
    request = Request.model_validate(
        {"as_of": "2026-08-20", "paid_instalments": 0, "reinstalment": {"instalments": 24}}
    )
    with pytest.raises(FinanceError, match=r"第九条（每期最低还款）: payment 141\.\d\d; at least 200\.00"):
        restructure(terms, request, POLICY)


def test_a_deferral_that_is_too_short_says_how_long_it_must_be() -> None:
    with pytest.raises(FinanceError) as caught:
        plan(as_of="2027-01-05", deferral={"days": 20})
    assert "leave the instalment of 2026-12-15 overdue" in caught.value.message
    assert "21 days or more" in caught.value.remedy


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "nothing is asked for"),
        ({"deferral": {"days": 3}, "reinstalment": {"instalments": 3}}, "either 'deferral' or 'reinstalment'"),
        ({"waivers": [{"of": "interest", "percent": 101}]}, "no more than 100 percent"),
        ({"waivers": [{"of": "fees", "percent": 1}, {"of": "fees", "percent": 2}]}, "named twice"),
        ({"waivers": [{"of": "principal", "percent": 5}]}, "needs 'reinstalment'"),
        ({"reinstalment": {"instalments": 3, "first_due_on": "2026-12-20"}}, "is not within a year after 'as_of'"),
        ({"deferral": {"days": -3}}, "greater than or equal to 1"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Request.model_validate({"as_of": "2026-12-20", "paid_instalments": 3, **asked})


def deferral(name: str, days: dict[str, int], **fields: Any) -> dict[str, Any]:
    return {"id": name, "measure": "deferral", "days": days, **fields}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"clauses": [deferral("一", {"minimum": 30, "maximum": 10})]},
            "p.yaml:6: 'clauses.0.deferral.days': minimum 30",
        ),
        (
            {"clauses": [deferral("一", {"maximum": 30}), deferral("二", {"minimum": 45})]},
            "clauses '一' and '二' apply to one case and no 'days' satisfies both (at most 30; at least 45)",
        ),
        (
            {"clauses": [{"id": "一", "measure": "waiver", "of": "principal", "percent": {"maximum": 5}}]},
            "clause '一': 'of: principal' is not in 'waivable'",
        ),
        (
            {"clauses": [{"id": "一", "measure": "waiver", "of": "interest", "percent": {"maximum": 101}}]},
            "clause '一': percent.maximum 101 is above 100",
        ),
        ({"effective_to": "2025-01-01"}, "effective_to 2025-01-01 is before effective_from 2026-01-01"),
        (
            {"clauses": [deferral("一", {"maximum": 3}, effective_from="2026-05-01", effective_to="2026-04-01")]},
            "clause '一': effective_to 2026-04-01 is before effective_from 2026-05-01",
        ),
        ({"clauses": [deferral("一", {"maximum": 3}), deferral("一", {"maximum": 9})]}, "clause '一' stands twice"),
        ({"clauses": [{"id": "一", "measure": "deferral"}]}, "clause '一' limits nothing"),
        (
            {"clauses": [deferral("一", {"maximum": 3}, when={"overdue_days": {"minimum": 9, "maximum": 1}})]},
            "clauses.0.deferral.when.overdue_days': minimum 9 is above maximum 1",
        ),
        (
            {"effective_to": "2026-12-31", "clauses": [deferral("一", {"maximum": 3}, effective_to="2027-06-30")]},
            "clause '一': its effective dates reach beyond the policy's",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused_when_read(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    base = {"name": "办法", "effective_from": "2026-01-01", "clauses": [deferral("一", {"maximum": 3})]}
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({**base, **change}, allow_unicode=True, sort_keys=False), encoding="utf-8")
    with pytest.raises(TianjingError) as caught:
        load_policy(path)
    assert "p.yaml" in caught.value.message
    assert reason in caught.value.message


def test_clauses_for_different_cases_do_not_contradict() -> None:
    late, later = ({"overdue_days": {"minimum": first, "maximum": last}} for first, last in ((1, 30), (31, 60)))
    clauses = [deferral("一", {"maximum": 30}, when=late), deferral("二", {"minimum": 45}, when=later)]
    Policy.model_validate({"name": "办法", "effective_from": "2026-01-01", "clauses": clauses})


@settings(deadline=None, max_examples=40)
@given(
    overdue=st.integers(0, 80),
    measure=st.one_of(
        st.integers(80, 200).map(lambda days: {"deferral": {"days": days}}),
        st.integers(1, 60).map(lambda count: {"reinstalment": {"instalments": count}}),
    ),
    percents=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_a_plan_repays_the_principal_and_waives_to_the_cent(
    overdue: int, measure: dict[str, Any], percents: tuple[int, int]
) -> None:
    day = TERMS.disbursed_on.toordinal() + 122 + overdue  # row 4 is due on day 122
    as_of = type(TERMS.disbursed_on).fromordinal(day)
    waivers = [{"of": of, "percent": percent} for of, percent in zip(("penalty", "interest"), percents, strict=True)]
    request = Request.model_validate({"as_of": as_of, "paid_instalments": 3, "waivers": waivers, **measure})
    made, unchanged = (
        restructure(TERMS, request.model_copy(update=update), ANYTHING) for update in ({}, {"waivers": ()})
    )
    debt = debt_on(TERMS, 3, as_of)
    assert (
        sum(row.principal for row in made.schedule)
        == debt.principal
        == sum(row.principal for row in make_schedule(TERMS)[3:])
    )
    assert unchanged.total_payment - made.total_payment == made.total_waived
    for row in made.schedule:
        assert row.payment == row.principal + row.interest + row.fees + row.penalty
        assert min(row.principal, row.interest, row.fees, row.penalty) >= 0
        assert row.due_on >= as_of
    assert made.schedule[-1].balance == 0
