"""A loan file that cannot be right is refused with the line, the field and the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tianjing.finance.loans import PLAIN, fee
from tianjing.errors import TianjingError
from tianjing.finance import load_terms


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"principal": "1066.191"}, ":3: 'principal': 1066.191 元: an amount has at most two decimals"),
        ({"principal": 0}, ":3: 'principal': must be above zero"),
        ({"instalments": -12}, ":9: 'instalments': Input should be greater than or equal to 1"),
        ({"instalments": 481}, ":9: 'instalments': Input should be less than or equal to 480"),
        ({"disbursed_on": "9990-01-01"}, ":4: 'disbursed_on'"),
        ({"disbursed_on": 20260815}, ":4: 'disbursed_on'"),
        ({"rate": {"percent": -1, "per": "year"}}, ":6: 'rate.percent': -1 is negative"),
        ({"rate": {"percent": 5, "per": "day"}}, ":5: 'rate': 5% a day is more than 1000% a year"),
        (
            {"rate": {"percent": "0.30000000000000004", "per": "day"}},
            "'rate.percent': 0.30000000000000004%: a percentage",
        ),
        (
            {"rate": {"percent": 12, "per": "year", "day_count": 366}},
            ":8: 'rate.day_count': Input should be 360 or 365",
        ),
        ({"method": "equal_installment"}, ":8: 'method': Input should be 'equal_instalment'"),
        ({"instalments": None}, "needs 'instalments' or 'instalment_amount', not both"),
        ({"instalment_amount": 1000}, "needs 'instalments' or 'instalment_amount', not both"),
        ({"method": "equal_principal", "instalment_amount": 1000}, "belongs to method 'equal_instalment'"),
        ({"method": "daily_interest"}, "'instalments' has no meaning with method 'daily_interest'"),
        ({"term_days": 30}, "'term_days' is needed by method 'daily_interest' and by no other"),
        ({"method": "irregular", "instalments": None}, "method 'irregular' needs 'payments'"),
        ({"payments": [{"due_on": "2026-09-01"}]}, "'payments' has no meaning with method 'equal_instalment'"),
        (
            {
                "method": "irregular",
                "instalments": None,
                "payments": [{"due_on": "2026-10-01", "amount": 1}, {"due_on": "2026-09-01"}],
            },
            "2026-09-01 does not come after 2026-10-01",
        ),
        (
            {
                "method": "irregular",
                "instalments": None,
                "payments": [{"due_on": "2026-10-01"}, {"due_on": "2026-11-01"}],
            },
            "only the last payment may leave out its amount",
        ),
        ({"first_due_on": "2026-08-15"}, "is not within a year after 'disbursed_on' 2026-08-15"),
        ({"first_due_on": "2028-08-15"}, "is not within a year after 'disbursed_on' 2026-08-15"),
        ({"fees": [fee(amount=5, percent=1)]}, ":11: 'fees.0': fee '服务费': give either 'amount' or 'percent'"),
        ({"fees": [fee(percent=1, of="balance", when="upfront")]}, "'of: balance' needs 'percent' and 'when: each_ins"),
        ({"penalties": [{"name": "罚息", "payee": "x"}]}, "penalty '罚息': give one of 'rate', 'markup_percent'"),
        ({"intrest": 5}, ":10: unknown key 'intrest'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    value = {key: given for key, given in {**PLAIN, **changes}.items() if given is not None}
    file = tmp_path / "loan.yaml"
    file.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")
    with pytest.raises(TianjingError) as caught:
        load_terms(file)
    assert "loan.yaml" in caught.value.message
    assert reason in caught.value.message


def test_a_loan_may_be_written_as_json(tmp_path: Path) -> None:
    file = tmp_path / "loan.json"
    file.write_text(
        '{"product": "\\u6668舟", "lender": "x", "principal": 1066.19, "disbursed_on": "2026-08-15",\n'
        ' "rate": {"percent": 12, "per": "year"}, "method": "equal_principal", "instalments": 12}',
        encoding="utf-8",
    )
    terms = load_terms(file)
    assert (terms.product, str(terms.principal)) == ("晨舟", "1066.19")
