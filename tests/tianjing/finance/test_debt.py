"""What is owed on a day, worked by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.tianjing.finance.loans import fee, loan
from tianjing.finance import FinanceError
from tianjing.finance.debt import Debt, debt_on


def owed(as_of: str, paid: int = 3, **changes: Any) -> Debt:
    """Equal principal: 1,000 a month and 1% of the balance; 9,000 are left after three instalments (2026-11-15)."""
    return debt_on(loan(method="equal_principal", **changes), paid, date.fromisoformat(as_of))


PENALTY = {"name": "逾期罚息", "payee": "晨舟消费金融有限公司", "markup_percent": 50, "grace_days": 3}


def test_before_the_due_date_interest_runs_by_the_day() -> None:
    # 10 days on 9,000 at 12% ÷ 365: 29.589… → 29.59.
    debt = owed("2026-11-25")
    assert (str(debt.principal), str(debt.interest), debt.overdue_days) == ("9000.00", "29.59", 0)


def test_on_a_due_date_the_whole_instalment_is_due_and_nothing_accrues_beside_it() -> None:
    unpaid, paid = owed("2026-12-15"), owed("2026-12-15", paid=4)
    assert (str(unpaid.interest), unpaid.overdue_days) == ("90.00", 0)
    assert (str(paid.interest), str(paid.principal)) == ("0.00", "8000.00")


def test_overdue_instalments_bear_penalty_and_the_rest_bears_interest() -> None:
    # Row 4 (2026-12-15): 1,000 and 90.00, fee 5.00; 10 days late at 18%: 1,000 × 0.18 × 10 ÷ 365 = 4.93.
    # The 8,000 that are not due: 10 days at 12% ÷ 365 = 26.30.
    debt = owed("2026-12-25", penalties=[PENALTY], fees=[fee(amount="5")])
    assert (str(debt.interest), str(debt.fees), str(debt.penalty)) == ("116.30", "5.00", "4.93")
    assert (debt.overdue_days, str(debt.overdue_amount)) == (10, "1095.00")
    assert str(debt.total) == "9126.23"


def test_within_the_grace_days_no_penalty_is_due_and_after_them_every_day_counts() -> None:
    assert str(owed("2026-12-18", penalties=[PENALTY]).penalty) == "0.00"
    assert str(owed("2026-12-19", penalties=[PENALTY]).penalty) == "1.97"  # four days


@pytest.mark.parametrize(
    ("penalty", "amount"),
    [
        ({"rate": {"percent": "0.05", "per": "day"}, "of": "overdue_instalment"}, "5.45"),  # 1,090 × 0.0005 × 10
        ({"rate": {"percent": "0.05", "per": "day"}, "of": "remaining_principal"}, "45.00"),  # 9,000 × 0.0005 × 10
        ({"rate": {"percent": 1, "per": "day"}, "cap_percent": 5}, "50.00"),  # 100.00, but at most 5% of 1,000
        ({"amount": "20"}, "20.00"),
    ],
)
def test_each_kind_of_penalty(penalty: dict[str, Any], amount: str) -> None:
    assert str(owed("2026-12-25", penalties=[{"name": "违约金", "payee": "晨舟", **penalty}]).penalty) == amount


def test_a_penalty_on_the_remaining_principal_is_counted_once_however_many_instalments_are_late() -> None:
    # Rows 4 and 5 are late; 9,000 × 0.0005 × 41 days since the older one.
    penalty = {
        "name": "违约金",
        "payee": "晨舟",
        "rate": {"percent": "0.05", "per": "day"},
        "of": "remaining_principal",
    }
    assert str(owed("2027-01-25", penalties=[penalty]).penalty) == "184.50"


def test_settling_early_costs_its_fee_until_enough_is_paid() -> None:
    prepayment = {"fee_percent": 1, "free_after_instalment": 6}
    assert str(owed("2026-11-25", prepayment=prepayment).settlement_fee) == "90.00"
    assert str(owed("2027-02-20", paid=6, prepayment=prepayment).settlement_fee) == "0.00"


def test_a_day_before_the_last_payment_is_refused() -> None:
    with pytest.raises(FinanceError, match="2026-11-15, the day of the last payment"):
        owed("2026-11-14")
    with pytest.raises(FinanceError, match="12 of 12 leaves nothing to pay"):
        owed("2027-11-14", paid=12)
